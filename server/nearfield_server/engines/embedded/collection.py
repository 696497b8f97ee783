"""One collection: `Store` on a database and the index that is derived from it."""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.base import Changes, Owned, Page, Ranked, Store, StreamPosition
from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.embedded.cursors import make_cursor, read_cursor
from nearfield_server.engines.embedded.disk import folder_bytes
from nearfield_server.engines.embedded.index import VectorIndex
from nearfield_server.engines.embedded.payload_index import change_fields, fill_slice
from nearfield_server.engines.embedded.portable import read_all, read_since, read_tenants
from nearfield_server.engines.embedded.reads import (
    alive_rows,
    count_points,
    facet,
    matching_rows,
    read_page,
    read_points,
    rows_of_ids,
)
from nearfield_server.engines.embedded.recall import measure_recall, sample_queries
from nearfield_server.engines.embedded.schema import write_meta
from nearfield_server.engines.embedded.searching import Searching
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.embedded.spec_file import write_spec_file
from nearfield_server.engines.embedded.sql_filters import EVERYTHING, matching
from nearfield_server.engines.embedded.threads import Threads
from nearfield_server.engines.embedded.truth import Truth
from nearfield_server.engines.embedded.writes import Kept, Upsert, delete_expired, delete_rows, forget_streams, upsert
from nearfield_server.errors import FailedPrecondition, NearfieldError
from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Consistency,
    EngineQuery,
    FacetCount,
    Filter,
    IndexState,
    PointId,
    Record,
    Selection,
    UpsertMode,
    UpsertOutcome,
)

__all__ = ["EmbeddedStore"]

logger = logging.getLogger("nearfield.search")

_SWEPT = 1000  # points that one job of a sweep deletes
_DELETED = 2000  # points that one job of a delete by filter deletes
_SAMPLE = 10_000  # points that an estimate looks at
_LEAST_STEP = 4  # an estimate looks at one point of more than these, or at all


