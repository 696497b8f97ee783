"""The tables of a collection's database, `points.sqlite3`.

    points   row, tenant, id, sequence, expires_at, kinds, payload   what scans of payload read
    texts    row, text                                               apart, so that those scans stay small
    vectors  row, vector                                             float32, little-endian
    sparse   row, weights                                            uint32 ids, then float32 weights
    deleted  row, sequence, tenant, id                               rows that are gone: the index must learn it
    entries  field, kind, value, extra, row                          payload indexes; see payload_index.py
    fields   field, path, type, state, filled                        which there are, and how far they are filled
    streams  tenant, token, sequence, version, kept_at               the last message kept of each named stream
    meta     key, value                                              format, spec, key of cursors, last sequence

`row` is AUTOINCREMENT: never used again, so the index can't take a point for one that was deleted. `id` has no type:
the string "1" and the integer 1 are two values.
"""

from __future__ import annotations

import secrets
import sqlite3

from nearfield_server.errors import ConfigError

__all__ = ["FORMAT", "create_tables", "read_meta", "take_format", "write_meta"]

FORMAT = 2
"""1: `deleted` had neither tenant nor id, which stay NULL for what was deleted then."""

_TABLES = """
CREATE TABLE meta (key TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE points (
  row INTEGER PRIMARY KEY AUTOINCREMENT,
  tenant TEXT NOT NULL,
  id NOT NULL,
  sequence INTEGER NOT NULL,
  expires_at REAL,
  kinds TEXT NOT NULL,
  payload TEXT NOT NULL,
  UNIQUE (tenant, id)
);
CREATE INDEX points_tenant ON points (tenant, row, expires_at);
CREATE INDEX points_sequence ON points (sequence, row);
CREATE INDEX points_expiry ON points (expires_at, row) WHERE expires_at IS NOT NULL;
CREATE TABLE texts (row INTEGER PRIMARY KEY, text TEXT NOT NULL);
CREATE TABLE vectors (row INTEGER PRIMARY KEY, vector BLOB NOT NULL);
CREATE TABLE sparse (row INTEGER PRIMARY KEY, weights BLOB NOT NULL);
CREATE TABLE deleted (row INTEGER PRIMARY KEY, sequence INTEGER NOT NULL, tenant TEXT, id);
CREATE INDEX deleted_sequence ON deleted (sequence, row);
CREATE TABLE entries (
  field INTEGER NOT NULL,
  kind INTEGER NOT NULL,
  value NOT NULL,
  extra NOT NULL,
  row INTEGER NOT NULL,
  PRIMARY KEY (field, kind, value, extra, row)
) WITHOUT ROWID;
CREATE TABLE fields (
  field INTEGER PRIMARY KEY AUTOINCREMENT,
  path TEXT NOT NULL,
  type TEXT NOT NULL,
  state TEXT NOT NULL,
  filled INTEGER NOT NULL
);
CREATE TABLE streams (
  tenant TEXT NOT NULL,
  token TEXT NOT NULL,
  sequence INTEGER NOT NULL,
  version INTEGER NOT NULL,
  kept_at REAL NOT NULL,
  PRIMARY KEY (tenant, token)
) WITHOUT ROWID;
"""


def create_tables(connection: sqlite3.Connection, spec: str) -> None:
    """Make the tables of a new collection, whose spec is `spec` as JSON."""
    connection.executescript(f"BEGIN; {_TABLES}")
    write_meta(connection, "format", FORMAT)
    write_meta(connection, "spec", spec)
    write_meta(connection, "key", secrets.token_bytes(16))
    write_meta(connection, "sequence", 0)
    connection.execute("COMMIT")


def take_format(connection: sqlite3.Connection) -> None:
    """Make sure that this server reads the file, and bring an older one up to date.

    Raises:
        ConfigError: a newer server wrote it.
    """
    found = int(read_meta(connection, "format"))
    if found > FORMAT:
        raise ConfigError(
            f"the collection's files have format {found}, this server reads up to {FORMAT}; use a newer server"
        )
    if found < FORMAT:
        connection.executescript(
            "BEGIN; ALTER TABLE deleted ADD COLUMN tenant TEXT; ALTER TABLE deleted ADD COLUMN id;"
        )
        write_meta(connection, "format", FORMAT)
        connection.execute("COMMIT")


def read_meta(connection: sqlite3.Connection, key: str) -> str | int | bytes:
    """Give the value of a key that is always there."""
    found = connection.execute("SELECT value FROM meta WHERE key = ?", (key,)).fetchone()
    if found is None:
        raise sqlite3.DatabaseError(f"the collection's database lacks {key}")
    value: str | int | bytes = found[0]
    return value


def write_meta(connection: sqlite3.Connection, key: str, value: str | float | bytes) -> None:
    """Keep a value."""
    connection.execute("INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)", (key, value))
