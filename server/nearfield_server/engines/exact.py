"""Collections in memory, every search exact: what other engines are compared with, and `search.engine: memory`.

Nothing is kept after the end, whatever `CollectionSpec.durability` says. A search costs a pass over all points.
"""

from __future__ import annotations

import asyncio
import math
import secrets
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

import numpy as np

from nearfield_server.engines.base import Changes, Owned, Page, Ranked, Store, StreamPosition
from nearfield_server.engines.embedded.cursors import make_cursor, read_cursor
from nearfield_server.errors import AlreadyExists, CollectionNotFound, FailedPrecondition
from nearfield_server.filters import matcher, select_payload, values_at
from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Consistency,
    EngineHit,
    EngineQuery,
    FacetCount,
    Filter,
    FilterValue,
    IndexState,
    PointId,
    Record,
    Selection,
    SimilarityMetric,
    SparseRow,
    UpsertMode,
    UpsertOutcome,
    Vector,
)

__all__ = ["ExactEngine"]

_STREAM_SECONDS = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class _Point:
    order: int
    record: Record


@dataclass(frozen=True, slots=True)
class _Moment:
    """The points as they were at one instant, for a thread to look through."""

    points: list[tuple[tuple[str, PointId], _Point]]
    now: float

    def matching(self, tenant: str, condition: Filter | None, after: int = 0) -> list[_Point]:
        """Give a tenant's points that meet a condition, in the order of first storing, from `after` on."""
        test = None if condition is None else matcher(condition)
        live = [
            one
            for (owner, _), one in self.points
            if owner == tenant and one.order > after and not _expired(one.record, self.now)
        ]
        found = [one for one in live if test is None or test(one.record.id, one.record.text, one.record.payload)]
        return sorted(found, key=lambda one: one.order)

    def everything(self) -> list[_Point]:
        return [one for _, one in self.points]