class EmbeddedStore:
    """The points of one collection in `folder`."""

    def __init__(self, folder: Path, settings: EmbeddedSettings, threads: Threads, clock: Callable[[], float]) -> None:
        """Stand for the collection; `open` opens it. `clock` gives seconds since the epoch."""
        self.folder = folder
        self._settings = settings
        self._threads = threads
        self._clock = clock
        self._loop = asyncio.get_running_loop()
        self._truth = Truth(folder, threads)
        self._filling: asyncio.Task[None] | None = None
        self._to_fill = False
        self._recall: float | None = None
        self._spec: CollectionSpec
        self._key: bytes
        self._index: VectorIndex
        self._searching: Searching

    def __repr__(self) -> str:
        """Tell what is in it."""
        return f"EmbeddedStore({self.folder.name!r}, points={self._truth.points}, sequence={self._truth.sequence})"

    @property
    def spec(self) -> CollectionSpec:
        """What decides the collection."""
        return self._spec

    async def open(self) -> None:
        """Open the files, and start the index where one is needed.

        Raises:
            ConfigError: a newer server wrote them.
            FailedPrecondition: they are damaged.
        """
        spec, self._key = await self._truth.open(self._settings.exact_below, self._settings.memory_bytes)
        self._spec = replace(spec, name=self.folder.name)  # a folder that was copied is a collection of its own
        self._index = VectorIndex(self.folder / "index", self._truth.path, self._spec, self._settings.index)
        self._searching = Searching(self._truth, self._index, self._threads, self._spec.metric, self._clock)
        if self._truth.memory is None:
            self._searching.start_index()
        self._fill()

    async def upsert(
        self, tenant: str, records: Sequence[Record], mode: UpsertMode, *, wait: bool, position: StreamPosition | None
    ) -> UpsertOutcome:
        """Keep all records, or raise and keep none; see `Store`."""
        call = Upsert(tenant, records, mode, position, self._clock())
        kept = await self._truth.write(lambda connection: upsert(connection, call), self._kept)
        if wait:
            await self._searching.wait(kept.outcome.version)
        return kept.outcome

    async def delete(self, tenant: str, chosen: Sequence[PointId] | Filter | None, *, wait: bool) -> int:
        """Delete points by ids, by filter, or all of the tenant; give how many there were.

        By ids all go at once, else in slices, so that writes go on between them.
        """
        now = self._clock()
        if isinstance(chosen, Sequence):
            ids = chosen
            kept = await self._delete(tenant, lambda connection: list(rows_of_ids(connection, tenant, ids).values()))
            deleted, last = kept.deleted, kept.sequence
        else:
            wanted, deleted, last = chosen, 0, 0

            def scan(connection: sqlite3.Connection) -> list[int]:
                with matching(connection, wanted) as where:
                    return as_list(matching_rows(connection, tenant, where, now))

            rows = await self._truth.long(scan)  # not by the writer, for whom everybody waits; it looks at these again
            for start in range(0, len(rows), _DELETED):
                part = rows[start : start + _DELETED]

                def find(connection: sqlite3.Connection, part: list[int] = part) -> list[int]:
                    with matching(connection, wanted) as where:
                        return list(alive_rows(connection, tenant, part, now, where))

                kept = await self._delete(tenant, find)
                deleted, last = deleted + kept.deleted, kept.sequence or last
        if wait and last:
            await self._searching.wait(last)
        return deleted

    async def get(self, tenant: str, ids: Sequence[PointId], select: Selection) -> list[Record]:
        """Give the points that are there, in the order of `ids`."""
        now = self._clock()
        return await self._truth.short(lambda connection: read_points(connection, tenant, ids, select, now))

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Rank points for each query."""
        self._truth.check()
        return await self._searching.search(queries)

    async def scroll(
        self, tenant: str, condition: Filter | None, select: Selection, *, limit: int, cursor: str
    ) -> Page:
        """Give up to `limit` points in the order of first storing, from `cursor` on; see `Store`."""
        after, now = read_cursor(cursor, self._key), self._clock()

        def read(connection: sqlite3.Connection) -> list[tuple[int, Record]]:
            with matching(connection, condition) as where:
                return read_page(connection, tenant, where, select, after, (limit + 1, now))

        found = await self._truth.long(read)
        more = len(found) > limit
        return Page(
            [record for _, record in found[:limit]], make_cursor(found[limit - 1][0], self._key) if more else ""
        )

    async def count(self, tenant: str, condition: Filter | None, *, estimate: bool) -> tuple[int, bool]:
        """Give how many points match, and whether that is exact; an estimate looks at some thousand points."""
        now = self._clock()
        every = self._truth.points // _SAMPLE if estimate and condition is not None else 0

        def read(connection: sqlite3.Connection) -> int:
            with matching(connection, condition) as (sql, values):
                if every > _LEAST_STEP:
                    return every * count_points(connection, tenant, (f"p.row % ? = 0 AND {sql}", (every, *values)), now)
                return count_points(connection, tenant, (sql, values), now)

        return await self._truth.long(read), every <= _LEAST_STEP

    async def facet(self, tenant: str, path: str, condition: Filter | None, *, limit: int) -> list[FacetCount]:
        """Give the most frequent strings, integers and truth values of a field, then by value."""
        now = self._clock()

        def read(connection: sqlite3.Connection) -> list[FacetCount]:
            with matching(connection, condition) as where:
                return facet(connection, tenant, path, where, (limit, now))

        return await self._truth.long(read)

    async def tenants(self, after: str | None, limit: int) -> list[tuple[str, int]]:
        """Give up to `limit` tenants that come after `after`, by name, with their points."""
        now = self._clock()
        return await self._truth.long(lambda connection: read_tenants(connection, after, limit, now))

    async def export(self, *, size: int) -> AsyncIterator[list[Owned]]:
        """Give all points of all tenants as they are now, in the order of first storing, `size` at a time."""
        now, after = self._clock(), 0
        async with self._truth.moment() as read:
            while True:
                part, after = await read(partial(read_all, after=after, limit=size, now=now))
                if not part:
                    return
                yield part

    async def changes(self, after: int, limit: int) -> Changes:
        """Give about `limit` points of all tenants whose last write came after number `after`; see `Store`."""
        now = self._clock()
        async with self._truth.moment() as read:
            return await read(partial(read_since, after=after, limit=limit, now=now))

    def at(self, consistency: Consistency) -> Store:  # noqa: ARG002 - there is one copy
        """Give itself."""
        return self

    async def stats(self) -> CollectionStats:
        """Give the figures; of a damaged collection, why it is FAILED."""
        fault, started = self._truth.fault, self._searching.started
        disk_bytes = await self._loop.run_in_executor(self._threads.long, folder_bytes, self.folder)
        state, message = (self._index.state, self._index.message) if started else (IndexState.EXACT, "")
        if fault is not None:
            state, message = IndexState.FAILED, fault.message
        return CollectionStats(
            points=self._truth.points,
            index_lag=max(0, self._truth.sequence - self._index.applied) if started else 0,
            index_state=state,
            index_message=message if state is IndexState.FAILED else "",
            disk_bytes=disk_bytes,
            recall=self._recall if state is IndexState.READY else None,
        )

    async def update(self, spec: CollectionSpec) -> None:
        """Take over payload indexes, quantisation, durability and time to live; all else is as it was."""
        new = replace(
            self._spec,
            payload_indexes=dict(spec.payload_indexes),
            quantization=spec.quantization,
            durability=spec.durability,
            ttl_seconds=spec.ttl_seconds,
        )

        def change(connection: sqlite3.Connection) -> None:
            change_fields(connection, new.payload_indexes)
            write_meta(connection, "spec", pack_spec(new))

        await self._truth.change(change)
        self._truth.set_durability(new.durability)
        self._spec = new
        with suppress(OSError):  # a full disk: the copy is only for listing
            await self._loop.run_in_executor(self._threads.long, write_spec_file, self.folder, new)
        self._fill()
        await self._index.reconfigure(new)

    async def sweep(self) -> int:
        """Delete points past their time, in slices so that writes go on between them; give how many."""
        now, swept = self._clock(), 0
        await self._truth.change(lambda connection: forget_streams(connection, now))
        while True:
            kept = await self._truth.write(lambda connection: delete_expired(connection, now, _SWEPT), self._kept)
            swept += len(kept.removed)
            if len(kept.removed) < _SWEPT:
                return swept

    async def measure_recall(self) -> None:
        """Compare the index with exact search on a sample, for `stats`."""
        if self._searching.started and self._index.state is IndexState.READY:
            queries = await self._truth.long(sample_queries)
            self._recall = await measure_recall(self.search, queries)

    async def filled(self) -> None:
        """Wait until all payload indexes are filled."""
        if self._filling is not None:
            await asyncio.shield(self._filling)

    def refuse(self) -> None:
        """Answer all calls from now on with an error: the collection is being dropped."""
        name = self._spec.name
        self._truth.fault = FailedPrecondition(f"collections/{name}", f"the collection {name!r} was dropped meanwhile")

    async def close(self) -> None:
        """Let writes end, and close the files."""
        if self._filling is not None:
            self._filling.cancel()
            await asyncio.gather(self._filling, return_exceptions=True)
        await self._index.close()
        await self._truth.close()

    async def _delete(self, tenant: str, find: Callable[[sqlite3.Connection], list[int]]) -> Kept:
        """Delete the rows that `find` finds in the writer's thread."""
        now = self._clock()

        def delete(connection: sqlite3.Connection) -> Kept:
            doomed = find(connection)
            deleted = len(alive_rows(connection, tenant, doomed, now, EVERYTHING))
            kept = delete_rows(connection, doomed)
            kept.deleted = deleted
            return kept

        return await self._truth.write(delete, self._kept)

    def _kept(self, kept: Kept) -> None:
        """Hear of a write; in the writer's thread."""
        changed = len(kept.stored) + len(kept.removed)
        with suppress(RuntimeError):  # the loop is gone
            self._loop.call_soon_threadsafe(self._written, kept.sequence, changed)

    def _written(self, sequence: int, changed: int) -> None:
        memory, most = self._truth.memory, self._settings.memory_bytes
        if not self._searching.started and (
            self._truth.points > self._settings.exact_below or (memory is not None and memory.bytes_used > most)
        ):
            self._searching.start_index()
        self._searching.written(sequence, changed, most)

    def _fill(self) -> None:
        """Fill payload indexes that are new, in the background."""
        self._to_fill = True
        if self._filling is None or self._filling.done():
            self._filling = self._loop.create_task(self._fill_all())

    async def _fill_all(self) -> None:
        try:
            while self._to_fill:
                self._to_fill = False
                while await self._truth.change(fill_slice):
                    pass
        except NearfieldError as error:
            logger.warning("payload indexes of a collection aren't filled: %s", error.message)


def as_list(rows: npt.NDArray[np.int64]) -> list[int]:
    """Give rows as integers of Python, which SQLite takes."""
    found: list[int] = rows.tolist()
    return found
