"""Agglomerative clustering of few items, by scipy, and how its clusters would be joined further."""

from __future__ import annotations

import numpy as np
from scipy.cluster.hierarchy import fcluster, linkage
from scipy.spatial.distance import squareform

from nearfield_server.core.clustering.nouns import FitOptions, IntColumn, Linkage, Merge
from nearfield_server.types import FloatRows

__all__ = ["COSINE_THRESHOLD", "WARD_THRESHOLD", "fit_agglomerative"]

COSINE_THRESHOLD = 0.4
WARD_THRESHOLD = 1.2


def fit_agglomerative(rows: FloatRows, options: FitOptions) -> tuple[IntColumn, list[Merge]]:
    """Give the place of each of two or more unit rows, greatest cluster first, and the merges above the clusters.

    Memory grows with the square of the rows: 8 bytes for each pair.
    """
    distances = np.clip(1.0 - rows @ rows.T, 0.0, 2.0)
    if options.linkage is Linkage.WARD:
        np.sqrt(2.0 * distances, out=distances)
    np.fill_diagonal(distances, 0.0)
    tree = linkage(squareform(distances, checks=False), options.linkage.value)
    if options.k is not None:
        found = fcluster(tree, options.k, "maxclust")
    else:
        default = WARD_THRESHOLD if options.linkage is Linkage.WARD else COSINE_THRESHOLD
        found = fcluster(tree, options.distance_threshold or default, "distance")
    sizes = np.bincount(found)[1:]
    places = np.empty(len(sizes), np.int32)
    places[np.argsort(-sizes, kind="stable")] = np.arange(len(sizes))
    labels = places[found - 1]
    return labels, _merges(tree, labels, len(sizes))


def _merges(tree: np.ndarray[tuple[int, int], np.dtype[np.float64]], labels: IntColumn, clusters: int) -> list[Merge]:
    """Keep the merges of different clusters, numbered anew."""
    count = len(labels)
    number = dict(enumerate(int(one) for one in labels))
    merges: list[Merge] = []
    for at, (left, right, distance, size) in enumerate(tree):
        ours, theirs = number[int(left)], number[int(right)]
        if ours == theirs:
            number[count + at] = ours
            continue
        number[count + at] = clusters + len(merges)
        merges.append(Merge(min(ours, theirs), max(ours, theirs), float(distance), int(size)))
    return merges
