"""Reading what was written since a point in time: how the index learns what it lacks."""

from __future__ import annotations

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass

from nearfield_server.types import Json, SparseRow, Vector

__all__ = ["Change", "read_changes"]


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
    raise NotImplementedError
