"""One function for each method but PCA: different unit rows and their neighbours, to coordinates.

Libraries are imported when they are asked for: those that stand on numba compile for up to half a minute.
"""
# ruff: noqa: PLC0415 - see above

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.core.projection.fit.linear import fit_linear
from nearfield_server.core.projection.nouns import Way
from nearfield_server.types import FloatRows

__all__ = ["LAYOUTS", "Ground", "wanted"]

_SEEDS = 2**30
"""The libraries' seeds are int32, and they add to them."""
_MORE_NEIGHBORS = 50
_PAIRS = 3.5
"""Pairs of PaCMAP for each neighbour: with it, halfway and far ones. They must be fewer than the items."""
_PERPLEXITY = 3.0
"""Neighbours for each unit of perplexity."""
_ROUNDS = 750
"""Of t-SNE: 250 with exaggeration, 500 without."""
_TELL_ROUNDS = 25


@dataclass(frozen=True, slots=True)
class Ground:
    """What a layout stands on. `near`, `distances`: [rows, wanted], nearest first; `told` hears the share done."""

    rows: FloatRows
    near: npt.NDArray[np.int32]
    distances: FloatRows
    neighbors: int
    components: int
    seed: int
    told: Callable[[float], None]


def wanted(method: Way, neighbors: int, items: int) -> tuple[int, int]:
    """Give the neighbours that a method can keep of so many items, and those that it has to know for that."""
    if method is Way.PACMAP:
        kept = max(1, min(neighbors, int((items - 1) / _PAIRS)))
        return kept, min(kept + _MORE_NEIGHBORS, items - 1)
    kept = min(neighbors, items - 1)
    return kept, kept


def pacmap(ground: Ground) -> FloatRows:
    """Lay out by PaCMAP, whose own search for neighbours depends on threads."""
    from pacmap import PaCMAP
    from pacmap.pacmap import sample_neighbors_pair, scale_dist

    logging.getLogger("pacmap").setLevel(logging.ERROR)
    reach = np.maximum(ground.distances[:, 3:6].mean(axis=1), 1e-10).astype(np.float32)
    near = np.ascontiguousarray(ground.near)
    scaled = scale_dist(np.ascontiguousarray(ground.distances), reach, near)
    pairs = sample_neighbors_pair(ground.rows, scaled, near, np.int32(ground.neighbors))
    ground.told(0.1)
    reducer = PaCMAP(
        n_components=ground.components,
        n_neighbors=ground.neighbors,
        pair_neighbors=pairs,
        random_state=ground.seed % _SEEDS,
    )
    return np.asarray(reducer.fit_transform(ground.rows, init="pca"), np.float32)


def umap(ground: Ground) -> FloatRows:
    """Lay out by UMAP, from the coordinates of PCA on."""
    count = len(ground.rows)
    near = np.hstack([np.arange(count, dtype=np.int32)[:, None], ground.near[:, :-1]])
    distances = np.hstack([np.zeros((count, 1), np.float32), ground.distances[:, :-1]])
    start = fit_linear(ground.rows, ground.components).coordinates
    start = 10.0 * start / max(float(np.abs(start).max()), 1e-12)
    with warnings.catch_warnings():
        # That transform() and the parametric UMAP won't work, which nobody asks for.
        warnings.simplefilter("ignore")
        from umap import UMAP

        reducer = UMAP(
            n_components=ground.components,
            n_neighbors=near.shape[1],
            init=start.astype(np.float32),
            random_state=ground.seed % _SEEDS,
            n_jobs=1,
            precomputed_knn=(near, distances),
        )
        return np.asarray(reducer.fit_transform(ground.rows), np.float32)


def tsne(ground: Ground) -> FloatRows:
    """Lay out by t-SNE, from the coordinates of PCA on."""
    from openTSNE import TSNE
    from openTSNE.affinity import PerplexityBasedNN
    from openTSNE.nearest_neighbors import PrecomputedNeighbors

    threads = int(os.environ.get("OMP_NUM_THREADS", "1"))
    index = PrecomputedNeighbors(ground.near.astype(np.int64), ground.distances.astype(np.float64))
    perplexity = max(1.0, ground.neighbors / _PERPLEXITY)
    affinities = PerplexityBasedNN(knn_index=index, perplexity=perplexity, n_jobs=threads)
    start = fit_linear(ground.rows, ground.components).coordinates.astype(np.float64)
    start *= 1e-4 / max(float(start[:, 0].std()), 1e-12)
    rounds = 0

    def heard(*_: Any) -> None:
        nonlocal rounds
        rounds += _TELL_ROUNDS
        ground.told(min(1.0, rounds / _ROUNDS))

    layout = TSNE(
        n_components=ground.components,
        random_state=ground.seed % _SEEDS,
        n_jobs=threads,
        # The faster way of many items knows planes only.
        negative_gradient_method="auto" if ground.components == 2 else "bh",  # noqa: PLR2004
        callbacks=heard,
        callbacks_every_iters=_TELL_ROUNDS,
    )
    return np.asarray(layout.fit(affinities=affinities, initialization=start), np.float32)


LAYOUTS: dict[Way, Callable[[Ground], FloatRows]] = {Way.PACMAP: pacmap, Way.UMAP: umap, Way.TSNE: tsne}
