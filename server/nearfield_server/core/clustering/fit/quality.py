"""How good a clustering is: silhouette (Rousseeuw 1987) and DBCV (Moulavi et al. 2014), both on samples."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.sparse import csr_array
from scipy.sparse.csgraph import minimum_spanning_tree

from nearfield_server.core.clustering.nouns import IntColumn
from nearfield_server.types import FloatRows

__all__ = ["SilhouetteSample", "Silhouettes", "dbcv"]

_SILHOUETTE_ROWS = 4000
_DBCV_ROWS = 2000


@dataclass(frozen=True, slots=True)
class Silhouettes:
    """Silhouettes of a sample. `mean` None: fewer than two labels are in it. `by_label`: means."""

    mean: float | None
    sample: int
    by_label: dict[int, float]


class SilhouetteSample:
    """A sample of rows, for the silhouettes of several clusterings."""

    def __init__(self, rows: FloatRows, seed: int, among: npt.NDArray[np.int64] | None = None) -> None:
        """Draw it from unit rows, or from those of them that `among` tells."""
        chosen = _sample(len(rows) if among is None else len(among), _SILHOUETTE_ROWS, seed)
        self.rows = chosen if among is None else among[chosen]
        # Exact to the last digit: the distances of rows that are the same are zero.
        sample = rows[self.rows].astype(np.float64)
        self._sample = sample / np.linalg.norm(sample, axis=1, keepdims=True)

    def of(self, labels: IntColumn) -> Silhouettes:
        """Give cosine silhouettes by the labels of all rows. Rows labelled -1 count as one more group.

        The distances of a row to all of a group sum to their number less its product with their sum: there is no need
        for the distances of all pairs.
        """
        chosen, count = labels[self.rows], len(self.rows)
        present, group, sizes = np.unique(chosen, return_inverse=True, return_counts=True)
        if not 1 < len(present) < count:
            return Silhouettes(None, count, {})
        everyone = np.arange(count)
        members = csr_array((np.ones(count), (group, everyone)), (len(present), count))
        totals = np.maximum(sizes - self._sample @ (members @ self._sample).T, 0.0)
        inner = totals[everyone, group] / np.maximum(sizes[group] - 1, 1)
        totals /= sizes
        totals[everyone, group] = np.inf
        outer = totals.min(axis=1)
        greater = np.maximum(inner, outer)
        alone = (sizes[group] == 1) | (greater == 0)
        found = np.where(alone, 0.0, (outer - inner) / np.where(alone, 1.0, greater))
        by_label = np.bincount(group, found) / sizes
        return Silhouettes(float(found.mean()), count, dict(zip(present.tolist(), by_label.tolist(), strict=True)))


def dbcv(rows: FloatRows, labels: IntColumn, seed: int) -> float | None:
    """Give the density-based validity of a sample, -1 to 1; noise (-1) counts against it.

    Core distances are computed by their logarithms: with hundreds of dimensions their powers are no floats. `None`
    where fewer than two clusters have two rows in the sample.
    """
    sample = _sample(len(rows), _DBCV_ROWS, seed)
    chosen, width = labels[sample], rows.shape[1]
    clusters = [np.flatnonzero(chosen == one) for one in np.unique(chosen[chosen >= 0])]
    clusters = [one for one in clusters if len(one) > 1]
    if len(clusters) < 2:  # noqa: PLR2004
        return None
    # Euclidean distances of unit rows.
    distances = np.sqrt(np.maximum(2.0 * _distances(rows[sample]), 0.0))
    np.maximum(distances, 1e-9, out=distances)
    core = np.concatenate([_core_distances(distances[np.ix_(one, one)], width) for one in clusters])
    members = np.concatenate(clusters)
    ends = np.cumsum([len(one) for one in clusters])
    reach = np.maximum(distances[np.ix_(members, members)], np.maximum(core[:, None], core[None, :]))
    parts = [slice(end - len(one), end) for one, end in zip(clusters, ends, strict=True)]
    sparseness, inner = zip(*(_sparseness(reach[part, part]) for part in parts), strict=True)
    separations = _separations(reach, parts, inner)
    sizes = np.array([len(one) for one in clusters])
    validities = (separations - sparseness) / np.maximum(separations, sparseness)
    return float((sizes * validities).sum() / len(sample))


def _separations(
    reach: npt.NDArray[np.float64], parts: list[slice], inner: tuple[npt.NDArray[np.bool_], ...]
) -> npt.NDArray[np.float64]:
    """Give how near each cluster's inner points come to those of any other."""
    chosen = [np.arange(part.start, part.stop)[one] for part, one in zip(parts, inner, strict=True)]
    sizes = np.array([len(one) for one in chosen])
    cluster = np.repeat(np.arange(len(parts)), sizes)
    points = np.concatenate(chosen)
    apart = reach[np.ix_(points, points)]
    apart[cluster[:, None] == cluster[None, :]] = np.inf
    found: npt.NDArray[np.float64] = np.minimum.reduceat(apart.min(axis=1), np.cumsum(sizes) - sizes)
    return found


def _core_distances(distances: npt.NDArray[np.float64], width: int) -> npt.NDArray[np.float64]:
    """Give the all-points core distance of each point: (mean of (1/d)^width)^(-1/width)."""
    count = len(distances)
    powers = -width * np.log(distances)
    np.fill_diagonal(powers, -np.inf)
    greatest = powers.max(axis=1)
    sums = greatest + np.log(np.exp(powers - greatest[:, None]).sum(axis=1))
    found: npt.NDArray[np.float64] = np.exp(-(sums - np.log(count - 1)) / width)
    return found


def _sparseness(reach: npt.NDArray[np.float64]) -> tuple[float, npt.NDArray[np.bool_]]:
    """Give the longest inner edge of the spanning tree, and which points are inner ones (all, if none is)."""
    tree = minimum_spanning_tree(csr_array(np.triu(reach, 1))).tocoo()
    degrees = np.bincount(np.concatenate([tree.row, tree.col]), minlength=len(reach))
    inner = degrees > 1
    both = inner[tree.row] & inner[tree.col]
    edges = tree.data[both] if both.any() else tree.data
    return float(edges.max()), inner if inner.any() else np.ones(len(reach), np.bool_)


def _distances(rows: FloatRows) -> npt.NDArray[np.float64]:
    found = np.clip(1.0 - (rows @ rows.T).astype(np.float64), 0.0, 2.0)
    np.fill_diagonal(found, 0.0)
    return found


def _sample(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
