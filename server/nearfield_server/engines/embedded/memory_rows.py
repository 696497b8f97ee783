"""The vectors and words of a small collection, in memory, kept current by its writes and searched exactly.

A point that is stored again takes a new slot; the old one is dead until half of the slots are, when all move together.
"""

from __future__ import annotations

import math
import threading
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.embedded.exact_scores import Found, best, idf, nearest
from nearfield_server.engines.embedded.writes import Kept
from nearfield_server.types import EngineHit, PointId, SimilarityMetric, SparseRow, Vector

__all__ = ["MemoryQuery", "MemoryRow", "MemoryRows"]

_LEAST = 1024
_VECTOR_BYTES = 4
_ARRAYS = ("_vectors", "_rows", "_owners", "_expires", "_alive")


@dataclass(frozen=True, slots=True, eq=False)
class MemoryRow:
    """A point as it is put in."""

    row: int
    tenant: str
    id: PointId
    expires_at: float | None
    vector: Vector
    sparse: SparseRow | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemoryQuery:
    """One ranked list, by `dense` or by `sparse`. `allowed`: rows, ascending; None: all. `excluded`: ids."""

    tenant: str
    limit: int
    dense: Vector | None
    sparse: SparseRow | None
    allowed: npt.NDArray[np.int64] | None
    excluded: frozenset[PointId]
    now: float


