"""The reads of a collection's database: points by id, pages, counts, facets, and the check of what an index found."""

from __future__ import annotations

import heapq
import sqlite3
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.embedded.codec import unpack_kinds, unpack_payload, unpack_vector
from nearfield_server.engines.embedded.known_rows import Seen
from nearfield_server.engines.embedded.payload_index import EntryKind, IndexedField, read_fields
from nearfield_server.engines.embedded.sql_filters import Where
from nearfield_server.filters import select_payload, values_at
from nearfield_server.types import FacetCount, FieldType, FilterValue, PointId, Record, Selection

__all__ = [
    "alive_rows",
    "count_points",
    "facet",
    "matching_rows",
    "read_page",
    "read_points",
    "record_of",
    "rows_of_ids",
    "seen_rows",
    "selecting",
]

_TOGETHER = 512  # values bound to one statement
_LIVE = "(p.expires_at IS NULL OR p.expires_at > ?)"
_COUNTED = {FieldType.KEYWORD, FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOL, FieldType.DATETIME}


def read_points(
    connection: sqlite3.Connection, tenant: str, ids: Sequence[PointId], select: Selection, now: float
) -> list[Record]:
    """Give the points that are there, in the order of `ids`."""
    found: dict[PointId, Record] = {}
    for part, marks in _parts(ids):
        statement = f"{selecting(select)} WHERE p.tenant = ? AND p.id IN ({marks}) AND {_LIVE}"
        for values in connection.execute(statement, (tenant, *part, now)):
            found[values[1]] = record_of(values, select)
    return [found[id_] for id_ in ids if id_ in found]


def read_page(
    connection: sqlite3.Connection,
    tenant: str,
    where: Where,
    select: Selection,
    after: int,
    bounds: tuple[int, float],
) -> list[tuple[int, Record]]:
    """Give up to `bounds[0]` points after row `after`, at the instant `bounds[1]`, with their rows."""
    sql, values = where
    limit, now = bounds
    statement = f"{selecting(select)} WHERE p.tenant = ? AND p.row > ? AND {_LIVE} AND {sql} ORDER BY p.row LIMIT ?"
    rows = connection.execute(statement, (tenant, after, now, *values, limit)).fetchall()
    return [(row[0], record_of(row, select)) for row in rows]


def alive_rows(
    connection: sqlite3.Connection, tenant: str, rows: Iterable[int], now: float, where: Where
) -> dict[int, PointId]:
    """Give the ids of those of `rows` that are there, the tenant's, not expired, and meet `where`."""
    found: dict[int, PointId] = {}
    sql, values = where
    for part, marks in _parts(list(rows)):
        statement = f"SELECT p.row, p.id FROM points p WHERE p.row IN ({marks}) AND +p.tenant = ? AND {_LIVE} AND {sql}"  # noqa: S608
        found.update(connection.execute(statement, (*part, tenant, now, *values)).fetchall())
    return found


def seen_rows(connection: sqlite3.Connection, rows: Sequence[int]) -> dict[int, Seen]:
    """Give tenant, id, end and version of those of `rows` that are there."""
    found: dict[int, Seen] = {}
    for part, marks in _parts(rows):
        statement = f"SELECT p.row, p.tenant, p.id, p.expires_at, p.sequence FROM points p WHERE p.row IN ({marks})"  # noqa: S608
        found.update((row, (tenant, id_, *rest)) for row, tenant, id_, *rest in connection.execute(statement, part))
    return found


def rows_of_ids(connection: sqlite3.Connection, tenant: str, ids: Sequence[PointId]) -> dict[PointId, int]:
    """Give the rows of the points that are there."""
    found: dict[PointId, int] = {}
    for part, marks in _parts(ids):
        statement = f"SELECT p.id, p.row FROM points p WHERE p.tenant = ? AND p.id IN ({marks})"  # noqa: S608
        found.update(connection.execute(statement, (tenant, *part)).fetchall())
    return found


def matching_rows(
    connection: sqlite3.Connection, tenant: str, where: Where, now: float | None
) -> npt.NDArray[np.int64]:
    """Give the rows of the tenant's points that meet `where`, ascending; `now` None: expired ones too."""
    sql, values = where
    live, instant = ("1", ()) if now is None else (_LIVE, (now,))
    statement = f"SELECT p.row FROM points p WHERE p.tenant = ? AND {live} AND {sql}"  # noqa: S608
    rows = connection.execute(statement, (tenant, *instant, *values))
    found = np.fromiter((row for (row,) in rows), np.int64)
    found.sort()
    return found


