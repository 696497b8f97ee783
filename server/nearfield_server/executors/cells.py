"""What workers do of a deduplication: digests of rows, rows into cells, and the comparison within cells."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, TypeVar

import faiss
import numpy as np
import numpy.typing as npt

from nearfield_server.executors.shards import Shard, read_shard, vectors_of
from nearfield_server.types import FloatRows

__all__ = ["Comparison", "Pairs", "Scatter", "Task", "compare", "digests", "scatter"]

_CELLS_PER_ROW = 3
_BLOCK = 1024
_NEIGHBOURS = 64
"""Earlier neighbours that a row has in a cell, at most: the earliest, among which the one to keep is. It bounds the
pairs of what is there ten thousand times."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Task(Generic[T]):
    """A shard, and what belongs to it."""

    shard: Shard
    matter: T


@dataclass(frozen=True, slots=True)
class Pairs:
    """Rows that are near duplicates, counted through all shards. `earlier` is less than `later` in each pair."""

    later: npt.NDArray[np.int64]
    earlier: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]

    @classmethod
    def none(cls) -> Pairs:
        """Give no pair."""
        return cls(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0, np.float32))

    @classmethod
    def joined(cls, several: Sequence[Pairs]) -> Pairs:
        """Give those of all."""
        every = [cls.none(), *several]
        return cls(
            np.concatenate([one.later for one in every]),
            np.concatenate([one.earlier for one in every]),
            np.concatenate([one.similarities for one in every]),
        )


def digests(text_column: str, column: str, shard: Shard) -> npt.NDArray[np.uint64]:
    """Give 128 bits of each row's text, or vector; zeros where it has none."""
    found = np.zeros((shard.rows, 2), np.uint64)
    if text_column:
        texts = read_shard(shard, [text_column]).column(text_column)
        for place, text in enumerate(texts.to_pylist()):
            if text is not None:
                found[place] = _digest(str(text).encode("utf-8", "surrogatepass"))
        return found
    places, rows = vectors_of(read_shard(shard, [column]), column)
    for place, row in zip(places, rows, strict=True):
        found[place] = _digest(row.tobytes())
    return found


def _digest(content: bytes) -> npt.NDArray[np.uint64]:
    return np.frombuffer(hashlib.blake2b(content, digest_size=16).digest(), np.uint64)


@dataclass(frozen=True, slots=True)
class Scatter:
    """Work: write the rows of a shard that are left, each into the buckets of its nearest cells."""

    folder: Path
    column: str
    centroids: FloatRows
    buckets: int

    def __call__(self, task: Task[npt.NDArray[np.bool_]]) -> None:
        """Write a file for each bucket."""
        scatter(self, task.shard, task.matter)


def scatter(plan: Scatter, shard: Shard, left: npt.NDArray[np.bool_]) -> None:
    """Write, for each bucket, which rows of which cells there are, and the rows."""
    places, rows = vectors_of(read_shard(shard, [plan.column]), plan.column)
    mine = left[places]
    places, rows = places[mine], rows[mine]
    copies = min(_CELLS_PER_ROW, len(plan.centroids))
    cells = np.empty((0, copies), np.int64)
    if len(rows):
        _, cells = faiss.knn(rows, plan.centroids, copies, metric=faiss.METRIC_INNER_PRODUCT)
    for bucket in range(plan.buckets):
        at, copy = np.nonzero(cells % plan.buckets == bucket)
        new = plan.folder / f".{uuid.uuid4().hex}.npz"
        np.savez(new, cells=cells[at, copy], numbers=shard.first_row + places[at], rows=rows[at])
        new.replace(_file(plan.folder, shard.place, bucket))


@dataclass(frozen=True, slots=True)
class Comparison:
    """What to compare: the folder, the threshold, and the shards whose files are there."""

    folder: Path
    threshold: float
    places: Sequence[int]


def compare(job: Comparison, bucket: int) -> Pairs:
    """Give the pairs in each cell of a bucket."""
    loaded = [np.load(_file(job.folder, place, bucket)) for place in job.places]
    cells = np.concatenate([one["cells"] for one in loaded])
    numbers = np.concatenate([one["numbers"] for one in loaded])
    rows = np.concatenate([one["rows"] for one in loaded if len(one["rows"])] or [np.empty((0, 1), np.float32)])
    found: list[Pairs] = []
    for cell in np.unique(cells):
        members = np.flatnonzero(cells == cell)
        members = members[np.argsort(numbers[members])]
        found.extend(_pairs(rows[members], numbers[members], job.threshold))
    return Pairs.joined(found)


def _pairs(rows: FloatRows, numbers: npt.NDArray[np.int64], threshold: float) -> list[Pairs]:
    """Compare each row with the earlier ones, block by block."""
    found: list[Pairs] = []
    for start in range(0, len(rows), _BLOCK):
        stop = min(start + _BLOCK, len(rows))
        similarities = rows[start:stop] @ rows[:stop].T
        near = np.tril(similarities >= threshold, start - 1)
        # The earliest only: counted from the left.
        near &= np.cumsum(near, axis=1, dtype=np.int32) <= _NEIGHBOURS
        later, earlier = np.nonzero(near)
        values = np.minimum(similarities[later, earlier], 1.0)
        found.append(Pairs(numbers[start + later], numbers[earlier], values.astype(np.float32)))
    return found


def _file(folder: Path, place: int, bucket: int) -> Path:
    return folder / f"{place}-{bucket}.npz"
