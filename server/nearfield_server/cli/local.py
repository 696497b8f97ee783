"""A server inside this process, for `--local`."""

from __future__ import annotations

import asyncio
import tempfile
import threading
from collections.abc import Iterator, Mapping
from concurrent.futures import Future
from contextlib import contextmanager
from pathlib import Path

import uvloop

from nearfield_server.app import Server
from nearfield_server.config.settings import Config
from nearfield_server.telemetry import logs

__all__ = ["local_server"]


@contextmanager
def local_server(models: Mapping[str, str]) -> Iterator[str]:
    """Serve `models` (name to folder; none: the built-in encoder) as long as the block lasts; give the target.

    It listens on a socket in a private folder, on a thread with an event loop of its own.

    Raises:
        ModelLoadFailure: a model can't be served.
    """
    logs.configure("human", "warning")
    with tempfile.TemporaryDirectory(prefix="nearfield-") as folder:
        config = Config(listen=f"unix:{folder}/grpc.sock", http="", data_dir=Path(folder), models=dict(models))
        started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = Future()
        thread = threading.Thread(target=lambda: uvloop.run(_run(config, started)), name="nearfield-local")
        thread.start()
        try:
            started.result()
            yield config.listen
        finally:
            # Also when Ctrl-C comes while it starts: it can be stopped once it has.
            started.add_done_callback(_stop)
            thread.join()


def _stop(started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    if started.exception() is None:
        loop, stop = started.result()
        loop.call_soon_threadsafe(stop.set)


async def _run(config: Config, started: Future[tuple[asyncio.AbstractEventLoop, asyncio.Event]]) -> None:
    server, stop = Server(config), asyncio.Event()
    try:
        await server.start()
    except BaseException as error:  # noqa: BLE001 - raised again, where the server was asked for
        await server.stop(drain_seconds=0.0)
        started.set_exception(error)
        return
    started.set_result((asyncio.get_running_loop(), stop))
    await stop.wait()
    await server.stop(drain_seconds=0.0)
