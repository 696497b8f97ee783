"""The rpcs of SearchService about points."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

from nearfield.v1 import search_pb2
from nearfield_server.core.collections import Collections
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.points import Points, UpsertCall
from nearfield_server.engines.base import Store, StreamPosition
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, filters, payload, replies
from nearfield_server.rpc.embed import deadline_of, tenant_of
from nearfield_server.rpc.enums import PRIORITIES, UPSERT_MODES
from nearfield_server.rpc.message_stream import MAX_ID_BYTES, MessageStream, Window, check_id, patiently
from nearfield_server.rpc.scrolling import Scrolling, parts
from nearfield_server.rpc.status import to_status
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import Filter, FilterValue, Limits, PayloadKind, Priority, Record, UpsertMode

__all__ = ["PointRpcs"]

_MAX_PAGE, _PAGE = 10_000, 256
_MAX_FACETS, _FACETS = 10_000, 10
_MAX_TENANTS, _TENANTS = 10_000, 1000
_MAX_TOKEN_BYTES = 128
_FETCH = 256
_CREDIT_BYTES = 1 << 16
"""A message of a stream takes a credit for so many bytes, or for each of its points, whichever are more."""
_INLINE_BYTES = 1 << 18
"""Payloads of so many bytes become values in some milliseconds: more are read off the event loop."""


@dataclass(frozen=True, slots=True)
class _Who:
    """Who calls, and how long he waits."""

    deadline: float | None
    identity: str


class PointRpcs:
    """Requests to calls, and back."""

    def __init__(
        self, collections: Collections, points: Points, registry: ModelRegistry, metrics: Metrics, idle_seconds: float
    ) -> None:
        """`registry` publishes the limits; `idle_seconds` is how long the client of a stream may stand still."""
        self._collections = collections
        self._points = points
        self._registry = registry
        self._metrics = metrics
        self._idle_seconds = idle_seconds

    async def upsert(self, request: search_pb2.UpsertRequest, context: Any) -> search_pb2.UpsertResponse:
        """Store points."""
        who = _Who(deadline_of(context), tenant_of(context))
        call = await self._call(request, "", Priority.INTERACTIVE, who)
        return _stored(await self._points.upsert(call))

    async def upsert_stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Store points message after message."""
        limits = self._registry.limits
        window = Window(
            credits=max(limits.stream_window_inputs, 2 * limits.max_inputs),
            cost=lambda message: max(len(message.upsert.points), message.ByteSize() // _CREDIT_BYTES),
            idle_seconds=self._idle_seconds,
        )
        answers = _Answers(self, _Who(deadline_of(context), tenant_of(context)))
        await MessageStream(self._registry, window, answers.answer).serve(requests, context)

    async def get_points(self, request: search_pb2.GetPointsRequest, _: Any) -> search_pb2.GetPointsResponse:
        """Give points by id."""
        ids = payload.point_ids("ids", request.ids)
        if not ids:
            raise InvalidInput("ids", "at least one is needed")
        whose, select = payload.tenant("tenant", request.tenant), payload.selection("select", request.select)
        store, reply, size = self._store(request), search_pb2.GetPointsResponse(), 0
        # In parts, so that what is over the limit is never held whole.
        for start in range(0, len(ids), _FETCH):
            for record in await store.get(whose, ids[start : start + _FETCH], select):
                point = payload.point_message(record)
                size += point.ByteSize() + 8
                if size > (limit := self._registry.limits.max_response_bytes):
                    text = f"the reply would be over {limit} bytes: ask for fewer, or for less of each (select)"
                    raise InvalidInput("ids", text, limit=limit)
                reply.points.append(point)
        return reply

    async def delete_points(self, request: search_pb2.DeletePointsRequest, _: Any) -> search_pb2.DeletePointsResponse:
        """Delete points by ids, by filter, or all."""
        ids, condition = payload.point_ids("ids", request.ids), filter_in(request)
        if bool(ids) + (condition is not None) + request.all != 1:
            raise InvalidInput("ids", "say what to delete by one of ids, filter, filter_expression and all")
        chosen = ids or condition
        whose = payload.tenant("tenant", request.tenant)
        name = convert.check_model_name("collection", request.collection)
        deleted = await self._points.delete(
            name, whose, chosen, wait=request.wait, consistency=convert.ordering("", request)
        )
        return search_pb2.DeletePointsResponse(deleted=deleted)

    async def scroll(self, request: search_pb2.ScrollRequest, _: Any) -> AsyncIterator[search_pb2.ScrollResponse]:
        """Give all points that match, in parts."""
        call = Scrolling(
            store=self._store(request),
            tenant=payload.tenant("tenant", request.tenant),
            condition=filter_in(request),
            select=payload.selection("select", request.select),
            page_size=convert.within("page_size", request.page_size, _MAX_PAGE, _PAGE),
            limit=request.limit,
            cursor=request.cursor,
            max_bytes=self._registry.limits.max_response_bytes,
        )
        async for part in parts(call):
            yield part

    async def count(self, request: search_pb2.CountRequest, _: Any) -> search_pb2.CountResponse:
        """Give how many points match."""
        condition, whose = filter_in(request), payload.tenant("tenant", request.tenant)
        store = self._store(request)
        count, exact = await store.count(whose, condition, estimate=request.estimate)
        return search_pb2.CountResponse(count=count, exact=exact)

    async def facet(self, request: search_pb2.FacetRequest, _: Any) -> search_pb2.FacetResponse:
        """Give the most frequent values of a field."""
        path = filters.path("field", request.field)
        limit = convert.within("limit", request.limit, _MAX_FACETS, _FACETS)
        condition, whose = filter_in(request), payload.tenant("tenant", request.tenant)
        counts = await self._store(request).facet(whose, path, condition, limit=limit)
        values = [search_pb2.FacetValue(value=filter_value(one.value), count=one.count) for one in counts]
        reply = search_pb2.FacetResponse(values=values)
        return replies.within_limit("limit", reply, self._registry.limits, "ask for fewer")

    async def tenants(self, request: search_pb2.ListTenantsRequest, _: Any) -> search_pb2.ListTenantsResponse:
        """Give tenants with their points."""
        limit = convert.within("limit", request.limit, _MAX_TENANTS, _TENANTS)
        after = payload.tenant("after", request.after) if request.HasField("after") else None
        store = self._collections.store(convert.check_model_name("collection", request.collection))
        found = await store.tenants(after, limit)
        tenants = [search_pb2.TenantCount(tenant=tenant, points=points) for tenant, points in found]
        return search_pb2.ListTenantsResponse(tenants=tenants)

    async def answered(
        self, message: search_pb2.UpsertStreamRequest, who: _Who, turn: asyncio.Future[None] | None
    ) -> search_pb2.UpsertResponse:
        """Store the points of a stream's message, when those of the message before it are stored or refused."""
        check_id(message.id)
        position = _position(message)
        call = await self._call(message.upsert, "upsert.", Priority.BULK, who)
        ready = await patiently(lambda: self._points.prepare(call))
        if turn is not None:
            await turn
        return _stored(await self._points.write(ready, position))

    def count_message(self, outcome: str) -> None:
        """Count a message of a stream as answered: "ok" or "error"."""
        self._metrics.stream_message(outcome)

    async def _call(self, request: search_pb2.UpsertRequest, prefix: str, priority: Priority, who: _Who) -> UpsertCall:
        if request.ByteSize() <= _INLINE_BYTES:
            return self._read(request, prefix, priority, who)
        return await asyncio.to_thread(self._read, request, prefix, priority, who)

    def _read(self, request: search_pb2.UpsertRequest, prefix: str, priority: Priority, who: _Who) -> UpsertCall:
        limits = self._registry.limits
        count, most = len(request.points), limits.max_inputs
        if not 1 <= count <= most:
            text = f"{count} in one message; 1 to {most} are allowed (Limits.max_inputs): UpsertStream takes any number"
            raise InvalidInput(f"{prefix}points", text, limit=most, count=count)
        return UpsertCall(
            collection=convert.check_model_name(f"{prefix}collection", request.collection),
            tenant=payload.tenant(f"{prefix}tenant", request.tenant),
            points=[_record(f"{prefix}points[{index}]", one, limits) for index, one in enumerate(request.points)],
            mode=convert.enum_value(f"{prefix}mode", request.mode, UPSERT_MODES, UpsertMode.UPSERT),
            wait=request.wait,
            priority=convert.enum_value(f"{prefix}priority", request.priority, PRIORITIES, priority),
            deadline=who.deadline,
            identity=who.identity,
            prefix=prefix,
            consistency=convert.ordering(prefix, request),
        )

    def _store(self, request: Any) -> Store:
        store = self._collections.store(convert.check_model_name("collection", request.collection))
        return store.at(convert.read_consistency(request))


class _Answers:
    """The replies of one UpsertStream. Vectors are made side by side; writes are made in the order of the messages."""

    def __init__(self, rpcs: PointRpcs, who: _Who) -> None:
        self._rpcs = rpcs
        self._who = who
        self._last: asyncio.Future[None] | None = None

    async def answer(self, message: search_pb2.UpsertStreamRequest) -> search_pb2.UpsertStreamResponse:
        # Before anything is awaited: tasks begin in the order of the messages.
        turn, mine = self._last, asyncio.get_running_loop().create_future()
        self._last = mine
        outcome, id_ = "error", message.id[:MAX_ID_BYTES]
        try:
            stored = await self._rpcs.answered(message, self._who, turn)
        except Exception as error:  # noqa: BLE001 - a failed message is answered and touches no other
            reply = search_pb2.UpsertStreamResponse(id=id_, error=to_status(error))
        else:
            reply, outcome = search_pb2.UpsertStreamResponse(id=id_, stored=stored), "ok"
        # What was refused early must not let those behind it overtake those before it. A cancelled stream writes no
        # more, so nobody's turn comes then.
        if turn is not None:
            await turn
        mine.set_result(None)
        self._rpcs.count_message(outcome)
        return reply


def filter_in(request: Any) -> Filter | None:
    """Give the condition of a request with `filter` and `filter_expression`. Raises `InvalidInput`."""
    return filters.filter_of(request.filter if request.HasField("filter") else None, request.filter_expression)


def filter_value(value: FilterValue) -> search_pb2.FilterValue:
    """Give a value for the wire."""
    if isinstance(value, bool):
        return search_pb2.FilterValue(boolean=value)
    if isinstance(value, str):
        return search_pb2.FilterValue(text=value)
    return search_pb2.FilterValue(integer=value) if isinstance(value, int) else search_pb2.FilterValue(number=value)


def _record(field: str, point: search_pb2.Point, limits: Limits) -> Record:
    kept: dict[str, Any] = {}
    kinds: dict[str, PayloadKind] = {}
    if point.HasField("payload"):
        kept, kinds = payload.payload_of(f"{field}.payload", point.payload)
    return Record(
        id=payload.point_id(f"{field}.id", point.id),
        text=convert.bare_text(f"{field}.text", point.text, limits),
        vector=payload.vector_of(f"{field}.vector", point.vector) if point.vector else None,
        payload=kept,
        kinds=kinds,
        expires_at=payload.epoch_seconds(f"{field}.expires_at", point.expires_at)
        if point.HasField("expires_at")
        else None,
    )


def _position(message: search_pb2.UpsertStreamRequest) -> StreamPosition | None:
    if not message.client_token:
        if message.sequence:
            raise InvalidInput("sequence", "needs client_token, the name of the stream that it counts")
        return None
    if len(message.client_token.encode()) > _MAX_TOKEN_BYTES:
        raise InvalidInput("client_token", f"over {_MAX_TOKEN_BYTES} bytes")
    if not 1 <= message.sequence < 2**63:
        raise InvalidInput("sequence", "must be 1 or more, and below 2^63")
    return StreamPosition(message.client_token, message.sequence)


def _stored(outcome: Any) -> search_pb2.UpsertResponse:
    return search_pb2.UpsertResponse(stored=outcome.stored, skipped=outcome.skipped, version=outcome.version)
