"""A child process of ours and the socket to it, on the event loop. `worker` is the other end."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import TypeVar

from nearfield_server.processes.frames import Frame, Header, read_frame, to_bytes

__all__ = ["Child"]

_T = TypeVar("_T")


class Child:
    """A worker: a module of ours that runs in a process of its own, and hears from us over a socket."""

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        """Talk to a process that is there."""
        self._process = process
        self._reader = reader
        self._writer = writer

    @classmethod
    async def start(cls, module: str, environment: Mapping[str, str]) -> Child:
        """Start `module`, with some more environment. A caller that is cancelled meanwhile leaves no process behind."""
        starting = asyncio.ensure_future(cls._start(module, environment))
        try:
            return await _to_the_end(starting)
        except asyncio.CancelledError:
            if starting.exception() is None:
                await _to_the_end(asyncio.ensure_future(starting.result().close()))
            raise

    @classmethod
    async def _start(cls, module: str, environment: Mapping[str, str]) -> Child:
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                module,
                str(theirs.fileno()),
                str(os.getpid()),
                pass_fds=[theirs.fileno()],
                stdin=asyncio.subprocess.DEVNULL,
                stdout=asyncio.subprocess.DEVNULL,
                stderr=asyncio.subprocess.DEVNULL,
                env={**os.environ, **environment},
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            return cls(process, *await asyncio.open_unix_connection(sock=ours))
        except BaseException:
            ours.close()  # the worker ends with its socket
            await process.wait()
            raise

    @property
    def pid(self) -> int:
        """Its process."""
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it hasn't ended."""
        return self._process.returncode is None

    async def ended(self) -> int:
        """Wait until it has ended; give its exit status, the negative number of the signal that ended it."""
        return await self._process.wait()

    def send(self, header: Header, data: bytes = b"") -> None:
        """Send a frame; one that can't arrive any more is dropped: `read` tells of the end."""
        if not self._writer.is_closing():
            self._writer.write(to_bytes(header, data))

    async def read(self) -> Frame:
        """Give the next frame. Raises `EOFError` or `OSError` once the worker is gone."""
        return await read_frame(self._reader)

    def kill(self) -> None:
        """End it at once."""
        if self._process.returncode is None:
            with suppress(ProcessLookupError):
                os.kill(self._process.pid, signal.SIGKILL)  # Process.kill may take the exit status from the loop

    async def close(self) -> None:
        """End it, and wait until it is gone, even where the caller is cancelled meanwhile."""
        self.kill()
        self._writer.close()
        await _to_the_end(asyncio.ensure_future(self._gone()))

    async def _gone(self) -> None:
        await self._process.wait()
        with suppress(OSError):
            await self._writer.wait_closed()


async def _to_the_end(work: asyncio.Future[_T]) -> _T:
    """Wait for `work`, and where the caller is cancelled, for its end nevertheless before that goes on."""
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        while not work.done():
            with suppress(asyncio.CancelledError):
                await asyncio.wait([work])
        raise
