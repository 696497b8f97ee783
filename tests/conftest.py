"""A real server on real sockets with the real encoder, and data."""

import asyncio
import json
import threading
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uvloop

import nearfield
from nearfield_server.app import Server
from nearfield_server.config.settings import Config

ROOT = Path(__file__).parents[1]


@contextmanager
def running(config, prepare=lambda server: None):
    """Run a server in a thread with an event loop of its own; `prepare` may change it before it starts."""
    started = Future()

    async def live():
        server = Server(config)
        prepare(server)
        stop = asyncio.Event()
        try:
            await server.start()
        except BaseException as error:  # noqa: BLE001 - raised where the server was asked for
            await server.stop(0.0)
            started.set_exception(error)
            return
        started.set_result(
            SimpleNamespace(
                server=server, target=server.target, http=server.http, loop=asyncio.get_running_loop(), stop=stop
            )
        )
        await stop.wait()
        await server.stop(0.0)

    thread = threading.Thread(target=lambda: uvloop.run(live()), name="test-server")
    thread.start()
    try:
        handle = started.result(60)
        yield handle
        handle.loop.call_soon_threadsafe(handle.stop.set)
    finally:
        thread.join(60)


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Start servers with settings of their own: `start_server(stream={"window_inputs": 4})`."""
    with ExitStack() as stack:

        def start(prepare=lambda server: None, **settings):
            settings = {
                "listen": "127.0.0.1:0",
                "http": "127.0.0.1:0",
                "data_dir": tmp_path_factory.mktemp("data"),
            } | settings
            return stack.enter_context(running(Config(**settings), prepare))

        yield start


@pytest.fixture(scope="session")
def server(start_server):
    """The server as it is by default."""
    return start_server()


@pytest.fixture
def client(server):
    with nearfield.Client(server.target) as client:
        yield client


@pytest.fixture(scope="session")
def golden():
    """Our own sentences: `.texts`, and `.rows` `[n, 384]` of the reference implementation."""
    folder = ROOT / "tests" / "golden"
    lines = (folder / "sentences.jsonl").read_text("utf-8").splitlines()
    return SimpleNamespace(
        texts=[json.loads(line)["text"] for line in lines], rows=np.load(folder / "reference_fp32.npy")
    )


@pytest.fixture(scope="session")
def shared_data():
    folder = ROOT.parent / "shared" / "data" / "open"
    if not folder.is_dir():
        pytest.skip("the shared evaluation data isn't beside this clone")
    return folder
