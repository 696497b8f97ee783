"""Spherical k-means over shards that stay where they are: centroids go out, sums come back.

It starts from a fit of a sample (greedy k-means++, several tries, the same code as on one machine) and goes on with the
iterations of Lloyd over all rows. Clusters that lose all their rows are moved to the rows that fit worst.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearfield_server.core.clustering.fit.kmeans import fit_kmeans
from nearfield_server.executors import held
from nearfield_server.executors.base import Executor, Holding, JobFailure
from nearfield_server.executors.held import Held, Sums
from nearfield_server.executors.shards import Parts, Shard
from nearfield_server.types import FloatRows

__all__ = ["Clusters", "KMeans", "cluster_shards"]

_EARLY_STOP = 1e-5
"""Share of the objective that an iteration must gain."""
_SAMPLE_PER_CLUSTER = 64
_LEAST_SAMPLE = 10_000
_SAME = 1e-6
"""A row as close as this to its centroid needs no cluster of its own."""


@dataclass(frozen=True, slots=True, kw_only=True)
class KMeans:
    """What to do.

    Attributes:
        k: how many clusters.
        column: of vectors.
        id_column: carried into the parts; empty: none.
        iterations: at most, over all rows.
        seed: of the sample and the start.
        told: hears the objective after each iteration.
    """

    k: int
    column: str = "embedding"
    id_column: str = ""
    iterations: int = 25
    seed: int = 0
    told: Callable[[int, float], None] = lambda _iteration, _objective: None


@dataclass(frozen=True, slots=True)
class Clusters:
    """What was found.

    Attributes:
        centroids: unit rows, float32 [k, width].
        sizes: rows of each.
        left_out: rows without a vector.
        iterations: over all rows.
        objective: mean similarity of a row to its centroid.
    """

    centroids: FloatRows
    sizes: tuple[int, ...]
    left_out: int
    iterations: int
    objective: float


def cluster_shards(executor: Executor, job: KMeans, shards: Sequence[Shard], parts: Parts) -> Clusters:
    """Find k clusters, and write a part of labels for each shard.

    Raises:
        JobFailure: there are fewer rows that differ than clusters, or vectors of several widths.
    """
    holding = executor.hold(held.opened(job.column), shards)
    try:
        rows = _checked(holding, job)
        centroids = _start(holding, job, rows)
        centroids, last, turns = _iterated(holding, job, centroids)
        sizes = holding.reduce(held.assign, held.Assignment(parts, job.id_column, centroids), np.add)
    finally:
        holding.close()
    total = sum(shard.rows for shard in shards)
    return Clusters(centroids, tuple(int(one) for one in sizes), total - rows, turns, last.objective / rows)


def _checked(holding: Holding[Held], job: KMeans) -> int:
    rows: int = holding.reduce(held.count, None, operator.add)
    found = sorted(holding.reduce(held.widths, None, operator.or_))
    if len(found) > 1:
        raise JobFailure(f"column {job.column!r} holds vectors of different widths: {', '.join(map(str, found))}")
    if rows < job.k:
        raise JobFailure(f"{rows:,} rows have a vector, fewer than the {job.k:,} clusters: lower k")
    return rows


def _start(holding: Holding[Held], job: KMeans, rows: int) -> FloatRows:
    size = max(_LEAST_SAMPLE, _SAMPLE_PER_CLUSTER * job.k)
    found = holding.reduce(held.gather, held.Wanted(min(1.0, size / rows), job.seed), operator.add)
    # By place, so that the sample is the same whatever holds the shards.
    sample = np.concatenate([part for _, part in sorted(found, key=operator.itemgetter(0)) if len(part)])
    differ = len(np.unique(sample, axis=0))
    if differ < job.k:
        raise JobFailure(f"of {len(sample):,} rows only {differ:,} differ, fewer than the {job.k:,} clusters: lower k")
    return fit_kmeans(sample, job.k, job.seed)


def _iterated(holding: Holding[Held], job: KMeans, centroids: FloatRows) -> tuple[FloatRows, Sums, int]:
    """Give centroids with what was found for just these, and the number of iterations."""
    best = -np.inf
    turn = 0
    while True:
        turn += 1
        found = holding.reduce(held.sums, centroids, Sums.joined)
        job.told(turn, found.objective)
        gained = found.objective - best
        whole = bool((found.counts > 0).all()) or not _strays(found)
        if turn >= job.iterations or (whole and gained <= _EARLY_STOP * abs(found.objective)):
            return centroids, found, turn
        best = max(best, found.objective)
        centroids = _moved(found, centroids)


def _strays(found: Sums) -> int:
    """Count the rows that an empty cluster could be moved to."""
    return int((found.similarities < 1.0 - _SAME).sum())


def _moved(found: Sums, centroids: FloatRows) -> FloatRows:
    """Give the unit mean of each cluster; an empty one is moved to a row that fits badly where it is."""
    norms = np.linalg.norm(found.rows, axis=1)
    good = norms > _SAME * np.maximum(found.counts, 1)
    moved = centroids.copy()
    moved[good] = found.rows[good] / norms[good, None]
    empty = np.flatnonzero(found.counts == 0)[: _strays(found)]
    moved[empty] = found.strays[: len(empty)]
    return moved
