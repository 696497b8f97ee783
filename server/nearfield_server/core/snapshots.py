"""Keeping a collection as files, and making one from them, whichever engine holds it.

Creating reads the engine's `export`: nothing stops meanwhile. Restoring verifies every file before it makes anything,
and what it makes is done away with unless it is whole: at the error, or at the next start of a server that was killed.
"""

from __future__ import annotations

import asyncio
import difflib
import itertools
import logging
import time
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterable
from contextlib import aclosing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from nearfield_server.core.collection_calls import CollectionView
from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.collections import Collections, check_name
from nearfield_server.core.snapshot_files import Part, SnapshotFiles, SnapshotInfo
from nearfield_server.core.uncut import uncut
from nearfield_server.engines.base import Owned, Store
from nearfield_server.errors import AlreadyExists, DataDamaged, ModelNotReady, SnapshotNotFound
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import UpsertMode

__all__ = ["Progress", "Snapshots"]

logger = logging.getLogger("nearfield.search")

_PART_BYTES = 32 * 2**20
_READ, _WRITTEN = 500, 500
"""Points that the engine is asked for and given at a time."""
_TELL_SECONDS = 1.0
_POINT_BYTES = 200  # what an object costs beside its content, roughly


@dataclass(frozen=True, slots=True)
class Progress:
    """Points done and in all, and bytes written or read."""

    points: int
    total: int
    bytes: int


