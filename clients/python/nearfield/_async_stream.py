"""Drives a `StreamState` over an asyncio channel.

    caller's iterable ──feeder task──▶ state ──sender task──▶ server ──▶ caller's own task ──▶ yield

All run in one event loop, so the state needs no lock. The caller's task reads replies while something is unanswered,
and else waits for the feeder, as in `_sync_stream.py`.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable
from typing import Any

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._deadline import Deadline
from nearfield._ending import Ending
from nearfield._errors import DeadlineExceeded, NearfieldError
from nearfield._methods import EMBED_STREAM
from nearfield._model import Model
from nearfield._plan import StreamPlan
from nearfield._retry import draw
from nearfield._stream import StreamState
from nearfield._types import StreamResult

__all__ = ["AsyncStream"]

_GOODBYE_SECONDS = 5.0


class _Signal:
    """Wakes all who wait. Between a check and its `wait` there must be no await."""

    def __init__(self) -> None:
        self._event = asyncio.Event()

    def notify(self) -> None:
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self, seconds: float | None) -> bool:
        event = self._event
        try:
            async with asyncio.timeout(seconds):
                return await event.wait()
        except TimeoutError:
            return False


class AsyncStream:
    """One `embed_stream` from its first to its last result."""

    def __init__(
        self,
        transport: AsyncTransport,
        plan: StreamPlan,
        deadline: Deadline,
        model: Callable[[str, Deadline], Awaitable[Model]],
    ) -> None:
        """Use `model` to learn the limits when the first result is asked for, and the version with each reconnect."""
        self._transport = transport
        self._plan = plan
        self._deadline = deadline
        self._model = model
        self._changed = _Signal()
        self._call: Any = None
        self._feeder: asyncio.Task[None] | None = None
        self._sender: asyncio.Task[None] | None = None
        self._raised: BaseException | None = None
        self._state: StreamState
        self._ending: Ending

    def results(self, inputs: Iterable[object] | AsyncIterable[object]) -> AsyncGenerator[StreamResult, None]:
        """Give the results. Raises TypeError at once for what can't be iterated."""
        if isinstance(inputs, (str, bytes)):
            raise TypeError("one text, not an iterable of texts: put it into a list")
        return self._run(aiter(inputs) if isinstance(inputs, AsyncIterable) else _as_async(iter(inputs)))

    async def _run(self, iterator: AsyncIterator[object]) -> AsyncGenerator[StreamResult, None]:
        model = await self._model(self._plan.model_name, self._deadline)
        self._state = self._plan.start(model, self._transport.settings.retry)
        self._state.on_connect(model)
        self._feeder = asyncio.create_task(self._feed(iterator))
        try:
            while (result := await self._next()) is not None:
                yield result
            await self._say_goodbye()
            if self._raised is not None:
                raise self._raised
        finally:
            await self._disconnect()
            await _cancelled(self._feeder)

    async def _next(self) -> StreamResult | None:
        state = self._state
        while True:
            while not state.has_unresolved or state.has_results:
                if (result := state.take()) is not None:
                    self._changed.notify()
                    return result
                if state.is_done:
                    return None
                if not await self._changed.wait(self._deadline.left()):
                    raise DeadlineExceeded("the deadline passed while the stream waited for its next input")
            await self._read()

    async def _read(self) -> None:
        """Take one reply, or reconnect. Raises NearfieldError when that is hopeless."""
        call = self._call or self._connect()
        reply: Any = grpc.aio.EOF
        with contextlib.suppress(grpc.RpcError), closing_told():
            reply = await call.read()
        if reply is not grpc.aio.EOF:
            self._state.on_reply(reply, now=time.monotonic(), draw=draw())
            self._changed.notify()
            return
        error = await self._ending.error()
        await self._disconnect()
        await self._transport.pause(self._lost(error))
        self._state.on_connect(await self._model(self._plan.model_name, self._deadline))

    def _lost(self, error: NearfieldError) -> float:
        return self._state.on_disconnect(error, seconds_left=self._deadline.left(), draw=draw())

    def _connect(self) -> Any:
        self._call = self._transport.start("stream_stream", EMBED_STREAM, None, self._deadline.timeout())
        self._ending = Ending(self._call)
        self._sender = asyncio.create_task(self._send(self._call))
        return self._call

    async def _disconnect(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call.cancel()
        await _cancelled(self._sender)

    async def _send(self, call: Any) -> None:
        """Run as the sender task of one connection. What ends a call early is told to the reader, not to us."""
        with contextlib.suppress(grpc.RpcError, asyncio.InvalidStateError):
            await call.write(self._plan.hello)
            while not self._state.is_done:
                if (message := self._state.next_message(time.monotonic())) is not None:
                    await call.write(message)
                else:
                    await self._changed.wait(self._state.wake_in(time.monotonic()))
            await call.done_writing()

    async def _feed(self, iterator: AsyncIterator[object]) -> None:
        """Run as the feeder task, until the iterable ends or fails, or the stream stops."""
        state = self._state
        try:
            while True:
                while not state.wants_input:
                    await self._changed.wait(None)
                try:
                    value = await anext(iterator)
                except StopAsyncIteration:
                    return
                idle = not state.has_unresolved
                state.add(value)
                if idle or state.has_sendable:
                    self._changed.notify()
        except asyncio.CancelledError:
            raise
        except BaseException as error:  # noqa: BLE001 - raised again where the results are taken
            self._raised = error
        finally:
            state.close()
            self._changed.notify()

    async def _say_goodbye(self) -> None:
        """Let the server end the call, which it does at once: otherwise it would count a cancelled one."""
        self._changed.notify()
        if self._call is not None:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_GOODBYE_SECONDS):
                    await self._call.code()


async def _as_async(values: Any) -> AsyncIterator[object]:
    for value in values:
        yield value


async def _cancelled(task: asyncio.Task[None] | None) -> None:
    """Cancel `task` and wait until it is gone."""
    if task is not None:
        task.cancel()
        await asyncio.wait([task])
