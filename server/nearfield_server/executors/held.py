"""A shard's vectors in memory, and the steps of k-means on them. Steps give sums, never rows, but for a few."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import faiss
import numpy as np
import numpy.typing as npt
import pyarrow as pa
from scipy.sparse import csr_array

from nearfield_server.executors.shards import Parts, Shard, read_shard, vectors_of
from nearfield_server.types import FloatRows

__all__ = ["Assignment", "Held", "Sums", "Wanted", "assign", "count", "gather", "opened", "sums", "widths"]

_BLOCK = 16_384
_STRAYS = 64
"""Rows furthest from their centroid that a step gives: what empty clusters are moved to."""


@dataclass(frozen=True, slots=True)
class Held:
    """The unit rows of a shard. `places`: which of its rows they are; the others have no vector."""

    shard: Shard
    places: npt.NDArray[np.int64]
    rows: FloatRows


@dataclass(frozen=True, slots=True)
class Sums:
    """What an iteration needs to know of some shards.

    Attributes:
        rows: sum of the rows of each cluster; float64 [k, width].
        counts: rows of each cluster; int64 [k].
        objective: sum of the similarities to the own centroid.
        strays: the rows least similar to theirs, least first; float32 [some, width].
        similarities: of those; float32 [some].
    """

    rows: npt.NDArray[np.float64]
    counts: npt.NDArray[np.int64]
    objective: float
    strays: FloatRows
    similarities: npt.NDArray[np.float32]

    def joined(self, other: Sums) -> Sums:
        """Give those of both."""
        similarities = np.concatenate((self.similarities, other.similarities))
        least = np.argsort(similarities, kind="stable")[:_STRAYS]
        strays = np.concatenate((self.strays, other.strays))[least]
        rows, counts = self.rows + other.rows, self.counts + other.counts
        return Sums(rows, counts, self.objective + other.objective, strays, similarities[least])


@dataclass(frozen=True, slots=True)
class Wanted:
    """How many rows of each shard a sample takes, and the seed."""

    share: float
    seed: int


@dataclass(frozen=True, slots=True)
class Assignment:
    """Where the labels go: parts with `row`, the `id`, `cluster` (-1: no vector) and the `distance`."""

    parts: Parts
    id_column: str
    centroids: FloatRows


def opened(column: str) -> partial[Held]:
    """Give the function that opens a shard."""
    return partial(_open, column)


def _open(column: str, shard: Shard) -> Held:
    return Held(shard, *vectors_of(read_shard(shard, [column]), column))


def count(held: Held, _: None) -> int:
    """Step: the rows with a vector."""
    return len(held.rows)


def widths(held: Held, _: None) -> frozenset[int]:
    """Step: the widths that there are, which should be one."""
    return frozenset({held.rows.shape[1]} if len(held.rows) else ())


def gather(held: Held, wanted: Wanted) -> list[tuple[int, FloatRows]]:
    """Step: a random sample, beside the shard's place, as the order of shards isn't kept."""
    random = np.random.default_rng((wanted.seed, held.shard.place))
    size = min(len(held.rows), int(np.ceil(wanted.share * len(held.rows))))
    chosen = np.sort(random.choice(len(held.rows), size, replace=False)) if size else np.empty(0, np.int64)
    return [(held.shard.place, held.rows[chosen])]


def sums(held: Held, centroids: FloatRows) -> Sums:
    """Step: one iteration's share."""
    total = np.zeros(centroids.shape, np.float64)
    labels, similarities = _nearest(held.rows, centroids)
    for start in range(0, len(labels), _BLOCK):
        part = labels[start : start + _BLOCK]
        ones = csr_array((np.ones(len(part), np.float32), part, np.arange(len(part) + 1)), (len(part), len(centroids)))
        total += ones.T @ held.rows[start : start + _BLOCK]
    least = np.argsort(similarities, kind="stable")[:_STRAYS]
    strays = held.rows[least].reshape(len(least), centroids.shape[1])
    counts = np.bincount(labels, minlength=len(centroids))
    return Sums(total, counts, float(similarities.sum(dtype=np.float64)), strays, similarities[least])


def assign(held: Held, job: Assignment) -> npt.NDArray[np.int64]:
    """Step: write the labels, and give the sizes of clusters."""
    labels, similarities = _nearest(held.rows, job.centroids)
    clusters = np.full(held.shard.rows, -1, np.int32)
    distances = np.full(held.shard.rows, np.nan, np.float32)
    clusters[held.places], distances[held.places] = labels, np.clip(1.0 - similarities, 0.0, 2.0)
    columns = {"row": pa.array(held.shard.first_row + np.arange(held.shard.rows))}
    if job.id_column:
        columns["id"] = read_shard(held.shard, [job.id_column]).column(job.id_column)
    columns["cluster"] = pa.array(clusters)
    columns["distance"] = pa.array(distances, mask=clusters < 0)
    job.parts.write(held.shard, pa.table(columns))
    return np.bincount(labels, minlength=len(job.centroids))


def _nearest(rows: FloatRows, centroids: FloatRows) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]:
    if not len(rows):
        return np.empty(0, np.int64), np.empty(0, np.float32)
    similarities, places = faiss.knn(rows, centroids, 1, metric=faiss.METRIC_INNER_PRODUCT)
    return places[:, 0], similarities[:, 0]
