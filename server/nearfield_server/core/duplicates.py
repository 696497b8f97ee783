"""FindDuplicates: points of a collection whose vectors say the same.

STAR: points are taken in the order of preference; each takes the neighbours that nobody has taken yet. So each member
is similar to the kept one and nothing chains. CONNECTED: pairs among the nearest neighbours are joined, most similar
first. Memory grows with the points (about 200 bytes each), with CONNECTED and MEDOID also with the pairs, at most
`_NEIGHBOURS` a point; never with the vectors.
"""

from __future__ import annotations

import asyncio
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field

import numpy as np

from nearfield_server.core.collections import Collections
from nearfield_server.core.duplicate_groups import connected
from nearfield_server.core.search_calls import (
    DuplicateGroup,
    DuplicateGrouping,
    DuplicateKeep,
    DuplicatesCall,
    SearchTimings,
)
from nearfield_server.core.searcher import MAX_DEPTH
from nearfield_server.engines.base import Store
from nearfield_server.errors import Unsupported
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import EngineHit, EngineQuery, PointId, Record, Selection, SimilarityMetric, Vector
from nearfield_server.vectors.finish import unit_rows

__all__ = ["DuplicateFinder"]

_PAGE = 64
_NEIGHBOURS = 32
_VECTOR_ONLY = Selection(payload=False, text=False, vector=True)


@dataclass(slots=True)
class _Points:
    """What is remembered of the points that match: position is the order of first storing."""

    ids: list[PointId] = field(default_factory=list)
    positions: dict[PointId, int] = field(default_factory=dict)
    versions: list[int] = field(default_factory=list)
    lengths: list[int] = field(default_factory=list)

    def add(self, record: Record) -> None:
        """Remember one more."""
        self.positions[record.id] = len(self.ids)
        self.ids.append(record.id)
        self.versions.append(record.version)
        self.lengths.append(len(record.text))


class DuplicateFinder:
    """Finds groups of points that say the same."""

    def __init__(self, collections: Collections, metrics: SearchMetrics) -> None:
        """Find stores in `collections`."""
        self._collections = collections
        self._metrics = metrics

    async def find(self, call: DuplicatesCall) -> AsyncGenerator[DuplicateGroup, None]:
        """Give the groups. Raises any `NearfieldError` but those of the start-up."""
        store = self._collections.store(call.collection).at(call.consistency)
        if store.spec.metric is not SimilarityMetric.COSINE:
            text = "the threshold is a cosine, and this collection compares otherwise: make one with COSINE"
            raise Unsupported("collection", text)
        started = time.monotonic()
        run = _Run(store, call, await _read(store, call))
        if call.grouping is DuplicateGrouping.STAR:
            async for group in run.stars():
                yield group
        else:
            async for group in run.connected():
                yield group
        spent = time.monotonic() - started
        self._metrics.searched("duplicates", SearchTimings(engine=spent, total=spent))


async def _read(store: Store, call: DuplicatesCall) -> _Points:
    points, cursor = _Points(), ""
    select = Selection(payload=False, text=call.keep is DuplicateKeep.LONGEST)
    while True:
        page = await store.scroll(call.tenant, call.filter, select, limit=1024, cursor=cursor)
        for record in page.records:
            points.add(record)
        if not (cursor := page.cursor):
            return points


