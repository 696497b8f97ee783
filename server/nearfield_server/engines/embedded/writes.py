"""The writes to a collection's database: each is a job of `writer.Writer`, run within its transaction."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from nearfield_server.engines.base import StreamPosition
from nearfield_server.engines.embedded.codec import (
    pack_kinds,
    pack_payload,
    pack_sparse,
    pack_vector,
    unpack_kinds,
    unpack_payload,
)
from nearfield_server.engines.embedded.payload_index import IndexedField, entries, read_fields
from nearfield_server.engines.embedded.schema import read_meta, write_meta
from nearfield_server.types import Json, PointId, Record, UpsertMode, UpsertOutcome

__all__ = ["Kept", "Stored", "Upsert", "delete_expired", "delete_rows", "forget_streams", "upsert"]

_STREAM_SECONDS = 24 * 3600.0
_SLICE = 1000  # rows that are deleted under one number: the index takes a write as a whole

_FIND = "SELECT row, expires_at, kinds, payload FROM points WHERE tenant = ? AND id = ?"
_INSERT = "INSERT INTO points (row, tenant, id, sequence, expires_at, kinds, payload) VALUES (?, ?, ?, ?, ?, ?, ?)"
_UPDATE = "UPDATE points SET sequence = ?, expires_at = ?, kinds = ?, payload = ? WHERE row = ?"
_REPLACE_TEXT = "INSERT OR REPLACE INTO texts (row, text) VALUES (?, ?)"
_REPLACE_VECTOR = "INSERT OR REPLACE INTO vectors (row, vector) VALUES (?, ?)"
_REPLACE_SPARSE = "INSERT OR REPLACE INTO sparse (row, weights) VALUES (?, ?)"
_DROP_SPARSE = "DELETE FROM sparse WHERE row = ?"
_ADD_ENTRY = "INSERT OR IGNORE INTO entries (field, kind, value, extra, row) VALUES (?, ?, ?, ?, ?)"
_NOTE_DELETED = "INSERT INTO deleted SELECT row, ?, tenant, id FROM points WHERE row = ?"
_DROP_ENTRY = "DELETE FROM entries WHERE field = ? AND kind = ? AND value = ? AND extra = ? AND row = ?"


@dataclass(frozen=True, slots=True)
class Upsert:
    """What to store, at which instant."""

    tenant: str
    records: Sequence[Record]
    mode: UpsertMode
    position: StreamPosition | None
    now: float


@dataclass(frozen=True, slots=True)
class Stored:
    """A point as it is kept now; `record` None: its vector and text are as before."""

    row: int
    tenant: str
    id: PointId
    expires_at: float | None
    record: Record | None


@dataclass(slots=True)
class Kept:
    """What a write did. A row that was replaced stands in `stored` alone. `sequence` 0: it did nothing.

    `added`: how many more points there are. `deleted`: points that were removed before their time was over.
    """

    sequence: int = 0
    added: int = 0
    deleted: int = 0
    stored: list[Stored] = field(default_factory=list)
    removed: list[int] = field(default_factory=list)
    outcome: UpsertOutcome = field(default_factory=lambda: UpsertOutcome(0, 0, 0))


@dataclass(slots=True)
class _Rows:
    """What one upsert puts into the tables, gathered so that each is written once; `fields`: indexes to keep."""

    fields: Sequence[IndexedField]
    inserted: list[tuple[object, ...]] = field(default_factory=list)
    texts: list[tuple[int, str]] = field(default_factory=list)
    vectors: list[tuple[int, bytes]] = field(default_factory=list)
    sparse: list[tuple[int, bytes]] = field(default_factory=list)
    wordless: list[tuple[int]] = field(default_factory=list)
    entries: list[tuple[object, ...]] = field(default_factory=list)

    def write(self, connection: sqlite3.Connection) -> None:
        for statement, values in (
            (_INSERT, self.inserted),
            (_REPLACE_TEXT, self.texts),
            (_REPLACE_VECTOR, self.vectors),
            (_DROP_SPARSE, self.wordless),
            (_REPLACE_SPARSE, self.sparse),
            (_ADD_ENTRY, self.entries),
        ):
            if values:
                connection.executemany(statement, values)


def upsert(connection: sqlite3.Connection, call: Upsert) -> Kept:
    """Store points as `call.mode` says. Of several with the same id the last one counts."""
    records = {record.id: record for record in call.records}
    known = _position(connection, call)
    if known is not None:
        return Kept(outcome=UpsertOutcome(len(records), 0, known))
    sequence = _number(connection)
    kept = Kept(sequence=sequence)
    rows = _Rows(read_fields(connection))
    next_row = _next_row(connection)
    for record in records.values():
        found = connection.execute(_FIND, (call.tenant, record.id)).fetchone()
        if found is not None and found[1] is not None and found[1] <= call.now:
            kept.removed.append(found[0])
            kept.added -= 1
            remove(connection, [found[0]], sequence, rows.fields)
            found = None
        if found is None and call.mode in {UpsertMode.UPSERT, UpsertMode.CREATE}:
            _insert(rows, kept, call, record, next_row)
            next_row += 1
        elif found is not None and call.mode is not UpsertMode.CREATE:
            _update(connection, rows, kept, call, record, found)
    rows.write(connection)
    kept.outcome = UpsertOutcome(len(kept.stored), len(records) - len(kept.stored), sequence)
    _remember(connection, call, sequence)
    return kept


def delete_rows(connection: sqlite3.Connection, doomed: Sequence[int]) -> Kept:
    """Delete points that are there, by row."""
    fields = read_fields(connection)
    kept = Kept(removed=list(doomed), added=-len(doomed))
    for start in range(0, len(doomed), _SLICE):
        kept.sequence = _number(connection)
        remove(connection, doomed[start : start + _SLICE], kept.sequence, fields)
    return kept


def delete_expired(connection: sqlite3.Connection, now: float, limit: int) -> Kept:
    """Delete up to `limit` points that are past their time."""
    statement = "SELECT row FROM points WHERE expires_at IS NOT NULL AND expires_at <= ? ORDER BY expires_at LIMIT ?"
    return delete_rows(connection, [row for (row,) in connection.execute(statement, (now, limit))])


def forget_streams(connection: sqlite3.Connection, now: float) -> None:
    """Forget the positions of streams that were kept long ago."""
    connection.execute("DELETE FROM streams WHERE kept_at < ?", (now - _STREAM_SECONDS,))


def remove(
    connection: sqlite3.Connection, doomed: Sequence[int], sequence: int, fields: Sequence[IndexedField]
) -> None:
    """Delete rows from all tables, and note it under `sequence`."""
    rows = [(row,) for row in doomed]
    if fields:
        for (row,) in rows:
            _drop_entries(connection, row, fields)
    connection.executemany(_NOTE_DELETED, [(sequence, row) for row in doomed])
    for table in ("points", "texts", "vectors", "sparse"):
        connection.executemany(f"DELETE FROM {table} WHERE row = ?", rows)  # noqa: S608 - names of ours


def _position(connection: sqlite3.Connection, call: Upsert) -> int | None:
    """Give the number of the write that holds `call.position`, if it is kept already."""
    if call.position is None:
        return None
    found = connection.execute(
        "SELECT sequence, version, kept_at FROM streams WHERE tenant = ? AND token = ?",
        (call.tenant, call.position.token),
    ).fetchone()
    if found is None or found[0] < call.position.sequence or found[2] < call.now - _STREAM_SECONDS:
        return None
    version: int = found[1]
    return version


def _remember(connection: sqlite3.Connection, call: Upsert, sequence: int) -> None:
    if call.position is not None:
        connection.execute(
            "INSERT OR REPLACE INTO streams (tenant, token, sequence, version, kept_at) VALUES (?, ?, ?, ?, ?)",
            (call.tenant, call.position.token, call.position.sequence, sequence, call.now),
        )


def _number(connection: sqlite3.Connection) -> int:
    """Give the number of a new write."""
    number = int(read_meta(connection, "sequence")) + 1
    write_meta(connection, "sequence", number)
    return number


def _next_row(connection: sqlite3.Connection) -> int:
    found = connection.execute("SELECT seq FROM sqlite_sequence WHERE name = 'points'").fetchone()
    return 1 if found is None else found[0] + 1


def _insert(rows: _Rows, kept: Kept, call: Upsert, record: Record, row: int) -> None:
    kinds, payload = pack_kinds(record.kinds), pack_payload(record.payload)
    rows.inserted.append((row, call.tenant, record.id, kept.sequence, record.expires_at, kinds, payload))
    _put(rows, row, record)
    rows.entries.extend(_rows_of(rows.fields, row, record.payload, record.text))
    kept.added += 1
    kept.stored.append(Stored(row, call.tenant, record.id, record.expires_at, record))


def _update(
    connection: sqlite3.Connection,
    rows: _Rows,
    kept: Kept,
    call: Upsert,
    record: Record,
    found: tuple[int, float | None, str, str],
) -> None:
    row, expires_at, kinds, payload = found
    if rows.fields:
        _drop_entries(connection, row, rows.fields)
    if call.mode is UpsertMode.PAYLOAD:
        old_kinds = {key: kind for key, kind in unpack_kinds(kinds).items() if key not in record.payload}
        new_kinds, new_payload = {**old_kinds, **record.kinds}, {**unpack_payload(payload), **record.payload}
        expires_at = expires_at if record.expires_at is None else record.expires_at
        text = _text(connection, row) if rows.fields else ""
    else:
        new_kinds, new_payload, expires_at = dict(record.kinds), dict(record.payload), record.expires_at
        text = record.text
        _put(rows, row, record)
    changed = (kept.sequence, expires_at, pack_kinds(new_kinds), pack_payload(new_payload), row)
    connection.execute(_UPDATE, changed)
    rows.entries.extend(_rows_of(rows.fields, row, new_payload, text))
    whole = None if call.mode is UpsertMode.PAYLOAD else record
    kept.stored.append(Stored(row, call.tenant, record.id, expires_at, whole))


def _put(rows: _Rows, row: int, record: Record) -> None:
    """Note text, vector and words."""
    rows.texts.append((row, record.text))
    if record.vector is not None:
        rows.vectors.append((row, pack_vector(record.vector)))
    if record.sparse is not None and len(record.sparse.ids):
        rows.sparse.append((row, pack_sparse(record.sparse)))
    else:
        rows.wordless.append((row,))


def _rows_of(
    fields: Sequence[IndexedField], row: int, payload: Mapping[str, Json], text: str
) -> Iterable[tuple[object, ...]]:
    for one in fields:
        for kind, value, extra in entries(one, payload, text):
            yield (one.field, kind, value, extra, row)


def _drop_entries(connection: sqlite3.Connection, row: int, fields: Sequence[IndexedField]) -> None:
    """Drop what the payload indexes hold of a row; what they hold follows from its payload."""
    found = connection.execute("SELECT payload FROM points WHERE row = ?", (row,)).fetchone()
    if found is not None:
        old = _rows_of(fields, row, unpack_payload(found[0]), _text(connection, row))
        connection.executemany(_DROP_ENTRY, list(old))


def _text(connection: sqlite3.Connection, row: int) -> str:
    found = connection.execute("SELECT text FROM texts WHERE row = ?", (row,)).fetchone()
    return found[0] if found else ""
