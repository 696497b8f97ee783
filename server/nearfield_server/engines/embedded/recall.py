"""How much of what is nearest the index finds, on a sample: what its settings and its age do to it in service."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import replace
from typing import TypeAlias

from nearfield_server.engines.base import Ranked
from nearfield_server.engines.embedded.codec import unpack_vector
from nearfield_server.types import EngineQuery

__all__ = ["measure_recall", "sample_queries"]

Search: TypeAlias = Callable[[Sequence[EngineQuery]], Awaitable[list[Ranked]]]

_QUERIES, _DEPTH = 8, 10
_VECTOR = """
SELECT v.vector FROM points p JOIN vectors v USING (row) WHERE p.tenant = ? AND p.row >= ? ORDER BY p.row LIMIT 1
"""


def sample_queries(connection: sqlite3.Connection) -> list[EngineQuery]:
    """Give searches by vectors of stored points, all of one tenant; none where there are no points."""
    (last,) = connection.execute("SELECT coalesce(max(row), 0) FROM points").fetchone()
    starts = [random.randint(0, last) for _ in range(_QUERIES)]  # noqa: S311 - a sample
    found = connection.execute("SELECT tenant FROM points WHERE row >= ? ORDER BY row LIMIT 1", (starts[0],)).fetchone()
    if found is None:
        return []
    rows = [connection.execute(_VECTOR, (found[0], start)).fetchone() for start in starts]
    return [EngineQuery(tenant=found[0], limit=_DEPTH, dense=unpack_vector(row[0])) for row in rows if row is not None]


async def measure_recall(search: Search, queries: Sequence[EngineQuery]) -> float | None:
    """Give the share of the 10 nearest that the index finds, in [0, 1]; None where it doesn't answer or none are there.

    One query after the other, so that those of callers come between.
    """
    hits = total = 0
    for query in queries:
        (found,) = await search([query])
        (right,) = await search([replace(query, exact=True)])
        if found.exact:
            return None
        nearest = {hit.id for hit in right.hits}
        hits += sum(hit.id in nearest for hit in found.hits)
        total += len(nearest)
    return hits / total if total else None