class _Run:
    """One call, its points read."""

    def __init__(self, store: Store, call: DuplicatesCall, points: _Points) -> None:
        self._store = store
        self._call = call
        self._points = points

    async def stars(self) -> AsyncGenerator[DuplicateGroup, None]:
        """Give groups round the points to keep."""
        pairs = await self._pairs() if self._call.keep is DuplicateKeep.MEDOID else {}
        preference = await asyncio.to_thread(self._preference, pairs)
        taken: set[int] = set()
        for start in range(0, len(preference), _PAGE):
            page = [one for one in preference[start : start + _PAGE] if one not in taken]
            for point, vector, near in await self._neighbours(page):
                if point in taken:
                    continue
                whole = near if len(near) < _NEIGHBOURS else await self._all_near(vector)
                others = self._others(point, whole, taken)[: self._call.max_group - 1]
                if others:
                    taken.update((point, *(other for other, _ in others)))
                    yield self._group(point, others)

    async def connected(self) -> AsyncGenerator[DuplicateGroup, None]:
        """Give groups joined by pairs."""
        pairs = await self._pairs()
        for group in await asyncio.to_thread(connected, pairs, self._call.max_group):
            kept = self._kept(group, pairs)
            similar = await self._similarities(kept, group)
            if similar:
                yield self._group(kept, similar)

    async def _pairs(self) -> dict[int, dict[int, float]]:
        pairs: dict[int, dict[int, float]] = defaultdict(dict)
        for start in range(0, len(self._points.ids), _PAGE):
            page = range(start, min(start + _PAGE, len(self._points.ids)))
            for point, _, near in await self._neighbours(page):
                for other, score in self._others(point, near, set()):
                    # Symmetric whichever of the two the index found.
                    pairs[point][other] = pairs[other][point] = score
        return pairs

    async def _neighbours(self, page: Sequence[int]) -> list[tuple[int, Vector, list[EngineHit]]]:
        """Give each point of a page that is still there with the nearest of its neighbours above the threshold."""
        ids = [self._points.ids[one] for one in page]
        records = await self._store.get(self._call.tenant, ids, _VECTOR_ONLY) if ids else []
        there = [(self._points.positions[one.id], one.vector) for one in records if one.vector is not None]
        lists = await self._near([vector for _, vector in there], _NEIGHBOURS)
        return [(point, vector, near) for (point, vector), near in zip(there, lists, strict=True)]

    async def _near(self, vectors: Sequence[Vector], length: int) -> list[list[EngineHit]]:
        if not vectors:
            return []
        call = self._call
        queries = [EngineQuery(tenant=call.tenant, limit=length, dense=one, filter=call.filter) for one in vectors]
        lists = await self._store.search(queries)
        return [[hit for hit in one.hits if hit.score >= call.threshold] for one in lists]

    async def _all_near(self, vector: Vector) -> list[EngineHit]:
        """Give all neighbours above the threshold, as far as a search reaches."""
        length = _NEIGHBOURS
        while True:
            length = min(4 * length, MAX_DEPTH)
            (near,) = await self._near([vector], length)
            if len(near) < length or length == MAX_DEPTH:
                return near

    def _others(self, point: int, near: Sequence[EngineHit], taken: set[int]) -> list[tuple[int, float]]:
        """Give positions and scores; what was written since the points were read isn't among them."""
        found = ((self._points.positions.get(hit.id), hit.score) for hit in near)
        return [(other, score) for other, score in found if other not in {None, point} and other not in taken]

    def _preference(self, pairs: dict[int, dict[int, float]]) -> list[int]:
        """Give all positions, the ones to keep rather first."""
        everyone, points = range(len(self._points.ids)), self._points
        match self._call.keep:
            case DuplicateKeep.FIRST:
                return list(everyone)
            case DuplicateKeep.NEWEST:
                return sorted(everyone, key=lambda one: -points.versions[one])
            case DuplicateKeep.LONGEST:
                return sorted(everyone, key=lambda one: -points.lengths[one])
            case DuplicateKeep.MEDOID:
                return sorted(everyone, key=lambda one: -sum(pairs.get(one, {}).values()))

    def _kept(self, group: Sequence[int], pairs: dict[int, dict[int, float]]) -> int:
        points = self._points
        match self._call.keep:
            case DuplicateKeep.FIRST:
                return group[0]
            case DuplicateKeep.NEWEST:
                return max(group, key=lambda one: points.versions[one])
            case DuplicateKeep.LONGEST:
                return max(group, key=lambda one: points.lengths[one])
            case DuplicateKeep.MEDOID:
                members = set(group)
                return max(group, key=lambda one: sum(score for b, score in pairs[one].items() if b in members))

    async def _similarities(self, kept: int, group: Sequence[int]) -> list[tuple[int, float]]:
        """Compare the kept one with the others, which may be similar to each other only."""
        ids = [self._points.ids[one] for one in (kept, *(one for one in group if one != kept))]
        records = await self._store.get(self._call.tenant, ids, _VECTOR_ONLY)
        there = [(self._points.positions[one.id], one.vector) for one in records if one.vector is not None]
        if not there or there[0][0] != kept:
            return []
        rows = unit_rows(np.stack([vector for _, vector in there]))
        scores = (rows[1:] @ rows[0]).tolist()
        return sorted(zip((one for one, _ in there[1:]), scores, strict=True), key=lambda one: (-one[1], one[0]))

    def _group(self, kept: int, others: Sequence[tuple[int, float]]) -> DuplicateGroup:
        ids = self._points.ids
        return DuplicateGroup(ids[kept], [(ids[other], min(score, 1.0)) for other, score in others])
