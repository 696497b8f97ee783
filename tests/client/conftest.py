"""A fake server and a client for it."""

import fake_server
import pytest
from blocking import FAST, BlockingAsyncClient

import nearfield


@pytest.fixture
def fake():
    return fake_server.FakeServer()


@pytest.fixture
def target(fake):
    server, target = fake_server.start(fake)
    yield target
    server.stop(0).wait()


@pytest.fixture(params=[nearfield.Client, BlockingAsyncClient], ids=["sync", "async"])
def open_client(request):
    """Both clients: every test that asks for this, or for `client`, runs twice."""
    return request.param


@pytest.fixture
def client(open_client, target):
    with open_client(target, retry=FAST, timeout=10.0) as client:
        yield client
