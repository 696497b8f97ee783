"""Reading what was written since a point in time: how the index learns what it lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nearfield_server.engines.embedded.codec import unpack_payload, unpack_sparse, unpack_vector
from nearfield_server.types import Json, SparseRow, Vector

__all__ = ["Change", "read_changes"]

_LIVE = """
SELECT p.row, p.sequence, p.tenant, p.id, t.text, p.payload, v.vector, s.weights
FROM points p LEFT JOIN texts t USING (row) LEFT JOIN vectors v USING (row) LEFT JOIN sparse s USING (row)
"""
_LIVE_AFTER = _LIVE + "WHERE p.sequence > ? ORDER BY p.sequence, p.row LIMIT ?"
_LIVE_OF = _LIVE + "WHERE p.sequence = ? ORDER BY p.row"
_GONE_AFTER = "SELECT row, sequence FROM deleted WHERE sequence > ? ORDER BY sequence, row LIMIT ?"
_GONE_OF = "SELECT row, sequence FROM deleted WHERE sequence = ? ORDER BY row"


@dataclass(frozen=True, slots=True)
class Change:
    """The last state of a row written in `sequence`; a deleted one has no vector.

    `row` is the number that stands for the point in the index; it is never used again for another point.
    """

    row: int
    sequence: int
    deleted: bool
    tenant: str = ""
    id: str | int = ""
    text: str = ""
    payload: Mapping[str, Json] | None = None
    vector: Vector | None = None
    sparse: SparseRow | None = None


def read_changes(connection: sqlite3.Connection, after: int, limit: int) -> list[Change]:
    """Give up to `limit` rows whose last write came after number `after`, by that number, ties by row.

    A write isn't cut in two: more than `limit` rows are given where its rows would be.
    """
    own = not connection.in_transaction
    if own:  # both tables are read as of one moment
        connection.execute("BEGIN")
    try:
        found = _read(connection, _LIVE_AFTER, _GONE_AFTER, (after, limit))[:limit]
        if len(found) < limit or not found:
            return found
        last = found[-1].sequence
        return [one for one in found if one.sequence < last] + _read(connection, _LIVE_OF, _GONE_OF, (last,))
    finally:
        if own:
            connection.execute("COMMIT")


def _read(connection: sqlite3.Connection, live: str, gone: str, arguments: tuple[int, ...]) -> list[Change]:
    found = [_live(values) for values in connection.execute(live, arguments)]
    found += [Change(row, sequence, deleted=True) for row, sequence in connection.execute(gone, arguments)]
    return sorted(found, key=lambda one: (one.sequence, one.row))


def _live(values: tuple[Any, ...]) -> Change:
    row, sequence, tenant, id_, text, payload, vector, sparse = values
    return Change(
        row,
        sequence,
        deleted=False,
        tenant=tenant,
        id=id_,
        text=text or "",
        payload=unpack_payload(payload),
        vector=None if vector is None else unpack_vector(vector),
        sparse=None if sparse is None else unpack_sparse(sparse),
    )
