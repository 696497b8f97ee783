"""Scroll: pages of the engine to messages that are under the limit of a reply.

The engine is asked for as many points at a time as are expected to fit, so what is held is bounded by the limit,
however large points are. A message ends where a page of the engine ends: that is what its cursor stands for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass

from nearfield.v1 import search_pb2
from nearfield_server.engines.base import Store
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc.payload import point_message
from nearfield_server.types import Filter, Selection

__all__ = ["Scrolling", "parts"]

_FIRST, _MOST = 32, 256
"""Points that the engine is asked for: at first, while their size isn't known, and at most."""
_FRAME_BYTES = 1024
_POINT_BYTES = 8


@dataclass(frozen=True, slots=True, kw_only=True)
class Scrolling:
    """A well-formed request; `limit` 0: no limit."""

    store: Store
    tenant: str
    condition: Filter | None
    select: Selection
    page_size: int
    limit: int
    cursor: str
    max_bytes: int


async def parts(call: Scrolling) -> AsyncIterator[search_pb2.ScrollResponse]:
    """Give all points. Raises `InvalidInput` where one point alone is over the limit."""
    budget = call.max_bytes - _FRAME_BYTES
    cursor, given, chunk, size = call.cursor, 0, _FIRST, 0
    points: list[search_pb2.Point] = []
    while True:
        want = min(chunk, call.page_size - len(points), call.limit - given if call.limit else chunk)
        page = await call.store.scroll(call.tenant, call.condition, call.select, limit=want, cursor=cursor)
        found = [point_message(one) for one in page.records]
        found_bytes = sum(one.ByteSize() + _POINT_BYTES for one in found)
        if points and size + found_bytes > budget:
            yield search_pb2.ScrollResponse(points=points, cursor=cursor)
            points, size = [], 0
        if found_bytes > budget:
            if len(found) == 1:
                text = f"a point has over {budget} bytes: leave out its text, vector or fields"
                raise InvalidInput("select", text, limit=budget)
            chunk = max(1, len(found) // 2)
            continue
        points += found
        size += found_bytes
        given += len(found)
        cursor = page.cursor
        last = not cursor or (call.limit and given >= call.limit)
        if last or len(points) >= call.page_size:
            yield search_pb2.ScrollResponse(points=points, cursor=cursor)
            points, size = [], 0
        if last:
            return
        if found:
            chunk = max(1, min(_MOST, 2 * chunk, budget * len(found) // (2 * found_bytes)))
