"""One fit, from a matrix and texts to a clustering. The story of a job in its worker.

    order ─▶ distinct? ─▶ k-means, density or agglomerative ─▶ centroids ─▶ quality ─▶ keywords ─▶ ids

Rows are put into an order of their own first, so that the order of the input doesn't matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.fit import centres, kmeans, quality
from nearfield_server.core.clustering.fit.agglomerative import fit_agglomerative
from nearfield_server.core.clustering.fit.centres import Centres
from nearfield_server.core.clustering.fit.keywords import keywords_of
from nearfield_server.core.clustering.fit.lineage import inherit
from nearfield_server.core.clustering.nouns import (
    Arrays,
    ClusterInfo,
    FitOptions,
    Fitted,
    FloatColumn,
    IntColumn,
    ItemRef,
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

_DECILES = np.arange(0.1, 0.95, 0.1)
_SHARES = {"order": 0.05, "fit": 0.6, "assign": 0.1, "quality": 0.1, "labels": 0.15}
_NAME_KEYWORDS = 3
_EXAMPLE_CHARACTERS = 500
_RADIUS_SAMPLE = 20_000
_HASHED_ROWS = 4096

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

    `texts` is empty where there are none. `keys` order the rows; empty: the rows' own bytes do. `names`: vectors of
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
    centroids: FloatRows | None = None
    layers: list[Layer] = field(default_factory=list)
    layer_labels: list[IntColumn] = field(default_factory=list)
    shown: int = 0
    merges: list[Merge] = field(default_factory=list)
    trials: list[Trial] = field(default_factory=list)
    warnings: list[str] = field(default_factory=list)


def fit(job: FitJob, told: Told = lambda _stage, _fraction: None) -> tuple[Fitted, Arrays]:
    """Cluster one or more unit rows. `told` hears the stage and the share of all work that is done."""
    clock = Stages(told, _SHARES)
    with clock.stage("order"):
        order = _order(job)
        rows = np.ascontiguousarray(job.rows[order])
        distinct = _distinct(rows)
    with clock.stage("fit") as part:
        groups = _groups(rows, distinct, job.options, part)
    with clock.stage("assign"):
        groups, seen, centroids = _centred(rows, groups)
    with clock.stage("quality"):
        measured = _measured(rows, groups, seen)
    with clock.stage("labels"):
        texts = [job.texts[row] for row in order] if len(job.texts) else []
        words = _keywords(texts, groups.labels, len(centroids), job.options)
        clusters = _clusters(rows, groups, centroids, _Named(texts, words, job), measured, order)
    fitted, arrays = _result(job, groups, (clusters, centroids), seen, measured[0], order)
    return replace(fitted, stage_seconds=clock.seconds), arrays


def _order(job: FitJob) -> npt.NDArray[np.int64]:
    if len(job.keys):
        return np.array(sorted(range(len(job.keys)), key=job.keys.__getitem__), np.int64)
    keyed = np.ascontiguousarray(job.rows).view(np.dtype((np.void, job.rows.shape[1] * 4))).ravel()
    return np.argsort(keyed, kind="stable")


def _distinct(rows: FloatRows) -> int:
    """Count the rows that differ, by hashes: it needs no copy of the rows."""
    random = np.random.default_rng(0)
    factors = random.integers(1, 2**63, rows.shape[1], np.uint64) * np.uint64(2) + np.uint64(1)
    hashes = [
        (rows[start : start + _HASHED_ROWS].view(np.uint32).astype(np.uint64) * factors).sum(axis=1)
        for start in range(0, len(rows), _HASHED_ROWS)
    ]
    return len(np.unique(np.concatenate(hashes)))


def _groups(rows: FloatRows, distinct: int, options: FitOptions, told: Callable[[float], None]) -> _Groups:
    if options.method is Method.DENSITY:
        return _dense(rows, distinct, options)
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
    centroids = kmeans.fit_kmeans(rows, options.k, options.seed, told)
    labels = Centres.of(rows, centroids).nearest
    return _Groups(labels, options, centroids=centroids, trials=trials, warnings=warnings)


def _dense(rows: FloatRows, distinct: int, options: FitOptions) -> _Groups:
    from nearfield_server.core.clustering.fit import density  # noqa: PLC0415 - importing EVoC compiles for a minute

    if distinct == 1:
        text = "all items are the same: one cluster"
        return _Groups(np.zeros(len(rows), np.int32), options, np.ones(len(rows), np.float32), warnings=[text])
    if distinct < density.LEAST_ITEMS:
        text = f"{distinct} different items are too few for density ({density.LEAST_ITEMS} are needed): all are noise"
        return _nothing_dense(rows, options, text)
    found = density.fit_density(rows, options)
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
    found = quality.SilhouetteSample(rows[inside], seed).of(groups.labels[inside])
    validity = None
    if groups.options.method is Method.DENSITY and groups.layer_labels:
        validity = quality.dbcv(rows, groups.layer_labels[groups.shown], seed)
    own = seen.nearest[inside] == groups.labels[inside]
    cohesion = float(1.0 - seen.distances[inside][own].mean()) if own.any() else 0.0
    return Quality(silhouette=found.mean, sample=found.sample, dbcv=validity, cohesion=cohesion), found


def _keywords(texts: Sequence[str], labels: IntColumn, count: int, options: FitOptions) -> list[tuple[Keyword, ...]]:
    if not texts or options.labels.disabled or not count:
        return [()] * count
    return keywords_of(texts, labels, count, options.labels, options.seed)


@dataclass(frozen=True, slots=True)
class _Named:
    texts: Sequence[str]
    words: list[tuple[Keyword, ...]]
    job: FitJob

    def text(self, row: int) -> str:
        """Give the start of a text."""
        return self.texts[row][:_EXAMPLE_CHARACTERS] if self.texts else ""

    def name(self, place: int, centroid: FloatColumn) -> tuple[str, float | None]:
        """Give what to call a cluster, and how near the name is."""
        if self.job.names is not None and len(self.job.names):
            similarities = self.job.names @ centroid
            best = int(similarities.argmax())
            return self.job.options.labels.names[best], float(similarities[best])
        return ", ".join(word.term for word in self.words[place][:_NAME_KEYWORDS]), None


def _clusters(
    rows: FloatRows,
    groups: _Groups,
    centroids: FloatRows,
    named: _Named,
    measured: tuple[Quality, quality.Silhouettes],
    order: npt.NDArray[np.int64],
) -> list[ClusterInfo]:
    by_place = np.argsort(groups.labels, kind="stable")
    starts = np.searchsorted(groups.labels[by_place], np.arange(len(centroids) + 1))
    result = []
    for place, centroid in enumerate(centroids):
        members = by_place[starts[place] : starts[place + 1]]
        similarities = rows[members] @ centroid
        chosen = centres.examples(members, similarities, named.texts, groups.options.nearest_items)
        examples = tuple(ItemRef(int(order[one.row]), min(one.similarity, 1.0), named.text(one.row)) for one in chosen)
        name, nearness = named.name(place, centroid)
        part = members if len(members) <= _RADIUS_SAMPLE else members[:: len(members) // _RADIUS_SAMPLE + 1]
        result.append(
            ClusterInfo(
                id=place,
                size=len(members),
                name=name,
                name_similarity=nearness,
                keywords=named.words[place],
                medoid=examples[0],
                nearest=examples,
                cohesion=float(similarities.mean()),
                radius=centres.radius_of(centres.left_out_distances(rows[part], centroid)),
                silhouette=measured[1].by_label.get(place),
            )
        )
    return result


def _result(
    job: FitJob,
    groups: _Groups,
    found: tuple[list[ClusterInfo], FloatRows],
    seen: Centres | None,
    measured: Quality,
    order: npt.NDArray[np.int64],
) -> tuple[Fitted, Arrays]:
    """Put all into the order of the input, and give ids."""
    clusters, centroids = found
    count = len(order)
    nearest = np.full(count, -1, np.int32) if seen is None else seen.nearest
    labels, lineage, next_id = groups.labels, [], len(clusters)
    if job.previous is not None:
        before = _before(job.previous, job.rows[order], order)
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
    back = np.empty(count, np.int64)
    back[order] = np.arange(count)
    return fitted, Arrays(
        clusters=labels[back].astype(np.int32),
        strengths=strengths[back].astype(np.float32),
        nearest=nearest[back].astype(np.int32),
        layers=layers[:, back].astype(np.int32),
        centroids=centroids,
        deciles=_deciles(job.rows[order], groups.labels, seen, centroids),
    )


def _before(previous: Previous, rows: FloatRows, order: npt.NDArray[np.int64]) -> IntColumn:
    before = previous.clusters[order].copy()
    unknown = np.flatnonzero(before == -2)  # noqa: PLR2004 - see Previous
    if len(unknown) and len(previous.ids):
        places = Centres.of(np.ascontiguousarray(rows[unknown]), previous.centroids).nearest
        before[unknown] = np.array(previous.ids, np.int32)[places]
    return before


def _deciles(rows: FloatRows, labels: IntColumn, seen: Centres | None, centroids: FloatRows) -> FloatColumn:
    """Give the deciles of the distances to the nearest centroid, each row left out of its own."""
    if seen is None:
        return np.zeros(len(_DECILES), np.float32)
    distances = seen.distances.copy()
    for place, centroid in enumerate(centroids):
        members = np.flatnonzero((labels == place) & (seen.nearest == place))
        if len(members):
            distances[members] = centres.left_out_distances(rows[members], centroid)
    return np.asarray(np.quantile(distances, _DECILES), np.float32)
