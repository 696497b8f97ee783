"""Items and centroids: which is the nearest, how far, and what stands for a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import faiss
import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.nouns import FloatColumn, IntColumn, ItemRef
from nearfield_server.types import FloatRows

__all__ = ["Centres", "centroids_of", "examples", "left_out_distances", "radius_of"]

_WITHIN = 0.99
"""Share of a cluster's own items that its radius holds."""
_LEAST_RADIUS = 1e-4
"""Of clusters whose items are all the same: the same text embedded in another batch must be within."""
_CANDIDATES = 4


@dataclass(frozen=True, slots=True)
class Centres:
    """What the matrix product of items and centroids tells.

    Attributes:
        nearest: place of the nearest centroid; int32 [items].
        distances: cosine distance to it, 0 to 2; float32 [items].
        strengths: 1 - d1 / d2 for the nearest and the next; 1 where there is one centroid only; float32 [items].
    """

    nearest: IntColumn
    distances: FloatColumn
    strengths: FloatColumn

    @classmethod
    def of(cls, rows: FloatRows, centroids: FloatRows) -> Centres:
        """Compare unit rows with unit centroids."""
        two = min(2, len(centroids))
        similarities, places = faiss.knn(rows, centroids, two, metric=faiss.METRIC_INNER_PRODUCT)
        distances = np.clip(1.0 - similarities, 0.0, 2.0)
        strengths = np.ones(len(rows), np.float32)
        if two > 1:
            apart = distances[:, 1] > 0
            np.divide(distances[:, 0], distances[:, 1], out=strengths, where=apart)
            strengths[apart] = 1.0 - strengths[apart]
            strengths[~apart] = 0.0
        return cls(places[:, 0].astype(np.int32), distances[:, 0].copy(), strengths)


def centroids_of(rows: FloatRows, labels: IntColumn, count: int) -> FloatRows:
    """Give the unit mean of the rows of each of `count` labels; the sum may be zero, then the first row stands."""
    order = np.argsort(labels, kind="stable")
    starts = np.searchsorted(labels[order], np.arange(count + 1))
    centroids = np.empty((count, rows.shape[1]), np.float32)
    for place in range(count):
        members = order[starts[place] : starts[place + 1]]
        mean = rows[members].sum(axis=0, dtype=np.float64)
        norm = np.linalg.norm(mean)
        centroids[place] = mean / norm if norm > 1e-6 * len(members) else rows[members[0]]
    return centroids


def left_out_distances(rows: FloatRows, centroid: FloatColumn) -> FloatColumn:
    """Give the cosine distance of each member to the centroid of the others: how far a new item of its kind would be.

    Members pull the centroid to themselves: without this, new items would look further away than they are.
    """
    count = len(rows)
    if count == 1:
        return np.zeros(1, np.float32)
    total = rows.sum(axis=0, dtype=np.float64)
    if np.linalg.norm(total) <= 1e-6 * count:
        return np.asarray(np.clip(1.0 - rows @ centroid, 0.0, 2.0), np.float32)
    onto = rows @ total.astype(np.float32)
    others = np.sqrt(np.maximum(float(total @ total) - 2.0 * onto + 1.0, 1e-12))
    return np.asarray(np.clip(1.0 - (onto - 1.0) / others, 0.0, 2.0), np.float32)


def radius_of(distances: FloatColumn) -> float:
    """Give the distance within which 99% of them are."""
    return max(float(np.quantile(distances, _WITHIN)), _LEAST_RADIUS)


def examples(
    members: npt.NDArray[np.int64], similarities: FloatColumn, texts: Sequence[str], count: int
) -> tuple[ItemRef, ...]:
    """Give the most similar of a cluster's members, no text twice."""
    wanted = min(len(members), _CANDIDATES * count)
    best = np.argpartition(-similarities, wanted - 1)[:wanted]
    best = best[np.lexsort((members[best], -similarities[best]))]
    chosen: list[ItemRef] = []
    seen: set[str] = set()
    for at in best:
        row = int(members[at])
        if texts and texts[row]:
            if texts[row] in seen:
                continue
            seen.add(texts[row])
        chosen.append(ItemRef(row, float(similarities[at])))
        if len(chosen) == count:
            break
    return tuple(chosen)
