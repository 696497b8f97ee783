import logging

import pytest
from huggingface_hub import constants
from mirror import serving

from nearfield_server.encoder.hub import HubOptions, find_source


@pytest.fixture
def mirror():
    with serving() as made:
        yield made


@pytest.fixture
def bring(mirror, tmp_path, monkeypatch):
    """Bring a model: `bring("org/small", precision="int8", offline=True)`."""
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")

    def call(text, device="cpu", precision="", **options):
        chosen = {"cache_dir": tmp_path / "hub", "endpoint": mirror.url, "timeout_seconds": 5} | options
        return find_source(text, HubOptions(**chosen), device, precision)

    return call


@pytest.fixture
def log(caplog):
    caplog.set_level(logging.INFO, "nearfield.hub")
    return caplog


@pytest.fixture(autouse=True)
def online(monkeypatch):
    """Other tests keep transformers off the network by a variable of the whole process."""
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
