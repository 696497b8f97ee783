"""EmbedStream: what a `MessageStream` is told of options, of vectors, and of the model that the stream holds."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import ExitStack
from dataclasses import dataclass
from typing import Any

from nearfield.v1 import embed_pb2
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.plan import make_plan
from nearfield_server.core.serving import ReadyModel
from nearfield_server.errors import InvalidInput, NearfieldError, Unavailable
from nearfield_server.rpc import convert, replies
from nearfield_server.rpc.message_stream import MAX_ID_BYTES, MessageStream, Window, check_id, patiently
from nearfield_server.rpc.status import to_status
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import EmbedCall, EmbedOptions, Priority

__all__ = ["EmbedStream", "StreamCaller", "StreamSettings"]

_Reply = embed_pb2.EmbedStreamResponse


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamSettings:
    """`window_inputs`: unanswered inputs per stream. `idle_seconds`: how long the client may stand still."""

    window_inputs: int
    idle_seconds: float


@dataclass(frozen=True, slots=True)
class StreamCaller:
    """Until when the caller waits, in monotonic seconds, and who calls, as the server itself knows it."""

    deadline: float | None
    tenant: str


class EmbedStream(MessageStream):
    """One stream from its first message to its end. A credit is one input."""

    def __init__(
        self,
        embedder: Embedder,
        registry: ModelRegistry,
        metrics: Metrics,
        settings: StreamSettings,
        caller: StreamCaller,
    ) -> None:
        """Make one per call."""
        window = Window(
            credits=settings.window_inputs,
            cost=lambda message: len(message.inputs),
            idle_seconds=settings.idle_seconds,
        )
        super().__init__(registry, window, self._embedded)
        self._embedder = embedder
        self._metrics = metrics
        self._caller = caller
        self._started = False
        self._model: ReadyModel | None = None
        self._held = ExitStack()
        self._options = EmbedOptions(priority=Priority.BULK)

    async def serve(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Answer every message of `requests`; raise what ends the whole stream when all that was read is answered."""
        with self._held:
            await super().serve(requests, context)

    def _accept(self, message: Any) -> bool:
        """Take the stream's options from its first message; what is wrong in them ends the stream."""
        if self._started:
            return True
        self._started = True
        self.ordered = message.options.ordered
        self._options = convert.embed_options(message.options, "options.", bulk=True)
        # A stream ends on the model that it began with, whatever takes its name meanwhile.
        self._model = self._held.enter_context(self._registry.lease(self._options.model))
        try:
            make_plan(self._model.loaded.spec, self._options, (), self._registry.limits)
        except InvalidInput as error:
            field = error.violations[0]
            raise type(error)(f"options.{field.field}", field.description) from None
        alone = message.HasField("options") and not message.inputs
        # So that options found in a message later came too late.
        message.ClearField("options")
        return not alone

    def _over(self) -> NearfieldError | None:
        """Besides the server's end: the model goes, and its time to drain is over."""
        if (over := super()._over()) is None and self._model is not None and self._model.cut_off:
            msg = "the model was replaced or unloaded: open the stream again for what is unanswered"
            return Unavailable(msg, retry_after_seconds=1.0)
        return over

    async def _embedded(self, message: Any) -> _Reply:
        try:
            check_id(message.id)
            if message.HasField("options"):
                raise InvalidInput("options", "only the first message may have options")  # noqa: TRY301 - as any other
            limits = self._registry.limits
            inputs = convert.inputs("inputs", message.inputs, limits)
            call = EmbedCall(inputs, self._options, self._caller.deadline, self._caller.tenant)
            result = await patiently(lambda: self._embedder.embed(call, held=self._model))
            reply = _Reply(id=message.id, result=replies.embed_response(result))
            replies.within_limit("inputs", reply, limits, "send fewer inputs in a message")
        except Exception as error:  # noqa: BLE001 - a failed message is answered and touches no other
            self._metrics.stream_message("error")
            return _Reply(id=message.id[:MAX_ID_BYTES], error=to_status(error))
        self._metrics.stream_message("ok")
        return reply
