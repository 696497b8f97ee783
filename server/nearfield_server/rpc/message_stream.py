"""A bidirectional stream of messages that are answered one by one: reader, a task per message, writer, credits.

    requests ──reader, waits for credit──▶ task per message ──▶ done (queue) ──writer──▶ replies ──▶ credit back

The reader takes a message's credits before it reads the next message, and the writer gives them back when the reply was
handed to the transport. So a stream holds at most its window and one message more, whether the model, the network or
the client is what is slow: that is felt by the sender as gRPC flow control.

A stream that stands still is closed: when the client sends nothing while nothing is unanswered, and when it doesn't
read a reply. Time that the server takes for an answer doesn't count. It ends when the server drains, all that was read
answered.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import DeadlineExceeded, Draining, InvalidInput, NearfieldError, Overloaded

__all__ = ["MAX_ID_BYTES", "MessageStream", "Window", "check_id", "patiently"]

MAX_ID_BYTES = 512

_Answer = Callable[[Any], Awaitable[Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """`credits` of one stream, and what a message costs; `idle_seconds`: how long the client may stand still."""

    credits: int
    cost: Callable[[Any], int]
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class _Done:
    """A reply and the credits that it gives back."""

    reply: Any
    credit: int


class MessageStream:
    """One stream from its first message to its end.

    Replies go out in the order of their completion, or, with `ordered`, in that of their messages. A subclass may take
    messages for itself (`_accept`) and end the stream for reasons of its own (`_over`).
    """

    def __init__(self, registry: ModelRegistry, window: Window, answer: _Answer) -> None:
        """Make one per call. `answer` gives the reply to a message, and never raises; calls begin in order."""
        self._registry = registry
        self._window = window
        self._answer = answer
        self._credit = window.credits
        self._credit_back = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._active_at = time.monotonic()
        # Ordered streams put promises in line, the others what is done.
        self.ordered = False
        self._line: asyncio.Queue[_Done | asyncio.Future[_Done] | None] = asyncio.Queue()

    async def serve(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Answer every message of `requests`; raise what ends the whole stream when all that was read is answered."""
        reader = asyncio.ensure_future(self._read(requests))
        drain, idle = asyncio.ensure_future(self._draining()), asyncio.ensure_future(self._idling())
        reader.add_done_callback(lambda _: self._end_of_input())
        for end in (drain, idle):
            end.add_done_callback(lambda _: reader.cancel())
        try:
            while (entry := await self._line.get()) is not None:
                await self._write(context, await entry if isinstance(entry, asyncio.Future) else entry)
            if reader.cancelled():
                if idle.done():
                    msg = f"no message for {self._window.idle_seconds} s: the stream is closed"
                    raise DeadlineExceeded(msg)
                raise drain.result()
            reader.result()
        finally:
            for task in (reader, drain, idle, *self._tasks):
                task.cancel()

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        async for message in requests:
            self._active_at = time.monotonic()
            if not self._accept(message):
                continue
            credit = min(max(1, self._window.cost(message)), self._window.credits)
            await self._take_credit(credit)
            promise: asyncio.Future[_Done] | None = None
            if self.ordered:
                self._line.put_nowait(promise := asyncio.get_running_loop().create_future())
            self._start(self._reply(message, credit, promise))

    async def _reply(self, message: Any, credit: int, promise: asyncio.Future[_Done] | None) -> None:
        done = _Done(await self._answer(message), credit)
        if promise is None:
            self._line.put_nowait(done)
        elif not promise.done():
            promise.set_result(done)

    def _accept(self, message: Any) -> bool:
        """Tell if a message is to be answered, before its credits are taken; what is raised here ends the stream."""
        return True

    def _over(self) -> NearfieldError | None:
        """Give what ends the stream although its client goes on; asked again whenever the registry changes."""
        if self._registry.draining:
            msg = "the server is stopping: send what is unanswered to another replica"
            return Draining(msg, retry_after_seconds=1.0)
        return None

    def _start(self, work: Any) -> None:
        task = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take_credit(self, amount: int) -> None:
        while self._credit < amount:
            self._credit_back.clear()
            await self._credit_back.wait()
        self._credit -= amount

    async def _write(self, context: Any, done: _Done) -> None:
        try:
            async with asyncio.timeout(self._window.idle_seconds):
                await context.write(done.reply)
        except TimeoutError:
            msg = f"no reply was read for {self._window.idle_seconds} s: the stream is closed"
            raise DeadlineExceeded(msg) from None
        self._active_at = time.monotonic()
        self._credit += done.credit
        self._credit_back.set()

    def _end_of_input(self) -> None:
        """After the last message was read: the end of the line comes when all tasks are through."""

        async def close() -> None:
            while others := self._tasks - {asyncio.current_task()}:
                await asyncio.wait(others)
            self._line.put_nowait(None)

        self._start(close())

    async def _idling(self) -> None:
        """Return when the client has stood still too long."""
        # One timer that looks back costs nothing per message.
        left = seconds = self._window.idle_seconds
        while left > 0 or self._credit < self._window.credits:
            await asyncio.sleep(left if left > 0 else seconds)
            left = self._active_at + seconds - time.monotonic()

    async def _draining(self) -> NearfieldError:
        """Return when the stream is over, and why."""
        while (over := self._over()) is None:
            await self._registry.changes.wait()
        return over


def check_id(id_: str) -> None:
    """Check the id of a message. Raises `InvalidInput`."""
    if len(id_.encode()) > MAX_ID_BYTES:
        raise InvalidInput("id", f"over {MAX_ID_BYTES} bytes")


async def patiently(work: Callable[[], Awaitable[Any]]) -> Any:
    """Do it again while the queue is full: a stream is bounded by its credits and is not refused for load.

    What it would wait for in vain is raised: its own deadline, and memory that streams hold until they end.
    """
    while True:
        try:
            return await work()
        except Overloaded as error:
            if error.metadata.get("limited_by") in {"deadline", "computations"}:
                raise
            await asyncio.sleep(error.retry_after_seconds)