class ExactStore:
    """The points of one collection, in memory."""

    def __init__(self, spec: CollectionSpec, clock: Callable[[], float]) -> None:
        self._spec = spec
        self._clock = clock
        self._points: dict[tuple[str, PointId], _Point] = {}
        self._removed: dict[tuple[str, PointId], int] = {}
        """The number of the write that deleted each."""
        self._streams: dict[tuple[str, str], tuple[int, int, float]] = {}
        self._sequence = 0
        self._last_order = 0
        self._cursor_key = secrets.token_bytes(16)
        self._dropped = False

    def __repr__(self) -> str:
        """Tell what is in it."""
        return f"ExactStore({self._spec.name!r}, points={len(self._points)}, sequence={self._sequence})"

    @property
    def spec(self) -> CollectionSpec:
        """What decides the collection."""
        return self._spec

    async def upsert(
        self, tenant: str, records: Sequence[Record], mode: UpsertMode, *, wait: bool, position: StreamPosition | None
    ) -> UpsertOutcome:
        """Keep all records; see `Store`. Searches find them at once."""
        del wait
        self._check()
        self._purge()
        wanted = {record.id: record for record in records}
        known = self._streams.get((tenant, position.token)) if position else None
        if known is not None and position is not None and position.sequence <= known[0]:
            return UpsertOutcome(len(wanted), 0, known[1])
        self._sequence += 1
        stored = sum(self._put(tenant, record, mode) for record in wanted.values())
        if position is not None:
            self._streams[tenant, position.token] = (position.sequence, self._sequence, self._clock())
        return UpsertOutcome(stored, len(wanted) - stored, self._sequence)

    def _put(self, tenant: str, record: Record, mode: UpsertMode) -> bool:
        there = self._points.get((tenant, record.id))
        if there is None:
            if mode not in {UpsertMode.UPSERT, UpsertMode.CREATE}:
                return False
            self._last_order += 1
            order = self._last_order
        elif mode is UpsertMode.CREATE:
            return False
        else:
            order = there.order
            if mode is UpsertMode.PAYLOAD:
                record = _merged(there.record, record)
        self._removed.pop((tenant, record.id), None)
        self._points[tenant, record.id] = _Point(order, replace(record, version=self._sequence))
        return True

    async def delete(self, tenant: str, chosen: Sequence[PointId] | Filter | None, *, wait: bool) -> int:
        """Delete points by ids, by filter, or all of the tenant; give how many there were."""
        del wait
        self._check()
        self._purge()
        if chosen is None or not isinstance(chosen, Sequence):
            found = await asyncio.to_thread(self._moment().matching, tenant, chosen)
            doomed = [one.record.id for one in found]
        else:
            doomed = list(chosen)
        there = [one for id_ in doomed if (one := self._points.pop((tenant, id_), None)) is not None]
        self._sequence += bool(there)
        self._removed |= {(tenant, one.record.id): self._sequence for one in there}
        return len(there)

    async def get(self, tenant: str, ids: Sequence[PointId], select: Selection) -> list[Record]:
        """Give the points that are there, in the order of `ids`."""
        now = self._clock()
        there = [one.record for id_ in ids if (one := self._points.get((tenant, id_))) is not None]
        return [_selected(one, select) for one in there if not _expired(one, now)]

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Rank points for each query."""
        moment = self._moment()
        return [await asyncio.to_thread(self._rank, query, moment) for query in queries]

    def _rank(self, query: EngineQuery, moment: _Moment) -> Ranked:
        excluded = frozenset(query.exclude)
        live = moment.matching(query.tenant, query.filter)
        points = [one for one in live if one.record.id not in excluded]
        if query.dense is not None:
            scored = list(zip(points, _distances(points, query.dense, self._spec.metric), strict=True))
        elif query.sparse is not None:
            scored = _by_words(points, query.sparse, moment.everything())
        else:  # this is a bug: a query has one of the two
            raise ValueError("a query without a vector")
        hits = [EngineHit(one.record.id, float(np.float32(score)), one.order) for one, score in scored]
        return Ranked(sorted(hits, key=lambda hit: (-hit.score, hit.order))[: query.limit], exact=True)

    async def scroll(
        self, tenant: str, condition: Filter | None, select: Selection, *, limit: int, cursor: str
    ) -> Page:
        """Give up to `limit` points in the order of first storing; see `Store`."""
        after = read_cursor(cursor, self._cursor_key)
        found = await asyncio.to_thread(self._moment().matching, tenant, condition, after)
        page = [_selected(one.record, select) for one in found[:limit]]
        more = len(found) > limit
        return Page(page, make_cursor(found[limit - 1].order, self._cursor_key) if more else "")

    async def count(self, tenant: str, condition: Filter | None, *, estimate: bool) -> tuple[int, bool]:
        """Give how many points match; always exactly."""
        del estimate
        return len(await asyncio.to_thread(self._moment().matching, tenant, condition)), True

    async def facet(self, tenant: str, path: str, condition: Filter | None, *, limit: int) -> list[FacetCount]:
        """Give the most frequent strings, integers and truth values of a field, then by value."""
        return (await asyncio.to_thread(_counted, self._moment(), tenant, path, condition))[:limit]

    async def tenants(self, after: str | None, limit: int) -> list[tuple[str, int]]:
        """Give up to `limit` tenants that come after `after`, by name, with their points."""
        now = self._clock()
        counts = Counter(tenant for (tenant, _), one in self._points.items() if not _expired(one.record, now))
        found = [one for one in counts.items() if after is None or one[0].encode() > after.encode()]
        return sorted(found, key=lambda one: one[0].encode())[:limit]

    async def export(self, *, size: int) -> AsyncIterator[list[Owned]]:
        """Give all points of all tenants as they are now, in the order of first storing, `size` at a time."""
        moment = self._moment()
        live = [
            (one.order, owner, one.record) for (owner, _), one in moment.points if not _expired(one.record, moment.now)
        ]
        found = [Owned(owner, replace(record, sparse=None)) for _, owner, record in sorted(live, key=itemgetter(0))]
        for start in range(0, len(found), size):
            yield found[start : start + size]

    async def changes(self, after: int, limit: int) -> Changes:
        """Give the points whose last write came after number `after`, and what was deleted after it; all at once."""
        del limit
        now = self._clock()
        live = [(tenant, one) for (tenant, _), one in self._points.items() if not _expired(one.record, now)]
        stored = [
            Owned(tenant, replace(one.record, sparse=None))
            for tenant, one in sorted(live, key=lambda pair: (pair[1].record.version, pair[1].order))
            if one.record.version > after
        ]
        removed = [key for key, sequence in self._removed.items() if sequence > after]
        return Changes(stored, removed, max(after, self._sequence))

    def at(self, consistency: Consistency) -> Store:  # noqa: ARG002 - there is one copy
        """Give itself."""
        return self

    async def stats(self) -> CollectionStats:
        """Give the figures. There is nothing on disk."""
        return CollectionStats(
            points=len(self._points), index_lag=0, index_state=IndexState.EXACT, index_message="", disk_bytes=0
        )

    async def update(self, spec: CollectionSpec) -> None:
        """Take over payload indexes, quantisation, durability and time to live, none of which changes an answer."""
        self._spec = replace(
            self._spec,
            payload_indexes=dict(spec.payload_indexes),
            quantization=spec.quantization,
            durability=spec.durability,
            ttl_seconds=spec.ttl_seconds,
        )

    def refuse(self) -> None:
        """Take no more writes: the collection was dropped."""
        self._dropped = True
        self._points.clear()

    def _check(self) -> None:
        if self._dropped:
            raise FailedPrecondition(f"collections/{self._spec.name}", "the collection was dropped meanwhile")

    def _moment(self) -> _Moment:
        return _Moment(list(self._points.items()), self._clock())

    def _purge(self) -> None:
        now = self._clock()
        for key in [key for key, one in self._points.items() if _expired(one.record, now)]:
            del self._points[key]
        for token in [token for token, kept in self._streams.items() if kept[2] < now - _STREAM_SECONDS]:
            del self._streams[token]


class ExactEngine:
    """Collections in memory; see `Engine`."""

    def __init__(self, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch; points vanish by it."""
        self._clock = clock
        self._stores: dict[str, ExactStore] = {}

    def __repr__(self) -> str:
        """Tell what it holds."""
        return f"ExactEngine(collections={sorted(self._stores)})"

    async def start(self) -> None:
        """Nothing was kept: there is nothing to open."""

    async def create(self, spec: CollectionSpec) -> Store:
        """Make a collection. Raises `AlreadyExists`."""
        if spec.name in self._stores:
            raise AlreadyExists("there is a collection of that name", spec.name)
        self._stores[spec.name] = store = ExactStore(spec, self._clock)
        return store

    async def drop(self, name: str) -> None:
        """Delete a collection with its points. Raises `CollectionNotFound`."""
        store = self._stores.pop(name, None)
        if store is None:
            raise CollectionNotFound(name)
        store.refuse()

    def stores(self) -> dict[str, Store]:
        """Give all collections by name, as they are now."""
        return dict(self._stores)

    async def close(self) -> None:
        """Forget everything."""
        self._stores.clear()


