"""The documentation has a heading for everything, its links lead somewhere, and its Python runs."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
import typer
from google.longrunning import operations_pb2
from google.protobuf import json_format

import nearfield_server
from nearfield.v1 import cluster_pb2, embed_pb2, model_pb2, search_pb2
from nearfield_server import errors
from nearfield_server.cli.program import app
from nearfield_server.encoder.manifest import read_manifest

ROOT = Path(__file__).parents[2]
DOCS = [ROOT / "README.md", ROOT / "CHANGELOG.md", *sorted((ROOT / "docs").rglob("*.md"))]
RPCS = [
    method.name
    for file in (embed_pb2, model_pb2, search_pb2, cluster_pb2, operations_pb2)
    for service in file.DESCRIPTOR.services_by_name.values()
    for method in service.methods
]
REASONS = sorted({one.reason for name in errors.__all__ if hasattr(one := getattr(errors, name), "reason")})


def headings(page):
    return {line.lstrip("# ").strip("` ") for line in page.read_text("utf-8").splitlines() if line.startswith("#")}


@pytest.mark.parametrize("name", [*RPCS, *REASONS])
def test_every_rpc_and_every_reason_has_a_heading(name):
    assert name in headings(ROOT / "docs" / "api.md")


@pytest.mark.parametrize("page", DOCS, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page):
    for link in re.findall(r"\]\((?!https?://|#|mailto:)([^)#\s]+)", page.read_text("utf-8")):
        assert (page.parent / link).exists(), link


def test_the_changelog_begins_with_this_version():
    version = re.search(r'^version = "(.+)"', (ROOT / "pyproject.toml").read_text("utf-8"), re.MULTILINE).group(1)
    released = re.findall(r"^## \[(\d[^\]]*)\]", (ROOT / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert released[0] == version == nearfield_server.__version__


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.MULTILINE | re.DOTALL)


def run(code, cwd):
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, cwd=cwd, check=False
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.slow
def test_the_python_of_the_readme_runs(server, tmp_path):
    for code in blocks(ROOT / "README.md", "python"):
        run(code.replace("localhost:50051", server.target), tmp_path)


@pytest.mark.slow
def test_the_python_of_the_search_guide_runs(server, tmp_path):
    for code in blocks(ROOT / "docs" / "search.md", "python"):
        run(code.replace("localhost:50051", server.target), tmp_path)


@pytest.mark.slow
def test_the_python_of_the_clustering_guide_runs(server, tmp_path):
    for code in blocks(ROOT / "docs" / "clustering.md", "python"):
        run(code.replace("localhost:50051", server.target), tmp_path)


@pytest.mark.slow
def test_the_python_of_the_backend_guide_runs(tmp_path):
    for code in blocks(ROOT / "docs" / "adding-a-backend.md", "python"):
        run(code, tmp_path)


def test_the_json_of_the_readmes_grpcurl_call_is_a_request():
    (text,) = re.findall(r"grpcurl -plaintext -d '(.+)'", (ROOT / "README.md").read_text("utf-8"))
    request = json_format.ParseDict(json.loads(text), embed_pb2.EmbedRequest())
    assert [one.text for one in request.inputs] == ["a dog barks", "a hound bays"]


def test_the_manifest_of_the_models_page_is_read(tmp_path):
    (text,) = blocks(ROOT / "docs" / "models.md", "yaml")
    (tmp_path / "nearfield.yaml").write_text(text.replace("0554d11f0489…", "ab" * 32), "utf-8")
    assert read_manifest(tmp_path).max_tokens == 256


def test_every_option_of_every_command_is_on_the_page():
    page = (ROOT / "docs" / "cli.md").read_text("utf-8")
    for name, command in typer.main.get_command(app).commands.items():
        assert f"## `nearfield {name}`" in page
        for parameter in command.params:
            for option in (*parameter.opts, *parameter.secondary_opts):
                assert not option.startswith("--") or option == "--help" or option in page, f"{name} {option}"