class MemoryRows:
    """Safe for threads: it is changed and searched by one at a time."""

    def __init__(self, dimensions: int, metric: SimilarityMetric) -> None:
        """Hold nothing."""
        self._lock = threading.Lock()
        self._dimensions = dimensions
        self._metric = metric
        self._used = 0
        self._slots: dict[int, int] = {}
        self._ids: list[PointId] = []
        self._tenants: dict[str, int] = {}
        self._words: dict[int, tuple[array[int], array[float]]] = {}
        self._vectors = np.empty((_LEAST, dimensions), np.float32)
        self._rows = np.zeros(_LEAST, np.int64)
        self._owners = np.zeros(_LEAST, np.int32)
        self._expires = np.zeros(_LEAST, np.float64)
        self._alive = np.zeros(_LEAST, np.bool_)

    def __repr__(self) -> str:
        """Tell how full it is."""
        return f"MemoryRows(points={self.points}, slots={self._used})"

    @property
    def points(self) -> int:
        """Points in it."""
        return len(self._slots)

    @property
    def bytes_used(self) -> int:
        """Memory of the vectors."""
        return self._used * self._dimensions * _VECTOR_BYTES

    def fill(self, rows: Iterable[MemoryRow]) -> None:
        """Put points in, in the order of their rows."""
        with self._lock:
            for one in rows:
                self._put(one)

    def apply(self, kept: Kept) -> None:
        """Take over what a write did."""
        with self._lock:
            for row in kept.removed:
                self._remove(row)
            for one in kept.stored:
                if one.record is not None and one.record.vector is not None:
                    self._remove(one.row)
                    vector, sparse = one.record.vector, one.record.sparse
                    self._put(MemoryRow(one.row, one.tenant, one.id, one.expires_at, vector, sparse))
                elif one.row in self._slots:
                    self._expires[self._slots[one.row]] = math.inf if one.expires_at is None else one.expires_at
            if self._used > 2 * max(len(self._slots), _LEAST):
                self._gather()

    def search(self, queries: Sequence[MemoryQuery]) -> list[list[EngineHit]]:
        """Rank points for each query, exactly."""
        with self._lock:
            return [self._rank(query) for query in queries]

    def _room(self, capacity: int) -> None:
        """Make arrays of `capacity` slots, with what is in the old ones."""
        used = self._used
        for name in _ARRAYS:
            old = getattr(self, name)
            new = np.zeros((capacity, *old.shape[1:]), old.dtype)
            new[:used] = old[:used]
            setattr(self, name, new)

    def _put(self, one: MemoryRow) -> None:
        slot = self._used
        if slot == len(self._rows):
            self._room(2 * slot)
        self._vectors[slot] = one.vector
        self._rows[slot] = one.row
        self._owners[slot] = self._tenants.setdefault(one.tenant, len(self._tenants))
        self._expires[slot] = math.inf if one.expires_at is None else one.expires_at
        self._alive[slot] = True
        self._ids.append(one.id)
        self._slots[one.row] = slot
        self._used += 1
        if one.sparse is not None:
            for word, weight in zip(one.sparse.ids.tolist(), one.sparse.weights.tolist(), strict=True):
                slots, weights = self._words.setdefault(word, (array("q"), array("f")))
                slots.append(slot)
                weights.append(weight)

    def _remove(self, row: int) -> None:
        slot = self._slots.pop(row, None)
        if slot is not None:
            self._alive[slot] = False

    def _gather(self) -> None:
        """Move living slots together."""
        kept = np.flatnonzero(self._alive[: self._used])
        moved = np.full(self._used, -1, np.int64)
        moved[kept] = np.arange(len(kept))
        for name in _ARRAYS:
            setattr(self, name, getattr(self, name)[kept])
        self._ids = [self._ids[slot] for slot in kept.tolist()]
        self._slots = {row: slot for slot, row in enumerate(self._rows.tolist())}
        words = {}
        for word, (slots, weights) in self._words.items():
            to = moved[np.array(slots)]
            if (to >= 0).any():
                words[word] = (array("q", to[to >= 0].tolist()), array("f", np.array(weights)[to >= 0].tolist()))
        self._words = words
        self._used = len(kept)
        self._room(max(_LEAST, 2 * self._used))

    def _rank(self, query: MemoryQuery) -> list[EngineHit]:
        wanted = self._wanted(query)
        if query.dense is not None:
            found = self._by_vector(query.dense, wanted, query.limit)
        elif query.sparse is not None:
            found = self._by_words(query.sparse, wanted)
        else:  # this is a bug: see EngineQuery
            raise ValueError("a query has a vector or words")
        slots, scores = found
        rows, scores, slots = self._sorted(slots, scores, query.limit)
        return [
            EngineHit(self._ids[slot], score, row)
            for slot, score, row in zip(slots.tolist(), scores.tolist(), rows.tolist(), strict=True)
        ]

    def _wanted(self, query: MemoryQuery) -> npt.NDArray[np.bool_]:
        """Tell of each slot whether its point may be given."""
        used = self._used
        wanted: npt.NDArray[np.bool_] = self._alive[:used] & (
            self._owners[:used] == self._tenants.get(query.tenant, -1)
        )
        wanted &= self._expires[:used] > query.now
        if query.allowed is not None:
            wanted &= np.isin(self._rows[:used], query.allowed)
        if query.excluded:
            out = [slot for slot, id_ in enumerate(self._ids) if id_ in query.excluded]
            wanted[out] = False
        return wanted

    def _by_vector(self, vector: Vector, wanted: npt.NDArray[np.bool_], limit: int) -> Found:
        if 4 * np.count_nonzero(wanted) > self._used:  # cheaper than a copy of those that are wanted
            return nearest(self._vectors[: self._used], vector, self._metric, limit, wanted)
        slots = np.flatnonzero(wanted)
        places, scores = nearest(self._vectors[slots], vector, self._metric, limit)
        return slots[places], scores

    def _by_words(self, words: SparseRow, wanted: npt.NDArray[np.bool_]) -> Found:
        scores = np.zeros(self._used, np.float64)
        hit = np.zeros(self._used, np.bool_)
        for word, weight in zip(words.ids.tolist(), words.weights.tolist(), strict=True):
            if word not in self._words:
                continue
            slots, weights = np.array(self._words[word][0]), np.array(self._words[word][1])
            living = self._alive[slots]
            slots, weights = slots[living], weights[living]
            scores[slots] += idf(self.points, len(slots)) * weight * weights.astype(np.float64)
            hit[slots] = True
        found = np.flatnonzero(hit & wanted)
        return found, scores[found].astype(np.float32)

    def _sorted(
        self, slots: npt.NDArray[np.int64], scores: npt.NDArray[np.float32], limit: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32], npt.NDArray[np.int64]]:
        rows = self._rows[slots]
        by_row = np.argsort(rows)
        best_rows, best_scores = best((rows, scores), limit)
        return best_rows, best_scores, slots[by_row][np.searchsorted(rows[by_row], best_rows)]
