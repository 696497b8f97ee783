"""Copying a collection into one of another model, while others write to it.

source.changes ──texts──▶ embed ──▶ target.upsert ──▶ position     (again and again, until little is new)
                 └─ text as in the target: its vector is kept, so that changes of payload and repeats are cheap

What was deleted since is deleted there first. Of an engine that can't tell what was deleted, all ids are compared at
the end.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter, defaultdict, deque
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import aclosing
from dataclasses import replace
from hashlib import blake2b

import numpy as np

from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.reembeddings import Reembedding
from nearfield_server.engines.base import Changes, Owned, Store
from nearfield_server.errors import FailedPrecondition, TooLarge
from nearfield_server.types import FloatRows, InputType, PointId, Priority, Record, Selection, UpsertMode

__all__ = ["ReembedCopy"]

_POINTS = 32
"""Points that are read, embedded and stored at a time: others of the class wait for so many. More aren't faster."""
_EXPORTED = 1000
_TENANTS = 10_000
_RATE_SECONDS = 15.0
_COUNTS, _COUNT_SECONDS = 3, 0.05
_OLD = Selection(payload=False, vector=True)


class ReembedCopy:
    """One re-embedding's stores. A new one begins at the position of the journal."""

    def __init__(self, one: Reembedding, source: Store, target: Store, vectors: CollectionVectors) -> None:
        """Copy from `source` to `target`; `vectors` embeds."""
        self._one = one
        self._source = source
        self._target = target
        self._vectors = vectors
        self._blind = False
        self._lately: deque[tuple[float, int]] = deque()
        # When they vanish, by tenant and id. Known from the start on only: what was left out before isn't kept.
        self._skipped: dict[tuple[str, PointId], float | None] = {}
        if one.call.skip_without_text:
            one.position = 0

    async def step(self, priority: Priority) -> tuple[int, bool]:
        """Copy some of what is new; give how many changes that were, and whether the rest came meanwhile, so is little.

        Raises:
            FailedPrecondition: a point has no text, or the model's version isn't served.
            NearfieldError: as `CollectionVectors.embed`, `Store.upsert` and `Store.delete`.
        """
        one = self._one
        began = time.monotonic()
        changes = await self._source.changes(one.position, _POINTS)
        self._blind |= changes.removed is None
        await self._remove(changes.removed or [])
        for start in range(0, len(changes.stored), _POINTS):
            await self._store(changes.stored[start : start + _POINTS], priority)
        size = _size(changes)
        self._lately.append((began, size))
        last, one.position = one.position, changes.last
        return size, changes.last == last or size < _POINTS

    async def finish(self) -> bool:
        """Copy all that is left, nobody writes meanwhile; give whether both hold as many points of each tenant."""
        last = -1
        while last != self._one.position:
            last = self._one.position
            await self.step(Priority.INTERACTIVE)
        if self._blind:
            await self._remove_unknown()
        await self.follow_options()
        for _ in range(_COUNTS):  # a point may vanish between the two
            if await self._agree():
                return True
            await asyncio.sleep(_COUNT_SECONDS)
        return False

    async def follow_options(self) -> None:
        """Give the target the options that were changed on the source."""
        old, new = self._source.spec, self._target.spec
        wanted = replace(
            new,
            payload_indexes=old.payload_indexes,
            quantization=old.quantization,
            durability=old.durability,
            ttl_seconds=old.ttl_seconds,
        )
        if wanted != new:
            await self._target.update(wanted)

    async def look(self) -> None:
        """Note how many points there are on both sides, and how fast they are copied."""
        one = self._one
        one.copied = (await self._target.stats()).points
        one.total = (await self._source.stats()).points
        one.skipped = len(self._skipped)
        now = time.monotonic()
        while self._lately and self._lately[0][0] < now - _RATE_SECONDS:
            self._lately.popleft()
        if self._lately:
            one.points_per_second = sum(size for _, size in self._lately) / (now - self._lately[0][0])

    async def _remove(self, removed: Iterable[tuple[str, PointId]]) -> None:
        by_tenant: dict[str, list[PointId]] = defaultdict(list)
        for tenant, id_ in removed:
            by_tenant[tenant].append(id_)
            self._skipped.pop((tenant, id_), None)
        for tenant, ids in by_tenant.items():
            await self._target.delete(tenant, ids, wait=True)

    async def _store(self, owned: Sequence[Owned], priority: Priority) -> None:
        spec = self._target.spec
        bare = [one for one in owned if not one.record.text]
        if bare and not self._one.call.skip_without_text:
            text = (
                f"points/{bare[0].record.id!r:.64} has no text to embed: store it with one, or leave such points out "
                "(skip_without_text)"
            )
            raise FailedPrecondition(f"points/{bare[0].record.id!s:.64}", text)
        if bare:  # it may have had a text before
            await self._remove((one.tenant, one.record.id) for one in bare)
            self._skipped |= {(one.tenant, one.record.id): one.record.expires_at for one in bare}
        worded = [one for one in owned if one.record.text]
        if not worded:
            return
        texts = [one.record.text for one in worded]
        rows = await self._rows(worded, priority)
        words = await self._vectors.document_words(spec, texts)
        by_tenant: dict[str, list[Record]] = defaultdict(list)
        for index, one in enumerate(worded):
            self._skipped.pop((one.tenant, one.record.id), None)
            sparse = words[index] if words is not None else None
            by_tenant[one.tenant].append(replace(one.record, vector=rows[index], sparse=sparse, version=0))
        for tenant, records in by_tenant.items():
            await self._target.upsert(tenant, records, UpsertMode.UPSERT, wait=True, position=None)

    async def _rows(self, owned: Sequence[Owned], priority: Priority) -> FloatRows:
        """Give the vectors `[len(owned), dimensions]` of texts: those of the target where it has the same text."""
        known: dict[tuple[str, PointId], Record] = {}
        by_tenant: dict[str, list[PointId]] = defaultdict(list)
        for one in owned:
            by_tenant[one.tenant].append(one.record.id)
        for tenant, ids in by_tenant.items():
            known |= {(tenant, record.id): record for record in await self._target.get(tenant, ids, _OLD)}
        rows = np.empty((len(owned), self._target.spec.dimensions), np.float32)
        new = []
        for index, one in enumerate(owned):
            old = known.get((one.tenant, one.record.id))
            if old is not None and old.text == one.record.text and old.vector is not None:
                rows[index] = old.vector
            else:
                new.append(index)
        if new:
            rows[new] = await self._embedded([owned[index].record for index in new], priority)
        return rows

    async def _embedded(self, records: Sequence[Record], priority: Priority) -> FloatRows:
        def named(at: int) -> str:
            return f"points/{records[at].id!s:.64}"

        texts = [one.text for one in records]
        spec = self._target.spec
        try:
            return await self._vectors.embed(spec, texts, InputType.DOCUMENT, priority, None, "", named)
        except TooLarge:
            if len(records) == 1:
                raise
        half = len(records) // 2
        parts = [await self._embedded(part, priority) for part in (records[:half], records[half:])]
        return np.concatenate(parts)

    async def _remove_unknown(self) -> None:
        """Delete from the target what the source doesn't have."""
        there = {_key(name) async for name in _names(self._source)}
        gone = [name async for name in _names(self._target) if _key(name) not in there]
        await self._remove([*gone, *(name for name in self._skipped if _key(name) not in there)])

    async def _agree(self) -> bool:
        ours, theirs = await _tenants(self._target), Counter(await _tenants(self._source))
        now = time.time()
        for (tenant, _), vanishes in self._skipped.items():
            if vanishes is None or vanishes > now:
                theirs[tenant] -= 1
        return ours == {tenant: count for tenant, count in theirs.items() if count}


def _size(changes: Changes) -> int:
    return len(changes.stored) + len(changes.removed or [])


async def _names(store: Store) -> AsyncIterator[tuple[str, PointId]]:
    async with aclosing(store.export(size=_EXPORTED)) as parts:  # type: ignore[type-var]  # they are generators
        async for part in parts:
            for one in part:
                yield one.tenant, one.record.id


def _key(name: tuple[str, PointId]) -> bytes:
    """Give a digest, which takes less memory than the name."""
    return blake2b(repr(name).encode(), digest_size=16).digest()


async def _tenants(store: Store) -> dict[str, int]:
    found: dict[str, int] = {}
    part: list[tuple[str, int]] = []
    while True:
        part = await store.tenants(part[-1][0] if part else None, _TENANTS)
        found.update(part)
        if len(part) < _TENANTS:
            return found
