"""Reading a collection across its tenants: who they are, all that there is, and what changed since a write."""

from __future__ import annotations

import sqlite3
from typing import Any

from nearfield_server.engines.base import Changes, Owned
from nearfield_server.engines.embedded.reads import record_of, selecting
from nearfield_server.engines.embedded.schema import read_meta
from nearfield_server.types import Selection

__all__ = ["read_all", "read_since", "read_tenants"]

_WHOLE = Selection(vector=True)
_SELECTING = selecting(_WHOLE, "p.tenant, ")
_LIVE = "(p.expires_at IS NULL OR p.expires_at > ?)"
_TENANTS = f"SELECT p.tenant, count(*) FROM points p WHERE {_LIVE} AND %s GROUP BY 1 ORDER BY 1 LIMIT ?"  # noqa: S608
_ALL = f"{_SELECTING} WHERE p.row > ? AND {_LIVE} ORDER BY p.row LIMIT ?"
_SINCE = f"{_SELECTING} WHERE p.sequence > ? AND p.sequence <= ? AND {_LIVE} ORDER BY p.sequence, p.row"
_GONE = "SELECT tenant, id FROM deleted WHERE sequence > ? AND sequence <= ? AND tenant IS NOT NULL"
_NTH = "SELECT sequence FROM {} WHERE sequence > ? ORDER BY sequence, row LIMIT 1 OFFSET ?"


def read_tenants(connection: sqlite3.Connection, after: str | None, limit: int, now: float) -> list[tuple[str, int]]:
    """Give up to `limit` tenants that come after `after`, by name, with their points."""
    where, values = ("p.tenant > ?", (after,)) if after is not None else ("1", ())
    return connection.execute(_TENANTS % where, (now, *values, limit)).fetchall()


def read_all(connection: sqlite3.Connection, after: int, limit: int, now: float) -> tuple[list[Owned], int]:
    """Give up to `limit` points after row `after`, and the last row."""
    rows = connection.execute(_ALL, (after, now, limit)).fetchall()
    return [_owned(row) for row in rows], rows[-1][1] if rows else after


def read_since(connection: sqlite3.Connection, after: int, limit: int, now: float) -> Changes:
    """Give what was written after number `after`, in whole writes, as few as hold `limit` points. In a transaction."""
    last = int(read_meta(connection, "sequence"))
    for table in ("points", "deleted"):
        nth = connection.execute(_NTH.format(table), (after, limit - 1)).fetchone()
        last = last if nth is None else min(last, nth[0])
    stored = [_owned(row) for row in connection.execute(_SINCE, (after, last, now))]
    return Changes(stored, connection.execute(_GONE, (after, last)).fetchall(), max(after, last))


def _owned(row: tuple[Any, ...]) -> Owned:
    return Owned(row[0], record_of(row[1:], _WHOLE))
