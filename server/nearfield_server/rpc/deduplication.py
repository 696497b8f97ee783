"""ClusterService.Deduplicate: what a `MessageStream` is told of options, items and verdicts.

Messages are embedded and looked up side by side, and decided upon in the order in which they came: the order of the
stream says who is first, also where a later message is embedded sooner.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Any

from nearfield.v1 import cluster_pb2
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.dedup.deduplicator import Decided, Deduplicator, DedupRun
from nearfield_server.core.dedup.nouns import DedupOptions, Found, Level
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import InvalidInput, NearfieldError
from nearfield_server.rpc import convert, item_convert, payload, replies
from nearfield_server.rpc.embed import deadline_of, tenant_of
from nearfield_server.rpc.enums import DUPLICATE_KINDS, DUPLICATE_LEVELS
from nearfield_server.rpc.message_stream import MAX_ID_BYTES, MessageStream, Window, check_id, patiently
from nearfield_server.rpc.status import to_status
from nearfield_server.rpc.stream import StreamSettings
from nearfield_server.telemetry.metrics import Metrics

__all__ = ["DedupRpcs", "dedup_options"]

_Reply = cluster_pb2.DeduplicateResponse
_ITEMS = "items.items"


class DedupRpcs:
    """The rpc."""

    def __init__(
        self, deduplicator: Deduplicator, registry: ModelRegistry, metrics: Metrics, settings: StreamSettings
    ) -> None:
        """`registry` publishes the limits of messages."""
        self._deduplicator = deduplicator
        self._registry = registry
        self._metrics = metrics
        self._settings = settings

    async def deduplicate(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Tell of each item whether it says what an earlier one said."""
        caller = Caller(deadline=deadline_of(context), identity=tenant_of(context))
        stream = _DedupStream(self._registry, self._settings, self._deduplicator, self._metrics, caller)
        try:
            await stream.serve(requests, context)
        finally:
            stream.end()


class _DedupStream(MessageStream):
    """One stream from its first message to its end. A credit is one item."""

    def __init__(
        self,
        registry: ModelRegistry,
        settings: StreamSettings,
        deduplicator: Deduplicator,
        metrics: Metrics,
        caller: Caller,
    ) -> None:
        """Make one per call."""
        window = Window(
            # A few messages more than are being embedded: those before have to be decided upon meanwhile.
            credits=max(settings.window_inputs, 2 * registry.limits.max_inputs),
            cost=lambda message: _count(message.items.items),
            idle_seconds=settings.idle_seconds,
        )
        super().__init__(registry, window, self._answered)
        self._deduplicator = deduplicator
        self._metrics = metrics
        self._caller = caller
        self._run: DedupRun | None = None
        self._seen = 0
        self._last: asyncio.Future[None] | None = None

    def end(self) -> None:
        """Give back what is held."""
        if self._run is not None:
            self._deduplicator.end(self._run)

    def _accept(self, message: cluster_pb2.DeduplicateRequest) -> bool:
        """Take the options from the first message; what is wrong in them, or with the order, ends the stream."""
        kind = message.WhichOneof("message")
        if self._run is None:
            if kind != "options":
                raise InvalidInput("options", "the first message must hold the options")
            self._run = self._deduplicator.begin(dedup_options(message.options, self._caller))
            return False
        if kind != "items":
            raise InvalidInput("items", "all messages but the first must hold items")
        return True

    async def _answered(self, message: cluster_pb2.DeduplicateRequest) -> _Reply:
        # Before anything is awaited: tasks begin in the order of the messages.
        turn, mine = self._last, asyncio.get_running_loop().create_future()
        self._last = mine
        first, self._seen = self._seen, self._seen + _count(message.items.items)
        outcome = "error"
        try:
            reply, outcome = await self._compared(message.items, first, turn), "ok"
        except Exception as error:  # noqa: BLE001 - a failed message is answered and touches no other
            reply = _Reply(id=message.items.id[:MAX_ID_BYTES], error=to_status(error))
        # What was refused early must not let those behind it overtake those before it.
        if turn is not None:
            await turn
        mine.set_result(None)
        self._metrics.stream_message(outcome)
        return reply

    async def _compared(
        self, message: cluster_pb2.DeduplicateItems, first: int, turn: asyncio.Future[None] | None
    ) -> _Reply:
        check_id(message.id)
        run, limits = self._run, self._registry.limits
        assert run is not None  # noqa: S101 - _accept has begun it
        checked = await asyncio.to_thread(item_convert.checked_items, _ITEMS, message.items, limits, limits.max_inputs)
        positions = [first + row for row in checked.rows]
        found = await patiently(lambda: run.look_up(checked.items, positions))
        if turn is not None:
            await turn
        decided = await run.decide(found)
        verdicts: dict[int, Found | NearfieldError] = dict(checked.failures)
        verdicts |= dict(zip(checked.rows, decided.verdicts, strict=True))
        every = [verdicts[row] for row in sorted(verdicts)]
        reply = _Reply(id=message.id, result=_result(every, decided))
        replies.within_limit(_ITEMS, reply, limits, "send fewer items in a message")
        for one in every:
            self._metrics.cluster.deduplicated("failed" if isinstance(one, NearfieldError) else one.kind.value)
        return reply


def dedup_options(message: cluster_pb2.DeduplicateOptions, caller: Caller) -> DedupOptions:
    """Give how duplicates are looked for. Raises `InvalidInput`."""
    source = None
    if message.HasField("collection"):
        source = item_convert.collection_source("options.collection", message.collection)
    if message.collection_only and source is None:
        raise InvalidInput("options.collection_only", "needs collection: else there is nothing to compare with")
    if message.collection_only and message.compare_all:
        raise InvalidInput("options.compare_all", "is about the items of the stream; leave it or collection_only out")
    return DedupOptions(
        embedding=item_convert.embedding("options.embedding", message.embedding, bulk=True),
        limit=_limit(message),
        source=source,
        collection_only=message.collection_only,
        compare_all=message.compare_all,
        lexical_check=message.lexical_check,
        caller=caller,
    )


def _limit(message: cluster_pb2.DeduplicateOptions) -> Level | float:
    if message.WhichOneof("limit") != "threshold":
        return convert.enum_value("options.level", message.level, DUPLICATE_LEVELS, Level.NORMAL)
    if math.isnan(message.threshold) or not -1.0 <= message.threshold <= 1.0:
        raise InvalidInput("options.threshold", "must be a cosine similarity, -1 to 1", limit=1.0)
    return message.threshold


def _count(items: cluster_pb2.ClusterItems) -> int:
    return items.vectors.rows if items.HasField("vectors") else len(items.inputs)


def _result(verdicts: list[Found | NearfieldError], decided: Decided) -> cluster_pb2.DeduplicateResult:
    return cluster_pb2.DeduplicateResult(
        verdicts=map(_verdict, verdicts), threshold=decided.threshold, unique=decided.unique
    )


def _verdict(one: Found | NearfieldError) -> cluster_pb2.DuplicateVerdict:
    if isinstance(one, NearfieldError):
        return cluster_pb2.DuplicateVerdict(error=to_status(one))
    verdict = cluster_pb2.DuplicateVerdict(kind=DUPLICATE_KINDS[one.kind], similarity=one.similarity)
    if (of := one.of) is not None:
        verdict.in_collection = of.in_collection
        if of.id is None:
            verdict.index = of.index
        else:
            verdict.point.CopyFrom(payload.point_id_message(of.id))
    return verdict
