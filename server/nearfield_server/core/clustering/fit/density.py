"""Density clusters in layers, by EVoC, and the choice of the layer to show.

EVoC divides its work by the number of threads, and what it finds depends on that: the same seed gives the same layers
with as many threads (`cluster.threads`). k-means and agglomerative clustering don't ask.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.fit.quality import SilhouetteSample
from nearfield_server.core.clustering.nouns import FitOptions, FloatColumn, IntColumn, Layer
from nearfield_server.types import FloatRows

__all__ = ["LEAST_ITEMS", "Density", "fit_density"]

_NEIGHBOURS = 15
LEAST_ITEMS = 2 * _NEIGHBOURS
"""EVoC's graph has 15 neighbours of each item: with fewer items than this there is no density to speak of."""


@dataclass(frozen=True, slots=True)
class Density:
    """Layers from fine to coarse; `shown` is the one chosen. Labels are places, greatest cluster first."""

    labels: list[IntColumn]
    strengths: list[FloatColumn]
    layers: list[Layer]
    shown: int


def fit_density(rows: FloatRows, first: npt.NDArray[np.int64], options: FitOptions) -> Density:
    """Give all layers for unit rows of which at least two differ; none where nothing is dense.

    Rows that are equal go where the `first` of them goes: EVoC may tell them apart.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # numba's, about its own compiling
        import evoc  # noqa: PLC0415 - it compiles for a minute or two where nothing is in numba's cache

    model = evoc.EVoC(
        noise_level=options.noise_level,
        base_min_cluster_size=options.min_cluster_size,
        n_neighbors=_NEIGHBOURS,
        random_state=options.seed,
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # as above
        model.fit(rows)
    sample = SilhouetteSample(rows, options.seed)
    labels, strengths, layers = [], [], []
    for found, strength, persistence in zip(
        model.cluster_layers_, model.membership_strength_layers_, model.persistence_scores_, strict=True
    ):
        places = _by_size(found[first])
        if (count := int(places.max(initial=-1)) + 1) == 0:
            continue
        score = sample.of(places).mean
        labels.append(places)
        strengths.append(np.where(places < 0, 0.0, np.clip(strength[first], 0.0, 1.0)).astype(np.float32))
        layers.append(
            Layer(
                clusters=count,
                noise_share=float((places < 0).mean()),
                silhouette=-1.0 if score is None else score,
                persistence=float(persistence),
            )
        )
    return Density(labels, strengths, _with_parents(layers, labels), _chosen(layers, options.target_clusters))


def _chosen(layers: list[Layer], target: int | None) -> int:
    everyone = range(len(layers))
    if target is None:
        return max(everyone, key=lambda one: layers[one].silhouette, default=0)
    return min(everyone, key=lambda one: (abs(layers[one].clusters - target), -one), default=0)


def _by_size(found: npt.NDArray[np.int64]) -> IntColumn:
    """Number clusters by size, greatest first; noise stays -1."""
    names, sizes = np.unique(found[found >= 0], return_counts=True)
    places = np.full(int(found.max(initial=-1)) + 2, -1, np.int32)
    places[names[np.argsort(-sizes, kind="stable")]] = np.arange(len(names))
    return places[found]


def _with_parents(layers: list[Layer], labels: list[IntColumn]) -> list[Layer]:
    result = []
    for at, layer in enumerate(layers):
        if at + 1 == len(layers):
            result.append(layer)
            break
        finer, coarser = labels[at], labels[at + 1]
        width = layers[at + 1].clusters + 1
        inside = finer >= 0
        pairs = np.bincount(finer[inside] * width + coarser[inside] + 1, minlength=layer.clusters * width)
        parents = pairs.reshape(layer.clusters, width).argmax(axis=1) - 1
        result.append(
            Layer(
                clusters=layer.clusters,
                noise_share=layer.noise_share,
                silhouette=layer.silhouette,
                persistence=layer.persistence,
                parents=tuple(int(one) for one in parents),
            )
        )
    return result