def _expired(record: Record, now: float) -> bool:
    return record.expires_at is not None and record.expires_at <= now


def _merged(there: Record, new: Record) -> Record:
    """Put a payload's keys over those that are there."""
    kinds = {key: kind for key, kind in there.kinds.items() if key not in new.payload}
    return replace(
        there,
        payload={**there.payload, **new.payload},
        kinds={**kinds, **new.kinds},
        expires_at=there.expires_at if new.expires_at is None else new.expires_at,
    )


def _selected(record: Record, select: Selection) -> Record:
    payload = select_payload(record.payload, select)
    return replace(
        record,
        text=record.text if select.text else "",
        vector=record.vector if select.vector else None,
        sparse=None,
        payload=payload,
        kinds={key: kind for key, kind in record.kinds.items() if key in payload},
    )


def _counted(moment: _Moment, tenant: str, path: str, condition: Filter | None) -> list[FacetCount]:
    counts: Counter[tuple[type, FilterValue]] = Counter()
    for one in moment.matching(tenant, condition):
        values = values_at(one.record.payload, path)
        counts.update({(type(value), value) for value in values if isinstance(value, (str, int))})
    found = [FacetCount(value, count) for (_, value), count in counts.items()]
    return sorted(found, key=lambda one: (-one.count, str(one.value)))


def _distances(points: Sequence[_Point], query: Vector, metric: SimilarityMetric) -> list[float]:
    if not points:
        return []
    rows = np.stack([np.asarray(one.record.vector, np.float64) for one in points])
    wide = query.astype(np.float64)
    scores = -np.linalg.norm(rows - wide, axis=1) if metric is SimilarityMetric.EUCLIDEAN else (rows * wide).sum(axis=1)
    found: list[float] = scores.tolist()
    return found


def _by_words(points: Sequence[_Point], query: SparseRow, everything: Sequence[_Point]) -> list[tuple[_Point, float]]:
    """Score the points that have a word of the query: the sum of weight times ln(1 + (N - n + 0.5) / (n + 0.5)).

    N counts all points of the collection, n those with the word.
    """
    holding: Counter[int] = Counter()
    for one in everything:
        if one.record.sparse is not None:
            holding.update(one.record.sparse.ids.tolist())
    words = dict(zip(query.ids.tolist(), query.weights.tolist(), strict=True))
    idf = {word: math.log1p((len(everything) - holding[word] + 0.5) / (holding[word] + 0.5)) for word in words}
    found = []
    for one in points:
        row = one.record.sparse
        weights = {} if row is None else dict(zip(row.ids.tolist(), row.weights.tolist(), strict=True))
        shared = words.keys() & weights.keys()
        if shared:
            found.append((one, sum(words[word] * weights[word] * idf[word] for word in sorted(shared))))
    return found
