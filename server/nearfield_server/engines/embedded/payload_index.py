"""Payload indexes: what the table `entries` holds of a point, and how new indexes are filled.

An entry is `(field, kind, value, extra, row)`. Every index but those of words and places holds all scalars of its
field, whatever its type says, so that a filter on it is exact. A list gives an entry for each of its elements.
"""

from __future__ import annotations

import enum
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from nearfield_server.engines.embedded.codec import unpack_payload
from nearfield_server.filters import instant_of, place_of, values_at, words_of
from nearfield_server.types import FieldType, Json

__all__ = ["EntryKind", "IndexedField", "change_fields", "entries", "fill_slice", "read_fields"]

_SLICE = 500  # points a job fills or drops: others that want to write wait for some milliseconds
_LARGEST = 2**63 - 1


class EntryKind(enum.IntEnum):
    """What `value` is."""

    BOOL = 0
    NUMBER = 1
    STRING = 2
    INSTANT = 3
    """Microseconds since the epoch."""
    WORD = 4
    """`extra`: which of the field's texts it stands in."""
    PLACE = 5
    """Latitude; `extra`: longitude."""


@dataclass(frozen=True, slots=True)
class IndexedField:
    """A payload index; filters use it once it is `ready`."""

    field: int
    path: str
    type: FieldType
    ready: bool


def entries(one: IndexedField, payload: Mapping[str, Json], text: str) -> Iterator[tuple[EntryKind, object, object]]:
    """Give kind, value and extra of what an index holds of a point; some may come twice."""
    values: list[Json] = list(values_at(payload, one.path)) if one.path else [text]
    for number, value in enumerate(values):
        if one.type is FieldType.TEXT:
            if isinstance(value, str):
                yield from ((EntryKind.WORD, word, number) for word in set(words_of(value)))
        elif one.type is FieldType.GEO:
            place = place_of(value)
            if place is not None:
                yield EntryKind.PLACE, float(place.latitude), float(place.longitude)
        else:
            yield from _scalar(value)
            instant = instant_of(value) if one.type is FieldType.DATETIME else None
            if instant is not None:
                yield EntryKind.INSTANT, instant, 0


def _scalar(value: Json) -> Iterator[tuple[EntryKind, object, object]]:
    if isinstance(value, bool):
        yield EntryKind.BOOL, int(value), 0
    elif isinstance(value, int):
        yield EntryKind.NUMBER, value if -_LARGEST - 1 <= value <= _LARGEST else float(value), 0
    elif isinstance(value, float):
        yield EntryKind.NUMBER, value, 0
    elif isinstance(value, str):
        yield EntryKind.STRING, value, 0


def read_fields(connection: sqlite3.Connection) -> list[IndexedField]:
    """Give the indexes that are there or come; not those that go."""
    rows = connection.execute("SELECT field, path, type, state FROM fields WHERE state != 'going' ORDER BY field")
    return [IndexedField(field, path, FieldType(type_), state == "ready") for field, path, type_, state in rows]


def change_fields(connection: sqlite3.Connection, wanted: Mapping[str, FieldType]) -> None:
    """Note which indexes are wanted from now on; `fill_slice` does the work."""
    for one in read_fields(connection):
        if wanted.get(one.path) is not one.type:
            connection.execute("UPDATE fields SET state = 'going' WHERE field = ?", (one.field,))
    there = {one.path for one in read_fields(connection)}
    empty = connection.execute("SELECT 1 FROM points LIMIT 1").fetchone() is None
    for path, type_ in wanted.items():
        if path not in there:
            connection.execute(
                "INSERT INTO fields (path, type, state, filled) VALUES (?, ?, ?, 0)",
                (path, type_.value, "ready" if empty else "coming"),
            )


def fill_slice(connection: sqlite3.Connection) -> bool:
    """Do a part of the work on indexes that come or go; tell whether there may be more."""
    found = connection.execute(
        "SELECT field, path, type, state, filled FROM fields WHERE state != 'ready' ORDER BY field LIMIT 1"
    ).fetchone()
    if found is None:
        return False
    field, path, type_, state, filled = found
    if state == "going":
        _empty(connection, field)
    else:
        _fill(connection, IndexedField(field, path, FieldType(type_), ready=False), filled)
    return True


def _empty(connection: sqlite3.Connection, field: int) -> None:
    doomed: Sequence[tuple[object, ...]] = connection.execute(
        "SELECT field, kind, value, extra, row FROM entries WHERE field = ? LIMIT ?", (field, _SLICE * 4)
    ).fetchall()
    connection.executemany(
        "DELETE FROM entries WHERE field = ? AND kind = ? AND value = ? AND extra = ? AND row = ?", doomed
    )
    if not doomed:
        connection.execute("DELETE FROM fields WHERE field = ?", (field,))


def _fill(connection: sqlite3.Connection, one: IndexedField, filled: int) -> None:
    rows = connection.execute(
        "SELECT p.row, p.payload, t.text FROM points p LEFT JOIN texts t USING (row) "
        "WHERE p.row > ? ORDER BY p.row LIMIT ?",
        (filled, _SLICE),
    ).fetchall()
    for row, payload, text in rows:
        connection.executemany(
            "INSERT OR IGNORE INTO entries (field, kind, value, extra, row) VALUES (?, ?, ?, ?, ?)",
            [(one.field, *entry, row) for entry in entries(one, unpack_payload(payload), text or "")],
        )
    if rows:
        connection.execute("UPDATE fields SET filled = ? WHERE field = ?", (rows[-1][0], one.field))
    else:
        connection.execute("UPDATE fields SET state = 'ready' WHERE field = ?", (one.field,))
