"""Engines to be compared: each test that asks for `make_engine` runs over all of them."""

import os
import uuid

import pytest

from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.exact import ExactEngine
from nearfield_server.engines.qdrant import QdrantEngine, QdrantSettings

ENGINES = ["exact", "embedded", "qdrant"]


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


def qdrant_settings():
    """Give the client's local mode, or the server that is named: then under a prefix of this test's own."""
    url = os.environ.get("NEARFIELD_TEST_QDRANT_URL", ":memory:")
    return QdrantSettings(url=url, prefix=f"test-{uuid.uuid4().hex[:12]}-")


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=ENGINES)
def make_engine(request, clock, tmp_path):
    """Make an engine that isn't started yet."""
    return {
        "exact": lambda: ExactEngine(clock),
        "qdrant": lambda: QdrantEngine(qdrant_settings(), clock),
        "embedded": lambda: EmbeddedEngine(tmp_path / "collections", EmbeddedSettings(), clock),
    }[request.param]


@pytest.fixture
async def engine(make_engine):
    made = make_engine()
    await made.start()
    yield made
    for name in made.stores():
        await made.drop(name)
    await made.close()
