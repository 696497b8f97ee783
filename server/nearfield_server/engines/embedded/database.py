"""Connections to a collection's database: one that writes, a few that read, and what their errors mean."""

from __future__ import annotations

import errno
import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from nearfield_server.engines.embedded.sql_filters import add_functions
from nearfield_server.errors import FailedPrecondition, NearfieldError, StorageFull
from nearfield_server.types import Durability

__all__ = [
    "FILE",
    "Readers",
    "connect_reader",
    "connect_writer",
    "damaged",
    "explain",
    "is_damage",
    "set_durability",
    "sync_folder",
]

FILE = "points.sqlite3"

_PAGE_BYTES = 8192
_WRITER_CACHE_KIB = 32_768
_READER_CACHE_KIB = 8_192
_WAL_BYTES = 64 * 2**20
_BUSY_SECONDS = 30.0
_STATEMENTS = 256
_IDLE_READERS = 4
_RETRY_SECONDS = 5.0
_CODE = 0xFF  # the low byte of an extended code is the plain one
_NO_SPACE = {sqlite3.SQLITE_IOERR_WRITE, sqlite3.SQLITE_IOERR_SHMSIZE}  # quotas, limits on file size, a full -shm


def connect_writer(path: Path, durability: Durability) -> sqlite3.Connection:
    """Open the file for writing, in WAL mode (https://sqlite.org/wal.html), and make it if it isn't there."""
    connection = sqlite3.connect(
        path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False, cached_statements=_STATEMENTS
    )
    try:
        connection.execute(f"PRAGMA page_size = {_PAGE_BYTES}")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute(f"PRAGMA journal_size_limit = {_WAL_BYTES}")
        connection.execute(f"PRAGMA cache_size = -{_WRITER_CACHE_KIB}")
        set_durability(connection, durability)
        add_functions(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def set_durability(connection: sqlite3.Connection, durability: Durability) -> None:
    """Say when a commit is kept; outside a transaction.

    NORMAL syncs at checkpoints alone: the log is in the system's hands, which survives the end of this process. FULL
    syncs the log at each commit (https://sqlite.org/pragma.html#pragma_synchronous).
    """
    connection.execute(f"PRAGMA synchronous = {'FULL' if durability is Durability.DISK else 'NORMAL'}")


def connect_reader(path: Path) -> sqlite3.Connection:
    """Open the file for reading alone; temporary tables may be made."""
    connection = sqlite3.connect(
        f"{path.absolute().as_uri()}?mode=ro",
        timeout=_BUSY_SECONDS,
        isolation_level=None,
        check_same_thread=False,
        cached_statements=_STATEMENTS,
        uri=True,
    )
    connection.execute("PRAGMA temp_store = MEMORY")
    connection.execute(f"PRAGMA cache_size = -{_READER_CACHE_KIB}")
    add_functions(connection)
    return connection


def sync_folder(folder: Path) -> None:
    """Make names in a folder survive power loss."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


class Readers:
    """Connections that read, each lent to one thread at a time."""

    def __init__(self, path: Path) -> None:
        """Read the database at `path`; connections are opened as they are needed."""
        self._path = path
        self._lock = threading.Lock()
        self._idle: list[sqlite3.Connection] = []
        self._closed = False

    @contextmanager
    def lend(self) -> Iterator[sqlite3.Connection]:
        """Give a connection for the length of a block; what it found at fault isn't lent again."""
        with self._lock:
            connection = self._idle.pop() if self._idle else None
        connection = connection or connect_reader(self._path)
        try:
            yield connection
        except BaseException:
            connection.close()
            raise
        with self._lock:
            keep = not self._closed and len(self._idle) < _IDLE_READERS
            if keep:
                self._idle.append(connection)
        if not keep:
            connection.close()

    def close(self) -> None:
        """Close those that are idle now, the others when they come back."""
        with self._lock:
            self._closed = True
            idle, self._idle = self._idle, []
        for connection in idle:
            connection.close()


def is_damage(error: BaseException) -> bool:
    """Tell whether the file isn't what it should be."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _CODE in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}


def explain(error: BaseException, name: str) -> BaseException:
    """Give what a caller should see of an error that arose in the collection `name`."""
    if isinstance(error, NearfieldError) or not isinstance(error, (sqlite3.Error, OSError)):
        return error
    code = getattr(error, "sqlite_errorcode", None)
    full = code is not None and (code & _CODE == sqlite3.SQLITE_FULL or code in _NO_SPACE)
    if full or (isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}):
        return StorageFull(
            "the disk of the data folder is full: nothing of this call was kept; free space, then send it again",
            retry_after_seconds=_RETRY_SECONDS,
        )
    if is_damage(error):
        return damaged(name)
    return error


def damaged(name: str) -> FailedPrecondition:
    """Give the error of a collection whose file can't be read."""
    return FailedPrecondition(
        f"collections/{name}",
        f"the database of collection {name!r} is damaged; restore it from a snapshot, or delete the collection",
    )
