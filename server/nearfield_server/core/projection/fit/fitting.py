"""A map, from unit rows to coordinates that are centred and scaled.

Coordinates have the mean of all items as their origin, and the one furthest from it in any direction is at -1 or 1: the
ratios of distances stay as the method made them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
from sklearn.manifold import trustworthiness

from nearfield_server.core.computing.stages import Stages
from nearfield_server.core.projection.estimate import neighbors_of
from nearfield_server.core.projection.fit.layouts import LAYOUTS, Ground, wanted
from nearfield_server.core.projection.fit.linear import fit_linear
from nearfield_server.core.projection.fit.neighbors import nearest
from nearfield_server.core.projection.fit.rows import Distinct, distinct
from nearfield_server.core.projection.nouns import MapArrays, Projected, ProjectOptions, Way
from nearfield_server.types import FloatRows

__all__ = ["LEAST_ITEMS", "MAX_ANCHORS", "MapJob", "fit"]

LEAST_ITEMS = 10
"""Different items that all methods but PCA need."""
MAX_ANCHORS = 10_000
_SHARES = {"order": 0.05, "neighbors": 0.25, "fit": 0.6, "quality": 0.1}
_QUALITY_SAMPLE = 2000
_QUALITY_NEIGHBORS = 5
_QUALITY_LEAST = 12
"""Items that trustworthiness of so many neighbours needs."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapJob:
    """What is to be projected. `keys` order the rows; empty: their own bytes do. `anchors`: new items are to come."""

    rows: FloatRows
    options: ProjectOptions
    keys: Sequence[str] = ()
    anchors: bool = False


@dataclass(frozen=True, slots=True)
class _Laid:
    """Coordinates of the rows that differ; `matrix` and `offset` where they are linear."""

    coordinates: FloatRows
    options: ProjectOptions
    matrix: FloatRows
    offset: npt.NDArray[np.float32]
    warnings: tuple[str, ...] = ()


def fit(job: MapJob, told: Callable[[str, float], None] = lambda _stage, _share: None) -> tuple[Projected, MapArrays]:
    """Project one or more unit rows. `told` hears the stage and the share of all work that is done."""
    stages = Stages(told, _SHARES)
    with stages.stage("order"):
        found = distinct(job.rows, job.keys)
    laid = _laid(found, job.options, stages)
    with stages.stage("quality"):
        laid = _scaled(laid, found.counts)
        trust = _trustworthiness(found.rows, laid.coordinates, job.options.seed)
    projected = Projected(
        options=laid.options,
        items=len(job.rows),
        trustworthiness=trust,
        warnings=laid.warnings,
        stage_seconds=stages.seconds,
    )
    most = 0 if len(laid.matrix) or not job.anchors else MAX_ANCHORS
    chosen = _sample(len(found.rows), most, job.options.seed)
    return projected, MapArrays(
        coordinates=laid.coordinates[found.of],
        anchors=found.rows[chosen].astype(np.float16),
        places=laid.coordinates[chosen],
        matrix=laid.matrix,
        offset=laid.offset,
    )


def _laid(found: Distinct, options: ProjectOptions, stages: Stages) -> _Laid:
    rows, method = found.rows, options.method
    if method is Way.PCA or len(rows) < LEAST_ITEMS:
        with stages.stage("fit"):
            line = fit_linear(rows, options.components)
        warnings = _few(len(rows), len(found.of), options)
        return _Laid(line.coordinates, replace(options, neighbors=0), line.matrix, line.offset, warnings)
    asked = neighbors_of(options)
    kept, known = wanted(method, asked, len(rows))
    with stages.stage("neighbors") as part:
        near, distances = nearest(rows, known, part)
    with stages.stage("fit") as part:
        ground = Ground(rows, near, distances, kept, options.components, options.seed, part)
        coordinates = LAYOUTS[method](ground)
    warnings = () if kept == asked else (f"{len(rows)} different items are too few for {asked} neighbors: {kept}",)
    if not np.isfinite(coordinates).all():
        coordinates = fit_linear(rows, options.components).coordinates
        warnings = (*warnings, f"{method.name} gave no finite coordinates: these are of PCA")
    nothing = np.empty((0, options.components), np.float32)
    return _Laid(coordinates, replace(options, neighbors=kept), nothing, nothing[:, 0], warnings)


def _few(count: int, items: int, options: ProjectOptions) -> tuple[str, ...]:
    if count == 1:
        return ("all items are the same: they lie on one point" if items > 1 else "one item: it lies at the origin",)
    if count <= options.components:
        return (f"{count} different items span fewer than {options.components} dimensions: the others are 0",)
    if options.method is not Way.PCA:
        name = options.method.name
        return (f"{count} different items are too few for {name} ({LEAST_ITEMS} are needed): placed by PCA",)
    return ()


def _scaled(laid: _Laid, counts: npt.NDArray[np.int64]) -> _Laid:
    """Bring the mean of all items to the origin, and the furthest coordinate to 1."""
    wide = laid.coordinates.astype(np.float64)
    centre = (wide * counts[:, None]).sum(axis=0) / counts.sum()
    wide -= centre
    # What rounding left of rows that are the same is no distance.
    scale = reach if (reach := float(np.abs(wide).max())) > np.finfo(np.float32).eps else 1.0
    offset = laid.offset
    if len(laid.matrix):
        offset = ((laid.offset - centre) / scale).astype(np.float32)
    return replace(
        laid,
        coordinates=(wide / scale).astype(np.float32),
        matrix=(laid.matrix / scale).astype(np.float32),
        offset=offset,
    )


def _trustworthiness(rows: FloatRows, coordinates: FloatRows, seed: int) -> float | None:
    """Give the trustworthiness of a sample: 1, where neighbours on the map are neighbours in truth."""
    if len(rows) < _QUALITY_LEAST:
        return None
    chosen = _sample(len(rows), _QUALITY_SAMPLE, seed)
    return float(trustworthiness(rows[chosen], coordinates[chosen], n_neighbors=_QUALITY_NEIGHBORS))


def _sample(count: int, most: int, seed: int) -> npt.NDArray[np.int64]:
    if count <= most:
        return np.arange(count)
    return np.sort(np.random.default_rng(seed).choice(count, most, replace=False))