class Snapshots:
    """Creates, restores, lists and deletes snapshots; one at a time, the others wait."""

    def __init__(
        self, place: str, collections: Collections, vectors: CollectionVectors, metrics: SearchMetrics
    ) -> None:
        """Keep them at `place`, a folder or a URL; `open` opens it. `vectors` makes the words of restored texts."""
        self._place = place
        self._collections = collections
        self._vectors = vectors
        self._metrics = metrics
        self._files: SnapshotFiles | None = None
        self._turn = asyncio.Lock()

    def __repr__(self) -> str:
        """Tell where they are."""
        return f"<Snapshots at {self._place!r}>"

    async def open(self) -> None:
        """Find the place. Raises `ConfigError`."""
        self._files = await asyncio.to_thread(SnapshotFiles, self._place)

    async def create(self, collection: str, name: str) -> AsyncGenerator[Progress | SnapshotInfo, None]:
        """Write a collection; give progress about once a second, then the snapshot.

        Raises:
            CollectionNotFound, InvalidInput: of the names.
            AlreadyExists: there is a snapshot of that name.
            StorageFull, Unavailable: of the place.
        """
        store, files = self._collections.store(collection), self._opened()
        now = datetime.now(UTC).replace(microsecond=0)
        name = name or f"{store.spec.name[:47]}-{now:%Y%m%dT%H%M%SZ}"
        check_name("name", name)
        async with self._turn:
            if await _exists(files, name):
                raise AlreadyExists("name: there is a snapshot of that name", f"snapshots/{name}")
            with self._metrics.snapshot("create"):
                try:
                    await asyncio.to_thread(files.remove_unfinished, name)
                    async with aclosing(self._write(files, store, name)) as steps:
                        async for step in steps:
                            if isinstance(step, Progress):
                                yield step
                            else:
                                parts = step
                    engine = (await self._collections.view(store)).engine
                    info = SnapshotInfo(name=name, spec=store.spec, engine=engine, created_at=now, parts=tuple(parts))
                    await asyncio.to_thread(files.finish, info)
                except BaseException:
                    await _tidy(asyncio.to_thread(files.remove, name))
                    raise
        yield info

    async def restore(self, name: str, collection: str) -> AsyncGenerator[Progress | CollectionView, None]:
        """Make a collection from a snapshot; give progress about once a second, then the collection.

        Raises:
            SnapshotNotFound: there is none of that name.
            DataDamaged: a file isn't what was written; nothing is made then.
            AlreadyExists, FailedPrecondition, InvalidInput: as `Collections.add`.
        """
        info = await self._find(name)
        files = self._opened()
        spec = replace(info.spec, name=collection or info.spec.name)
        async with self._turn:
            with self._metrics.snapshot("restore"):
                verified, tell = 0, _ticker()
                for part in info.parts:
                    await asyncio.to_thread(files.check, info, part)
                    verified += part.bytes
                    if tell():
                        yield Progress(0, info.points, verified)
                store = await self._collections.add(spec, "collection", unfinished=True)
                try:
                    async with aclosing(self._read(files, info, store)) as steps:
                        async for step in steps:
                            yield step
                    await self._collections.finished(spec.name)
                except BaseException:
                    await _tidy(self._collections.abandon(spec.name))
                    raise
        yield await self._collections.view(store)

    async def all(self) -> list[SnapshotInfo]:
        """Give all, newest first. Damaged ones are left out. Raises `Unavailable`."""
        return await asyncio.to_thread(self._opened().all)

    async def delete(self, name: str) -> None:
        """Delete one, damaged ones too. Raises `SnapshotNotFound` or `Unavailable`."""
        files = self._opened()
        check_name("snapshot", name)
        async with self._turn:
            if not await _exists(files, name):
                raise await self._not_found(name)
            await asyncio.to_thread(files.remove, name)

    async def _write(
        self, files: SnapshotFiles, store: Store, name: str
    ) -> AsyncGenerator[Progress | list[Part], None]:
        """Write all parts; give them last."""
        parts: list[Part] = []
        held: list[Owned] = []
        total, done, size, tell = (await store.stats()).points, 0, 0, _ticker()
        async with aclosing(store.export(size=_READ)) as batches:  # type: ignore[type-var]  # they are generators
            async for batch in batches:
                held += batch
                size += sum(map(_size, batch))
                if size >= _PART_BYTES:
                    parts.append(
                        await asyncio.to_thread(files.write_part, name, len(parts), held, store.spec.dimensions)
                    )
                    done += len(held)
                    held, size = [], 0
                if tell():
                    yield Progress(done + len(held), max(total, done + len(held)), sum(one.bytes for one in parts))
        if held:
            parts.append(await asyncio.to_thread(files.write_part, name, len(parts), held, store.spec.dimensions))
        yield parts

    async def _read(self, files: SnapshotFiles, info: SnapshotInfo, store: Store) -> AsyncGenerator[Progress, None]:
        """Store the points of all parts."""
        done, read, tell = 0, 0, _ticker()
        for part in info.parts:
            points = await asyncio.to_thread(files.read_part, info, part)
            read += part.bytes
            for tenant, owned in itertools.groupby(points, key=lambda one: one.tenant):
                for batch in _batches(owned):
                    records = [one.record for one in batch]
                    words = await self._vectors.document_words(store.spec, [one.text for one in records])
                    if words is not None:
                        pairs = zip(records, words, strict=True)
                        records = [replace(one, sparse=row) if one.text else one for one, row in pairs]
                    await store.upsert(tenant, records, UpsertMode.UPSERT, wait=False, position=None)
                    done += len(records)
                    if tell():
                        yield Progress(done, info.points, read)

    async def _find(self, name: str) -> SnapshotInfo:
        check_name("snapshot", name)
        try:
            return await asyncio.to_thread(self._opened().find, name)
        except SnapshotNotFound:
            raise await self._not_found(name) from None

    async def _not_found(self, name: str) -> SnapshotNotFound:
        names = [one.name for one in await self.all()]
        return SnapshotNotFound(name, tuple(difflib.get_close_matches(name, names)))

    def _opened(self) -> SnapshotFiles:
        if self._files is None:
            raise ModelNotReady("the server is starting", retry_after_seconds=1.0)
        return self._files


async def _exists(files: SnapshotFiles, name: str) -> bool:
    try:
        await asyncio.to_thread(files.find, name)
    except SnapshotNotFound:
        return False
    except DataDamaged:
        return True
    return True


def _size(owned: Owned) -> int:
    record = owned.record
    vector = 0 if record.vector is None else record.vector.nbytes
    return (
        _POINT_BYTES + vector + len(record.text) + sum(len(key) + len(str(one)) for key, one in record.payload.items())
    )


def _batches(owned: Iterable[Owned]) -> Iterable[list[Owned]]:
    points = iter(owned)
    while batch := list(itertools.islice(points, _WRITTEN)):
        yield batch


def _ticker() -> Callable[[], bool]:
    """Give what tells whether a second is over since it last said so."""
    last = time.monotonic()

    def tell() -> bool:
        nonlocal last
        due = (now := time.monotonic()) - last >= _TELL_SECONDS
        last = now if due else last
        return due

    return tell


async def _tidy(work: Coroutine[Any, Any, object]) -> None:
    """Remove what was begun; what fails there is told to the log."""
    try:
        await uncut(work)
    except Exception as error:  # noqa: BLE001 - another error is on its way to the caller
        logger.warning("what was begun of a snapshot isn't removed yet: %s", type(error).__name__)
