"""EmbedStream: one reader, one task per message, one writer, and credits between them.

    requests ──reader, waits for credit──▶ task per message ──▶ done (queue) ──writer──▶ replies ──▶ credit back

A credit is one input. The reader takes a message's credits before it reads the next message, and the writer gives them
back when the reply was handed to the transport. So a stream holds at most `window_inputs` inputs and one message more,
whether the model, the network or the client is what is slow: that is felt by the sender as gRPC flow control.

A stream that stands still is closed: when the client sends nothing while nothing is unanswered, and when it doesn't
read a reply. Time that the server takes for an answer doesn't count.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from nearfield.v1 import embed_pb2
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.plan import make_plan
from nearfield_server.core.serving import ReadyModel
from nearfield_server.errors import DeadlineExceeded, Draining, InvalidInput, Overloaded, Unavailable
from nearfield_server.rpc import convert, replies
from nearfield_server.rpc.status import to_status
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import EmbedCall, EmbedOptions, Priority

__all__ = ["EmbedStream", "StreamSettings"]

_MAX_ID_BYTES = 512

_Reply = embed_pb2.EmbedStreamResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """`window_inputs`: unanswered inputs per stream. `idle_seconds`: how long the client may stand still."""

    window_inputs: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class _Done:
    """A reply and the credits that it gives back."""

    reply: _Reply
    credit: int


class EmbedStream:
    """One stream from its first message to its end."""

    def __init__(self, embedder: Embedder, registry: ModelRegistry, metrics: Metrics, settings: StreamSettings) -> None:
        """Make one per call."""
        self._embedder = embedder
        self._registry = registry
        self._metrics = metrics
        self._settings = settings
        self._credit = settings.window_inputs
        self._credit_back = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._deadline: float | None = None
        self._tenant = ""
        self._model: ReadyModel | None = None
        self._held = ExitStack()
        self._active_at = time.monotonic()
        self._options = EmbedOptions(priority=Priority.BULK)
        # Ordered streams put the tasks themselves in line, the others what is done, in the order of its completion.
        self._ordered = False
        self._line: asyncio.Queue[_Done | asyncio.Future[_Done] | None] = asyncio.Queue()

    async def serve(self, requests: AsyncIterator[Any], context: Any, deadline: float | None, tenant: str = "") -> None:
        """Answer every message of `requests`; raise what ends the whole stream when all that was read is answered.

        `tenant` is who calls, as the server itself knows it.
        """
        self._deadline, self._tenant = deadline, tenant
        reader = asyncio.ensure_future(self._read(requests))
        drain, idle = asyncio.ensure_future(self._draining()), asyncio.ensure_future(self._idling())
        reader.add_done_callback(lambda _: self._end_of_input())
        for end in (drain, idle):
            end.add_done_callback(lambda _: reader.cancel())
        try:
            while (entry := await self._line.get()) is not None:
                done = await entry if isinstance(entry, asyncio.Future) else entry
                await self._write(context, done)
            if reader.cancelled():
                if idle.done():
                    msg = f"no message for {self._settings.idle_seconds} s: the stream is closed"
                    raise DeadlineExceeded(msg)
                if self._registry.draining:
                    msg = "the server is stopping: send what is unanswered to another replica"
                    raise Draining(msg, retry_after_seconds=1.0)
                msg = "the model was replaced or unloaded: open the stream again for what is unanswered"
                raise Unavailable(msg, retry_after_seconds=1.0)
            reader.result()
        finally:
            for task in (reader, drain, idle, *self._tasks):
                task.cancel()
            self._held.close()

    async def _read(self, requests: AsyncIterator[Any]) -> None:
        first = True
        async for message in requests:
            self._active_at = time.monotonic()
            if first:
                self._start(message)
                if message.HasField("options") and not message.inputs:
                    first = False
                    continue
            await self._take_credit(credit := min(max(1, len(message.inputs)), self._settings.window_inputs))
            self._dispatch(message, credit, late_options=not first and message.HasField("options"))
            first = False

    def _start(self, message: Any) -> None:
        """Take the stream's options from its first message; what is wrong in them ends the stream."""
        self._ordered = message.options.ordered
        self._options = convert.embed_options(message.options, "options.", bulk=True)
        # A stream ends on the model that it began with, whatever takes its name meanwhile.
        self._model = self._held.enter_context(self._registry.lease(self._options.model))
        spec = self._model.loaded.spec
        try:
            make_plan(spec, self._options, (), self._registry.limits)
        except InvalidInput as error:
            field = error.violations[0]
            raise type(error)(f"options.{field.field}", field.description) from None

    def _dispatch(self, message: Any, credit: int, *, late_options: bool) -> None:
        if self._ordered:
            promise: asyncio.Future[_Done] = asyncio.get_running_loop().create_future()
            self._line.put_nowait(promise)
        task = asyncio.ensure_future(self._answer(message, credit, late_options, promise if self._ordered else None))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _answer(
        self,
        message: Any,
        credit: int,
        late_options: bool,
        promise: asyncio.Future[_Done] | None,
    ) -> None:
        reply = await self._reply(message, late_options=late_options)
        done = _Done(reply, credit)
        if promise is None:
            self._line.put_nowait(done)
        elif not promise.done():
            promise.set_result(done)

    async def _reply(self, message: Any, *, late_options: bool) -> _Reply:
        try:
            _check_envelope(message, late_options=late_options)
            inputs = convert.inputs("inputs", message.inputs, self._registry.limits)
            result = await self._embed(EmbedCall(inputs, self._options, self._deadline, self._tenant))
        except Exception as error:  # noqa: BLE001 - a failed message is answered and touches no other
            self._metrics.stream_message("error")
            return _Reply(id=message.id[:_MAX_ID_BYTES], error=to_status(error))
        reply = _Reply(id=message.id, result=replies.embed_response(result))
        if (size := reply.ByteSize()) > (limit := self._registry.limits.max_response_bytes):
            self._metrics.stream_message("error")
            text = f"the reply has {size} bytes, over {limit}: send fewer inputs in a message"
            return _Reply(id=message.id, error=to_status(InvalidInput("inputs", text, limit=limit)))
        self._metrics.stream_message("ok")
        return reply

    async def _embed(self, call: EmbedCall) -> Any:
        """Embed; while the queue is full, wait: a stream is bounded by its credits and is not refused for load."""
        while True:
            try:
                return await self._embedder.embed(call, held=self._model)
            except Overloaded as error:
                if error.metadata.get("limited_by") == "deadline":
                    raise
                await asyncio.sleep(error.retry_after_seconds)

    async def _take_credit(self, amount: int) -> None:
        while self._credit < amount:
            self._credit_back.clear()
            await self._credit_back.wait()
        self._credit -= amount

    async def _write(self, context: Any, done: _Done) -> None:
        try:
            async with asyncio.timeout(self._settings.idle_seconds):
                await context.write(done.reply)
        except TimeoutError:
            msg = f"no reply was read for {self._settings.idle_seconds} s: the stream is closed"
            raise DeadlineExceeded(msg) from None
        self._active_at = time.monotonic()
        self._credit += done.credit
        self._credit_back.set()

    def _end_of_input(self) -> None:
        """After the last message was read: the end of the line comes when all tasks are through."""

        async def close() -> None:
            while self._tasks - {asyncio.current_task()}:
                await asyncio.wait(self._tasks - {asyncio.current_task()})
            self._line.put_nowait(None)

        closing = asyncio.ensure_future(close())
        self._tasks.add(closing)
        closing.add_done_callback(self._tasks.discard)

    async def _idling(self) -> None:
        """Return when the client has stood still too long."""
        # One timer that looks back costs nothing per message.
        left = seconds = self._settings.idle_seconds
        while left > 0 or self._credit < self._settings.window_inputs:
            await asyncio.sleep(left if left > 0 else seconds)
            left = self._active_at + seconds - time.monotonic()

    async def _draining(self) -> None:
        """Return when the server stops, or the model goes and its time to drain is over."""
        while not self._registry.draining and not (self._model is not None and self._model.cut_off):
            await self._registry.changes.wait()


def _check_envelope(message: Any, *, late_options: bool) -> None:
    if len(message.id.encode()) > _MAX_ID_BYTES:
        raise InvalidInput("id", f"over {_MAX_ID_BYTES} bytes")
    if late_options:
        raise InvalidInput("options", "only the first message may have options")
