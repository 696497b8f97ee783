"""One fit, from a matrix and texts to a clustering. The story of a job in its worker.

    order ─▶ distinct? ─▶ k-means, density or agglomerative ─▶ centroids ─▶ quality ─▶ keywords ─▶ ids

Rows are put into an order of their own first, so that the order of the input doesn't matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
from threadpoolctl import threadpool_limits

from nearfield_server.core.clustering.fit import centres, density, kmeans, quality
from nearfield_server.core.clustering.fit.agglomerative import fit_agglomerative
from nearfield_server.core.clustering.fit.centres import Centres
from nearfield_server.core.clustering.fit.describing import Described, Names, deciles_of, describe
from nearfield_server.core.clustering.fit.keywords import keywords_of
from nearfield_server.core.clustering.fit.lineage import inherit
from nearfield_server.core.clustering.fit.order import Ordered
from nearfield_server.core.clustering.nouns import (
    Arrays,
    ClusterInfo,
    FitOptions,
    Fitted,
    FloatColumn,
    IntColumn,
    Keyword,
    Layer,
    Merge,
    Method,
    Quality,
    Trial,
)
from nearfield_server.core.computing.stages import Stages
from nearfield_server.types import FloatRows

__all__ = ["FitJob", "Previous", "fit"]

_SHARES = {"order": 0.05, "fit": 0.6, "assign": 0.1, "quality": 0.1, "labels": 0.15}
_ALONE = 4_000_000
"""Numbers in a matrix up to which one thread fits it: several would wait for each other longer than they compute."""

Told = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Previous:
    """The clustering whose ids live on.

    `clusters`: id of each item's cluster there, -1: it has none, -2: the item isn't known there; its nearest centroid
    tells then.
    """

    ids: list[int]
    next_id: int
    centroids: FloatRows
    clusters: IntColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class FitJob:
    """What is to be clustered.

    `texts` is empty where there are none. `keys` order rows that are equal. `names`: vectors of
    `options.labels.names`.
    """

    rows: FloatRows
    options: FitOptions
    texts: Sequence[str] = ()
    keys: Sequence[str] = ()
    names: FloatRows | None = None
    previous: Previous | None = None


@dataclass(slots=True)
class _Groups:
    """What a method gives: places of rows and, where it has them, strengths, layers, merges and trials."""

    labels: IntColumn
    options: FitOptions
    strengths: FloatColumn | None = None
    layers: list[Layer] = field(default_factory=list)
    layer_labels: list[IntColumn] = field(default_factory=list)
    shown: int = 0
    merges: list[Merge] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def fit(job: FitJob, told: Told = lambda _stage, _fraction: None) -> tuple[Fitted, Arrays]:
    """Cluster one or more unit rows. `told` hears the stage and the share of all work that is done."""
    clock = Stages(told, _SHARES)
    with threadpool_limits(1 if job.rows.size <= _ALONE else None):
        with clock.stage("order"):
            items = Ordered.of(job.rows, job.keys)
        with clock.stage("fit") as part:
            groups = _groups(items, job.options, part, lambda: told("start", _SHARES["order"]))
        with clock.stage("assign"):
            groups, seen, centroids = _centred(items.rows, groups)
        with clock.stage("quality"):
            measured = _measured(items.rows, groups, seen)
        with clock.stage("labels"):
            clusters = _described(job, items, groups, centroids, measured[1])
        fitted, arrays = _result(job, groups, (clusters, centroids, measured[0]), seen, items)
    return replace(fitted, stage_seconds=clock.seconds), arrays


def _groups(
    items: Ordered, options: FitOptions, told: Callable[[float], None], starting: Callable[[], None]
) -> _Groups:
    """Cluster by the method; `starting` is called before libraries are imported that take long."""
    rows, distinct = items.rows, items.distinct
    if options.method is Method.DENSITY:
        return _dense(items, options, starting)
    warnings = []
    if options.k is not None and options.k > distinct:
        warnings.append(f"only {distinct} items differ: there are no {options.k} clusters")
        options = replace(options, k=distinct)
    if distinct == 1:
        return _Groups(np.zeros(len(rows), np.int32), replace(options, k=1), warnings=warnings)
    if options.method is Method.AGGLOMERATIVE:
        labels, merges = fit_agglomerative(rows, options)
        return _Groups(labels, options, merges=merges, warnings=warnings)
    trials: list[Trial] = []
    if options.k is None:
        sweep = [one for one in kmeans.sweep_of(len(rows), options.min_k, options.max_k) if one <= distinct]
        sweep = sweep or [distinct]
        chosen, trials = kmeans.choose_k(rows, sweep, options.seed, lambda part: told(0.7 * part))
        options = replace(options, k=chosen)
    assert options.k is not None  # noqa: S101 - chosen above
    labels = kmeans.nearest_of_kmeans(rows, options.k, options.seed, told)
    return _Groups(labels, options, trials=trials, warnings=warnings)


def _dense(items: Ordered, options: FitOptions, starting: Callable[[], None]) -> _Groups:
    rows, distinct = items.rows, items.distinct
    if distinct == 1:
        text = "all items are the same: one cluster"
        return _Groups(np.zeros(len(rows), np.int32), options, np.ones(len(rows), np.float32), warnings=[text])
    if distinct < density.LEAST_ITEMS:
        text = f"{distinct} different items are too few for density ({density.LEAST_ITEMS} are needed): all are noise"
        return _nothing_dense(rows, options, text)
    starting()
    found = density.fit_density(rows, items.first, options)
    if not found.layers:
        return _nothing_dense(rows, options, "nothing is dense: all items are noise")
    shown = found.shown
    return _Groups(
        found.labels[shown].copy(),
        options,
        found.strengths[shown],
        layers=found.layers,
        layer_labels=found.labels,
        shown=shown,
    )


def _nothing_dense(rows: FloatRows, options: FitOptions, text: str) -> _Groups:
    return _Groups(np.full(len(rows), -1, np.int32), options, np.zeros(len(rows), np.float32), warnings=[text])


def _centred(rows: FloatRows, groups: _Groups) -> tuple[_Groups, Centres | None, FloatRows]:
    """Number clusters by size, and compare all rows with their centroids."""
    labels, count = groups.labels, int(groups.labels.max(initial=-1)) + 1
    if not count:
        return groups, None, np.empty((0, rows.shape[1]), np.float32)
    if groups.options.method is Method.KMEANS:
        labels = _by_size(labels, count)
        count = int(labels.max()) + 1
    centroids = centres.centroids_of(rows, labels, count)
    seen = Centres.of(rows, centroids)
    if groups.options.method is Method.KMEANS:
        # The means of what belongs to them: no item is nearer to another centroid than to its own.
        labels = seen.nearest
        if len(np.unique(labels)) < count:
            labels = _by_size(labels, count)
            centroids = centres.centroids_of(rows, labels, int(labels.max()) + 1)
            seen = Centres.of(rows, centroids)
    elif groups.options.assign_noise:
        labels = np.where(labels < 0, seen.nearest, labels)
    return _relabelled(groups, labels, seen), seen, centroids


def _relabelled(groups: _Groups, labels: IntColumn, seen: Centres) -> _Groups:
    """Give the groups other labels, and strengths where the method has none."""
    groups.labels = labels.astype(np.int32)
    if groups.strengths is None:
        groups.strengths = seen.strengths
    return groups


def _by_size(labels: IntColumn, count: int) -> IntColumn:
    """Number clusters by size, greatest first; empty ones fall away."""
    sizes = np.bincount(labels, minlength=count)
    places = np.empty(count, np.int32)
    places[np.argsort(-sizes, kind="stable")] = np.arange(count)
    return places[labels]


def _measured(rows: FloatRows, groups: _Groups, seen: Centres | None) -> tuple[Quality, quality.Silhouettes]:
    inside = np.flatnonzero(groups.labels >= 0)
    if seen is None or not len(inside):
        nothing = quality.Silhouettes(None, 0, {})
        return Quality(silhouette=None, sample=0, dbcv=None, cohesion=0.0), nothing
    seed = groups.options.seed
    found = quality.SilhouetteSample(rows, seed, inside).of(groups.labels)
    validity = None
    if groups.options.method is Method.DENSITY and groups.layer_labels:
        validity = quality.dbcv(rows, groups.layer_labels[groups.shown], seed)
    own = seen.nearest[inside] == groups.labels[inside]
    cohesion = float(1.0 - seen.distances[inside][own].mean()) if own.any() else 0.0
    return Quality(silhouette=found.mean, sample=found.sample, dbcv=validity, cohesion=cohesion), found


def _described(
    job: FitJob, items: Ordered, groups: _Groups, centroids: FloatRows, silhouettes: quality.Silhouettes
) -> list[ClusterInfo]:
    texts = [job.texts[row] for row in items.order] if len(job.texts) else []
    words: list[tuple[Keyword, ...]] = [()] * len(centroids)
    wanted = groups.options.labels
    if texts and not wanted.disabled and len(centroids):
        words = keywords_of(texts, groups.labels, len(centroids), wanted, groups.options.seed)
    names = Names(words, wanted.names, job.names)
    told = Described(items.rows, texts, items.order, groups.options.nearest_items)
    return describe(told, groups.labels, centroids, names, silhouettes.by_label)


def _result(
    job: FitJob,
    groups: _Groups,
    found: tuple[list[ClusterInfo], FloatRows, Quality],
    seen: Centres | None,
    items: Ordered,
) -> tuple[Fitted, Arrays]:
    """Put all into the order of the input, and give ids."""
    clusters, centroids, measured = found
    count = len(items.order)
    nearest = np.full(count, -1, np.int32) if seen is None else seen.nearest
    labels, lineage, next_id = groups.labels, [], len(clusters)
    if job.previous is not None:
        before = _before(job.previous, items)
        inherited = inherit(before, labels, len(clusters), job.previous.ids, job.previous.next_id)
        lineage, next_id = inherited.lineage, inherited.next_id
        clusters = [replace(one, id=inherited.ids[place]) for place, one in enumerate(clusters)]
        ids = np.array([*inherited.ids, -1], np.int32)
        labels, nearest = ids[labels], ids[nearest]
    fitted = Fitted(
        options=groups.options,
        items=count,
        noise=int((groups.labels < 0).sum()),
        clusters=tuple(clusters),
        layer=groups.shown,
        layers=tuple(groups.layers),
        merges=tuple(groups.merges),
        trials=tuple(groups.trials),
        quality=measured,
        lineage=tuple(lineage),
        next_id=next_id,
        warnings=tuple(groups.warnings),
        stage_seconds={},
    )
    strengths = np.zeros(count, np.float32) if groups.strengths is None else groups.strengths
    layers = np.stack(groups.layer_labels) if groups.layer_labels else np.empty((0, count), np.int32)
    back = items.back()
    return fitted, Arrays(
        clusters=labels[back].astype(np.int32),
        strengths=strengths[back].astype(np.float32),
        nearest=nearest[back].astype(np.int32),
        layers=layers[:, back].astype(np.int32),
        centroids=centroids,
        deciles=deciles_of(items.rows, groups.labels, seen, centroids),
    )


def _before(previous: Previous, items: Ordered) -> IntColumn:
    before = previous.clusters[items.order]
    unknown = np.flatnonzero(before == -2)  # noqa: PLR2004 - see Previous
    if len(unknown) and len(previous.ids):
        places = Centres.of(np.ascontiguousarray(items.rows[unknown]), previous.centroids).nearest
        before[unknown] = np.array(previous.ids, np.int32)[places]
    return before
