"""Engines to be compared: each test that asks for `make_engine` runs over all of them."""

import pytest

from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.exact import ExactEngine

ENGINES = ["exact", "embedded"]


class Clock:
    """Seconds since the epoch, as told."""

    def __init__(self):
        self.now = 1_700_000_000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(params=ENGINES)
def make_engine(request, clock, tmp_path):
    """Make an engine that isn't started yet."""
    return {
        "exact": lambda: ExactEngine(clock),
        "embedded": lambda: EmbeddedEngine(tmp_path / "collections", EmbeddedSettings(), clock),
    }[request.param]


@pytest.fixture
async def engine(make_engine):
    made = make_engine()
    await made.start()
    yield made
    await made.close()
