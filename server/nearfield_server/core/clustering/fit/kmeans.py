"""Spherical k-means by faiss, and the choice of k.

Starts come from scikit-learn's greedy k-means++ on a sample: with random ones faiss lost 0.03 to 0.075 of V-measure.
Few items are fitted several times, and the best is taken: the time that is allowed for that is a number of
multiplications, not seconds, so that the result is the same on every machine.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import faiss
import numpy as np
from sklearn.cluster import kmeans_plusplus

from nearfield_server.core.clustering.fit.centres import Centres
from nearfield_server.core.clustering.fit.quality import SilhouetteSample
from nearfield_server.core.clustering.nouns import IntColumn, Trial
from nearfield_server.types import FloatRows

__all__ = ["choose_k", "fit_kmeans", "nearest_of_kmeans", "sweep_of"]

_ITERATIONS = 50
_LARGE_ITERATIONS = 25
_EARLY_STOP = 1e-5
_LARGE_EARLY_STOP = 1e-4
"""Share by which the objective must grow for another iteration."""
_POINTS_PER_CENTROID = 256
_START_ROWS_PER_CENTROID = 20
_LEAST_START_ROWS = 4000
_LARGE_TRIALS = 3
"""Candidates for each start where there is one attempt only; by default it would be 2 + log(k)."""
_RESTARTS = 10
_RESTART_BUDGET = 3e11
"""Multiplications of all restarts together: some seconds on one core."""
_SMALL = 50_000
"""Up to so many rows all are trained on."""
_PARSIMONY = 0.9
"""Of several peaks of the silhouette the one with the least k is taken, if it has this share of the highest one."""
_SWEEP_ROWS = 10_000


@dataclass(frozen=True, slots=True)
class _Attempt:
    objective: float
    centroids: FloatRows


def fit_kmeans(rows: FloatRows, k: int, seed: int, told: Callable[[float], None] = lambda _: None) -> FloatRows:
    """Give k unit centroids for unit rows, of which at least k differ.

    Args:
        rows: float32 [items, dimensions].
        k: 1 to the number of rows that differ.
        seed: of all random choices.
        told: hears the share of the work that is done.
    """
    return _fitted(rows, k, seed, told)[0]


def nearest_of_kmeans(rows: FloatRows, k: int, seed: int, told: Callable[[float], None]) -> IntColumn:
    """Give the place of the centroid nearest to each row; the arguments are those of `fit_kmeans`."""
    return _fitted(rows, k, seed, told)[1]


def _fitted(rows: FloatRows, k: int, seed: int, told: Callable[[float], None]) -> tuple[FloatRows, IntColumn]:
    count, width = rows.shape
    random = np.random.default_rng(seed)
    small = count <= max(_SMALL, _POINTS_PER_CENTROID * k)
    once = min(count, _POINTS_PER_CENTROID * k) if not small else count
    iterations = _ITERATIONS if small else _LARGE_ITERATIONS
    restarts = max(1, min(_RESTARTS, int(_RESTART_BUDGET / (iterations * once * k * width))))
    best: _Attempt | None = None
    for turn in range(restarts):
        attempt = _attempt(rows, k, random, iterations, whole=small)
        told((turn + 1) / restarts)
        if best is None or attempt.objective > best.objective:
            best = attempt
    assert best is not None  # noqa: S101 - there is one restart at least
    return _refilled(rows, best.centroids)


def _attempt(rows: FloatRows, k: int, random: np.random.Generator, iterations: int, *, whole: bool) -> _Attempt:
    wanted = min(len(rows), max(_LEAST_START_ROWS, _START_ROWS_PER_CENTROID * k))
    sample = rows if wanted == len(rows) else rows[np.sort(random.choice(len(rows), wanted, replace=False))]
    trials = None if whole else _LARGE_TRIALS
    # float64 from the outset: scikit-learn would convert float32 anew for each start.
    starts, _ = kmeans_plusplus(
        sample.astype(np.float64), k, random_state=int(random.integers(2**31)), n_local_trials=trials
    )
    found = faiss.Kmeans(
        rows.shape[1],
        k,
        niter=iterations,
        spherical=True,
        seed=int(random.integers(2**31)),
        early_stop_threshold=_EARLY_STOP if whole else _LARGE_EARLY_STOP,
        min_points_per_centroid=1,
        max_points_per_centroid=len(rows) if whole else _POINTS_PER_CENTROID,
    )
    found.train(rows, init_centroids=np.ascontiguousarray(starts, np.float32))
    return _Attempt(float(np.asarray(found.obj)[-1]), np.asarray(found.centroids, np.float32))


def _refilled(rows: FloatRows, centroids: FloatRows) -> tuple[FloatRows, IntColumn]:
    """Give centroids that all have an item: those without one are moved to the item that is the furthest from its own.

    faiss splits a large cluster for an empty one, which leaves two of the same place where items are the same.
    """
    centres = Centres.of(rows, centroids)
    for _ in range(len(centroids)):
        sizes = np.bincount(centres.nearest, minlength=len(centroids))
        empty = np.flatnonzero(sizes == 0)
        if not len(empty):
            break
        centroids = centroids.copy()
        furthest = np.argsort(-centres.distances, kind="stable")[: len(empty)]
        centroids[empty] = rows[furthest]
        centres = Centres.of(rows, centroids)
    return centroids, centres.nearest


def sweep_of(count: int, min_k: int | None, max_k: int | None) -> list[int]:
    """Give the numbers of clusters to try, about a third more each time. At most the square root of half the items."""
    least = min(min_k or 2, count)
    most = min(count, max_k or max(least, min(512, math.isqrt(count // 2))))
    if most <= least:
        return [least]
    steps = max(2, math.ceil(math.log(most / least) / math.log(4 / 3)) + 1)
    return sorted({round(one) for one in np.geomspace(least, most, steps)})


def choose_k(
    rows: FloatRows, sweep: list[int], seed: int, told: Callable[[float], None] = lambda _: None
) -> tuple[int, list[Trial]]:
    """Give the k at the first high peak of the silhouette, and what was tried.

    It is tried on at most 10,000 rows, or ten for each cluster; then again between the neighbours of the best.
    """
    random = np.random.default_rng(seed)
    part = rows
    if len(rows) > max(_SWEEP_ROWS, 10 * sweep[-1]):
        part = rows[np.sort(random.choice(len(rows), max(_SWEEP_ROWS, 10 * sweep[-1]), replace=False))]
    sample = SilhouetteSample(part, seed)
    tried: dict[int, float] = {}

    def score(k: int) -> float:
        if k not in tried:
            attempt = _attempt(part, k, np.random.default_rng((seed, k)), _LARGE_ITERATIONS, whole=True)
            found = sample.of(Centres.of(part, attempt.centroids).nearest).mean
            tried[k] = -1.0 if found is None else found
        return tried[k]

    for turn, k in enumerate(sweep):
        score(k)
        told(0.8 * (turn + 1) / len(sweep))
    for k in _between(sweep, _chosen(tried)):
        score(k)
    told(1.0)
    return _chosen(tried), [Trial(k, tried[k]) for k in sorted(tried)]


def _chosen(tried: dict[int, float]) -> int:
    ks = sorted(tried)
    best = max(tried.values())
    enough = best * _PARSIMONY if best > 0 else best
    edges = [-np.inf, *(tried[k] for k in ks), -np.inf]
    return next(k for at, k in enumerate(ks) if edges[at + 1] >= enough and edges[at] <= edges[at + 1] >= edges[at + 2])


def _between(sweep: list[int], k: int) -> Iterator[int]:
    """Give some numbers between the neighbours of `k`."""
    at = sweep.index(k)
    for left, right in ((sweep[max(at - 1, 0)], k), (k, sweep[min(at + 1, len(sweep) - 1)])):
        yield from sorted({round(one) for one in np.linspace(left, right, 4)[1:3]})