def count_points(connection: sqlite3.Connection, tenant: str, where: Where, now: float) -> int:
    """Count the tenant's points that meet `where`."""
    sql, values = where
    statement = f"SELECT count(*) FROM points p WHERE p.tenant = ? AND {_LIVE} AND {sql}"  # noqa: S608
    (count,) = connection.execute(statement, (tenant, now, *values)).fetchone()
    return int(count)


def facet(
    connection: sqlite3.Connection, tenant: str, path: str, where: Where, bounds: tuple[int, float]
) -> list[FacetCount]:
    """Count strings, integers and truth values of a field: the `bounds[0]` most frequent, then by their `str`.

    `bounds[1]` is the instant.
    """
    limit, now = bounds
    sql, values = where
    there = (one for one in read_fields(connection) if one.path == path and one.ready and one.type in _COUNTED)
    index = next(there, None)
    if index is not None:
        return _indexed_counts(connection, index, (tenant, now, *values, limit), sql)
    counts = _scanned_counts(connection, path, (tenant, now, *values), sql)
    return heapq.nsmallest(limit, counts, key=lambda one: (-one.count, str(one.value)))


def _indexed_counts(
    connection: sqlite3.Connection, index: IndexedField, values: tuple[Any, ...], sql: str
) -> list[FacetCount]:
    statement = (
        "SELECT f.kind, f.value, count(*) FROM entries f "  # noqa: S608
        "WHERE f.field = ? AND f.kind <= ? AND typeof(f.value) != 'real' AND f.row IN "
        f"(SELECT p.row FROM points p WHERE p.tenant = ? AND {_LIVE} AND {sql}) GROUP BY f.kind, f.value "
        "ORDER BY count(*) DESC, "
        "CASE f.kind WHEN 0 THEN CASE f.value WHEN 0 THEN 'False' ELSE 'True' END ELSE CAST(f.value AS TEXT) END "
        "LIMIT ?"
    )
    rows = connection.execute(statement, (index.field, int(EntryKind.STRING), *values))
    return [FacetCount(bool(value) if kind == EntryKind.BOOL else value, count) for kind, value, count in rows]


def _scanned_counts(connection: sqlite3.Connection, path: str, values: tuple[Any, ...], sql: str) -> list[FacetCount]:
    counts: Counter[tuple[type, FilterValue]] = Counter()
    statement = f"SELECT p.payload FROM points p WHERE p.tenant = ? AND {_LIVE} AND {sql}"  # noqa: S608
    for (payload,) in connection.execute(statement, values):
        counts.update(
            {
                (type(value), value)
                for value in values_at(unpack_payload(payload), path)
                if isinstance(value, (str, int)) and not isinstance(value, float)
            }
        )
    return [FacetCount(value, count) for (_, value), count in counts.items()]


def _parts(values: Sequence[Any]) -> Iterable[tuple[Sequence[Any], str]]:
    """Cut into parts with their marks; the last value fills up, so that few different statements are prepared."""
    for start in range(0, len(values), _TOGETHER):
        part = values[start : start + _TOGETHER]
        size = 1 << (len(part) - 1).bit_length()
        yield (*part, *[part[-1]] * (size - len(part))), ",".join("?" * size)


def selecting(select: Selection, first: str = "") -> str:
    """Give the head of a statement whose rows `record_of` takes, after the columns `first`."""
    payload = "p.kinds, p.payload" if select.payload else "'', '{}'"
    text = "(SELECT t.text FROM texts t WHERE t.row = p.row)" if select.text else "''"
    vector = "(SELECT v.vector FROM vectors v WHERE v.row = p.row)" if select.vector else "NULL"
    return f"SELECT {first}p.row, p.id, p.sequence, p.expires_at, {payload}, {text}, {vector} FROM points p"  # noqa: S608


def record_of(values: tuple[Any, ...], select: Selection) -> Record:
    """Give the point of a row."""
    _, id_, sequence, expires_at, kinds, payload, text, vector = values
    kept = unpack_payload(payload)
    sent_as = unpack_kinds(kinds)
    if select.include or select.exclude:
        kept = select_payload(kept, select)
        sent_as = {key: kind for key, kind in sent_as.items() if key in kept}
    return Record(
        id=id_,
        text=text or "",
        vector=None if vector is None else unpack_vector(vector),
        payload=kept,
        kinds=sent_as,
        expires_at=expires_at,
        version=sequence,
    )
