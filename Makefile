# Nearfield: every command that a person, a hook or CI runs. `make demo` and `make test` need nothing but this clone,
# Python 3.11 or newer and a package registry; they set up .venv themselves.
SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
GEN := .venv-gen
# The oldest protoc output that runs on every protobuf from 4.25 on: what the published client promises.
GRPC_TOOLS := grpcio-tools==1.62.3
STUBS := clients/python/nearfield/v1
PROTOS := $(wildcard protos/nearfield/v1/*.proto)

.PHONY: help demo serve test test-all test-fast check lint lint-protos format gen gen-check bench deploy-check clean

help: ## Show the targets
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 16

# Says what is missing before pip does so at length.
define check_python
	@command -v $(PYTHON) >/dev/null || { echo "make: $(PYTHON) not found; install Python 3.11 or newer (Debian: apt install python3 python3-venv)"; exit 1; }
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "make: $$($(PYTHON) --version) is too old; Python 3.11 or newer is needed: make PYTHON=/path/to/python3.11 $(MAKECMDGOALS)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || { echo "make: this Python lacks venv; on Debian: apt install python3-venv"; exit 1; }
endef

define install
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable '.[$(1)]' \
	  || { echo "make: installing failed (see above): is a package registry reachable, or a proxy or mirror set in pip.conf? Some platforms without wheels need a C and a Rust compiler"; exit 1; }
endef

$(VENV)/.cpu: pyproject.toml
	$(check_python)
	$(call install,cpu)
	@touch $@

$(VENV)/.dev: pyproject.toml
	$(check_python)
	$(call install,dev)
	@touch $@ $(VENV)/.cpu

demo: $(VENV)/.cpu ## Embed real sentences through a real server, and show which are alike
	@$(BIN)/python clients/python/examples/demo.py

serve: $(VENV)/.cpu ## Serve the built-in encoder on localhost:50051
	$(BIN)/nearfield serve

test: $(VENV)/.dev ## Run the tests but those that take more than ten seconds each
	$(BIN)/python -m pytest -m 'not long'

test-all: $(VENV)/.dev ## Run all tests
	$(BIN)/python -m pytest

test-fast: $(VENV)/.dev ## Run the tests that take less than a quarter of a second each
	$(BIN)/python -m pytest -m 'not slow'

check: lint test-fast ## Run all linters and the fast tests

lint: $(VENV)/.dev lint-protos gen-check deploy-check ## Run all linters
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/mypy benchmarks
	$(BIN)/lint-imports

format: $(VENV)/.dev ## Format Python and protos
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	cd protos && ../$(BIN)/buf format --write

$(GEN)/.done: Makefile
	$(check_python)
	@test -x $(GEN)/bin/python || $(PYTHON) -m venv $(GEN)
	@$(GEN)/bin/python -m pip install --quiet --disable-pip-version-check '$(GRPC_TOOLS)' 'googleapis-common-protos==1.63.2' 'setuptools<81'
	@touch $@

gen: $(GEN)/.done ## Generate the stubs from the protos
	protos/generate.sh $(GEN)/bin/python $(STUBS)

gen-check: $(GEN)/.done # The committed stubs are those of the protos
	@rm -rf build/stubs && mkdir -p build/stubs
	protos/generate.sh $(GEN)/bin/python build/stubs
	diff -r --exclude='__*' build/stubs $(STUBS) || { echo "make: the stubs are stale: run make gen and commit"; exit 1; }

lint-protos: $(VENV)/.dev $(GEN)/.done # Lint, format, and compatibility with every earlier commit
	cd protos && ../$(BIN)/buf format --diff --exit-code
	protos/check.sh $(GEN)/bin/python $(BIN)/buf

deploy-check: $(VENV)/.dev # The chart and the Dockerfile, by the real tools
	$(BIN)/python deploy/check.py

bench: $(VENV)/.dev ## Compare served with offline throughput
	$(BIN)/python benchmarks/served.py

clean: ## Remove what make made
	rm -rf $(VENV) $(GEN) build dist .cache
