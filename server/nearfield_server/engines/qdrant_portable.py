"""Reading a Qdrant collection across its tenants: who they are, all that there is, and what was written since."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeAlias

from qdrant_client import models

from nearfield_server.engines.base import Changes, Owned
from nearfield_server.engines.qdrant_filters import live_points_of_all
from nearfield_server.engines.qdrant_points import BARE, record_of
from nearfield_server.types import Selection

__all__ = ["read_all", "read_since", "read_tenants"]

Read: TypeAlias = Callable[..., Awaitable[Any]]
_WHOLE = Selection(vector=True)
_MOST_TENANTS = 1_000_000
_MOST_OF_A_WRITE = 100_000


async def read_tenants(read: Read, now: float, after: str | None, limit: int) -> list[tuple[str, int]]:
    """Give up to `limit` tenants that come after `after`, by name, with their points. All of them are counted."""
    wanted = live_points_of_all(now)
    counted = await read("facet", key="tenant", facet_filter=wanted, limit=_MOST_TENANTS, exact=True)
    found = [(str(one.value), int(one.count)) for one in counted.hits]
    later = [one for one in found if after is None or one[0].encode() > after.encode()]
    return sorted(later, key=lambda one: one[0].encode())[:limit]


async def read_all(read: Read, now: float, vector: str, size: int) -> AsyncIterator[list[Owned]]:
    """Give all points in the order of first storing; each as it is when its part is read."""
    after = 0
    while True:
        part = await _page(read, vector, live_points_of_all(now, order=models.Range(gt=after)), "order", size)
        if not part:
            return
        after = part[-1]["order"]
        yield [_owned(one, vector) for one in part]


async def read_since(read: Read, now: float, vector: str, after: int, limit: int) -> Changes:
    """Give about `limit` points that were written after number `after`, in whole writes."""
    part = await _page(read, vector, live_points_of_all(now, version=models.Range(gt=after)), "version", limit)
    if not part:
        return Changes([], None, after)
    last = int(part[-1]["version"])
    if len(part) == limit:  # the last write may go on
        wanted = live_points_of_all(now, version=models.Range(gte=last, lte=last))
        whole = await _page(read, vector, wanted, "version", _MOST_OF_A_WRITE)
        part = [one for one in part if one["version"] < last] + whole
    return Changes([_owned(one, vector) for one in part], None, last)


async def _page(read: Read, vector: str, wanted: models.Filter, key: str, limit: int) -> list[dict[str, Any]]:
    points, _ = await read(
        "scroll",
        scroll_filter=wanted,
        order_by=models.OrderBy(key=key),
        limit=limit,
        with_payload=[*BARE, "tenant", "text", "payload", "kinds"],
        with_vectors=[vector],
    )
    return [{**one.payload, vector: one.vector[vector]} for one in points]


def _owned(stored: dict[str, Any], vector: str) -> Owned:
    return Owned(stored["tenant"], record_of(stored, stored[vector], _WHOLE))
