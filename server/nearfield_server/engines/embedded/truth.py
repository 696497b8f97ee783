"""A collection's database as a whole: its writer, its readers, and the figures that its writes change."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

from nearfield_server.engines.embedded.codec import unpack_sparse, unpack_spec, unpack_vector
from nearfield_server.engines.embedded.database import (
    FILE,
    Readers,
    connect_reader,
    connect_writer,
    damaged,
    explain,
    is_damage,
    set_durability,
)
from nearfield_server.engines.embedded.gatherer import Gatherer
from nearfield_server.engines.embedded.known_rows import KnownRows
from nearfield_server.engines.embedded.memory_rows import MemoryRow, MemoryRows
from nearfield_server.engines.embedded.schema import read_meta, take_format
from nearfield_server.engines.embedded.threads import Threads
from nearfield_server.engines.embedded.writer import Writer
from nearfield_server.engines.embedded.writes import Kept
from nearfield_server.errors import Draining, NearfieldError
from nearfield_server.types import CollectionSpec, Durability

__all__ = ["Read", "Truth"]

T = TypeVar("T")
Read: TypeAlias = Callable[[sqlite3.Connection], T]

logger = logging.getLogger("nearfield.search")

_TOGETHER = 64  # short reads done in one go
_KNOWN = 100_000  # rows, of some 200 bytes
_ALL = """
SELECT p.row, p.tenant, p.id, p.expires_at, v.vector, s.weights
FROM points p JOIN vectors v USING (row) LEFT JOIN sparse s USING (row) ORDER BY p.row
"""


class Truth:
    """Runs reads and writes in threads, and turns their errors into ours.

    `fault` says why nothing is possible any more: the collection was dropped, its file is damaged, or the
    server stops.
    """

    def __init__(self, folder: Path, threads: Threads) -> None:
        """Stand for the database in `folder`; `open` opens it."""
        self.path = folder / FILE
        self.fault: NearfieldError | None = None
        self.points = 0
        self.sequence = 0
        self.memory: MemoryRows | None = None
        self.known = KnownRows(_KNOWN)
        self._name = folder.name
        self._threads = threads
        self._readers = Readers(self.path)
        self._short: Gatherer[Read[Any], Any] = Gatherer(threads.short, self._run_short, _TOGETHER)
        self._writer: Writer | None = None
        self._durability = Durability.PROCESS

    async def open(self, exact_below: int, memory_bytes: int) -> tuple[CollectionSpec, bytes]:
        """Open it, and load a small collection into memory; give its spec and the key of its cursors.

        Raises:
            ConfigError: a newer server wrote it.
            FailedPrecondition: it is damaged.
        """
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads.long, self._open, loop, exact_below, memory_bytes)
        except (sqlite3.Error, OSError) as error:
            raise explain(error, self._name) from error
        except (ValueError, KeyError, TypeError) as error:
            raise damaged(self._name) from error

    async def short(self, read: Read[T]) -> T:
        """Run a read of some rows."""
        self.check()
        result: T = await self._guarded(self._short.ask(read))
        return result

    async def long(self, read: Read[T]) -> T:
        """Run a scan."""
        self.check()
        loop = asyncio.get_running_loop()
        return await self._guarded(loop.run_in_executor(self._threads.long, self.lent, read))

    @asynccontextmanager
    async def moment(self) -> AsyncIterator[Callable[[Read[T]], Awaitable[T]]]:
        """Lend a reader of the points as they are now, for as long as it takes; it takes no thread between reads."""
        self.check()
        run = partial(asyncio.get_running_loop().run_in_executor, self._threads.long)
        connection = await self._guarded(run(connect_reader, self.path))
        busy = threading.Lock()

        def read(job: Read[T]) -> T:
            with busy:
                if not connection.in_transaction:
                    connection.execute("BEGIN")
                return job(connection)

        def close() -> None:
            with busy:  # a read whose caller was cancelled goes on
                connection.close()

        try:
            yield lambda job: self._guarded(run(read, job))
        finally:
            await asyncio.shield(run(close))

    def lent(self, read: Read[T]) -> T:
        """Run a read in this thread."""
        with self._readers.lend() as connection:
            return read(connection)

    async def write(self, job: Read[Kept], then: Callable[[Kept], None]) -> Kept:
        """Run a write; `then` is called in the writer's thread once it is kept and the figures and memory have it."""

        def kept(result: Kept) -> None:
            if result.sequence:
                self._take_over(result)
                then(result)

        return await self._guarded(self._running().run(job, kept))

    async def change(self, job: Read[T]) -> T:
        """Run a write that touches no point."""
        return await self._guarded(self._running().run(job))

    def set_durability(self, durability: Durability) -> None:
        """Say when the writes from now on count as kept."""
        self._running().set_durability(durability)
        self._durability = durability

    async def close(self) -> None:
        """End the writes that wait, and close the file."""
        if self.fault is None:
            self.fault = Draining("the server is stopping", retry_after_seconds=1.0)
        self._readers.close()  # first: the last to close empties the log, which only the writer can
        if self._writer is not None:
            await self._writer.close()

    def check(self) -> None:
        """Raise `fault`, if there is one."""
        if self.fault is not None:
            raise self.fault.with_traceback(None)  # else it grows with each call

    def _running(self) -> Writer:
        self.check()
        if self._writer is None:  # this is a bug: `open` comes first
            raise RuntimeError("the database isn't open")
        return self._writer

    async def _guarded(self, work: Awaitable[T]) -> T:
        try:
            return await work
        except (sqlite3.Error, OSError) as error:
            if self.fault is not None:  # closed under it
                raise self.fault.with_traceback(None) from error
            if is_damage(error):
                self.fault = damaged(self._name)
            raise explain(error, self._name) from error

    def _take_over(self, kept: Kept) -> None:
        self.sequence = kept.sequence
        self.points += kept.added
        self.known.take_over(kept)
        memory = self.memory
        if memory is not None:
            try:
                memory.apply(kept)
            except Exception:
                logger.exception("the memory of a collection can't follow its writes; searches read the database")
                self.memory = None

    def _run_short(self, reads: Sequence[Read[Any]]) -> list[Any]:
        answers: list[Any] = []
        with self._readers.lend() as connection:
            for read in reads:
                try:
                    answers.append(read(connection))
                except Exception as error:  # noqa: BLE001 - the answer of this one
                    answers.append(error)
        return answers

    def _connect(self) -> sqlite3.Connection:
        return connect_writer(self.path, self._durability)

    def _open(
        self, loop: asyncio.AbstractEventLoop, exact_below: int, memory_bytes: int
    ) -> tuple[CollectionSpec, bytes]:
        if not self.path.is_file():
            raise damaged(self._name)
        connection = self._connect()
        try:
            spec, key = self._head(connection)
            self._durability = spec.durability
            set_durability(connection, spec.durability)
            self.sequence = int(read_meta(connection, "sequence"))
            (self.points,) = connection.execute("SELECT count(*) FROM points").fetchone()
            if self.points <= exact_below and self.points * spec.dimensions * 4 <= memory_bytes:
                memory = MemoryRows(spec.dimensions, spec.metric)
                memory.fill(_memory_row(values) for values in connection.execute(_ALL))
                self.memory = memory
        except BaseException:
            connection.close()
            raise
        self._writer = Writer(connection, self._connect, loop)
        return spec, key

    def _head(self, connection: sqlite3.Connection) -> tuple[CollectionSpec, bytes]:
        """Give what decides the collection."""
        if not connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'meta'").fetchone():
            raise damaged(self._name)
        take_format(connection)
        spec, key = read_meta(connection, "spec"), read_meta(connection, "key")
        if not isinstance(spec, str) or not isinstance(key, bytes):
            raise damaged(self._name)
        return unpack_spec(spec), key


def _memory_row(values: tuple[Any, ...]) -> MemoryRow:
    row, tenant, id_, expires_at, vector, weights = values
    sparse = None if weights is None else unpack_sparse(weights)
    return MemoryRow(row, tenant, id_, expires_at, unpack_vector(vector), sparse)
