"""The metrics of clustering; part of `metrics`, which explains the rules. Nothing here has a caller's name in it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = [
    "CLUSTER_OUTCOMES",
    "CLUSTER_STAGES",
    "DUPLICATE_VERDICTS",
    "FIT_BUCKETS",
    "MAP_OUTCOMES",
    "MAP_STAGES",
    "ClusterMetrics",
]

CLUSTER_STAGES = ("order", "fit", "assign", "quality", "labels")
CLUSTER_METHODS = ("kmeans", "density", "agglomerative")
CLUSTER_OUTCOMES = ("done", "failed", "cancelled")
MAP_STAGES = ("order", "neighbors", "fit", "quality")
MAP_OUTCOMES = ("done", "placed", "failed", "cancelled")
DUPLICATE_VERDICTS = ("unique", "exact", "near", "failed")
FIT_BUCKETS = (0.01, 0.05, 0.1, 0.5, 1.0, 5.0, 10.0, 30.0, 60.0, 300.0, 1800.0, 7200.0)
_STATES = ("queued", "running")


class _Enum(Protocol):
    @property
    def value(self) -> str: ...


class _Options(Protocol):
    @property
    def method(self) -> _Enum: ...


class FittedFigures(Protocol):
    """What of a fit is counted."""

    @property
    def options(self) -> _Options: ...
    @property
    def items(self) -> int: ...
    @property
    def noise(self) -> int: ...
    @property
    def stage_seconds(self) -> Mapping[str, float]: ...
    @property
    def peak_memory_bytes(self) -> int: ...


class ClusterMetrics:
    """Safe on any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make all series."""
        jobs = Counter("nearfield_clusterings", "Clusterings that ended", ["outcome"], registry=registry)
        self._ended = {one: jobs.labels(one) for one in CLUSTER_OUTCOMES}
        running = Gauge("nearfield_computations", "Computations by state", ["state"], registry=registry)
        self._running = {one: running.labels(one) for one in _STATES}
        items = Counter("nearfield_clustered_items", "Items clustered", ["method"], registry=registry)
        self._items = {one: items.labels(one) for one in CLUSTER_METHODS}
        stages = Histogram(
            "nearfield_cluster_stage_seconds",
            "Time of a clustering in each stage",
            ["stage"],
            registry=registry,
            buckets=FIT_BUCKETS,
        )
        self._stages = {one: stages.labels(one) for one in CLUSTER_STAGES}
        self._noise = Histogram(
            "nearfield_cluster_noise_ratio",
            "Share of items without a cluster",
            registry=registry,
            buckets=(0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0),
        )
        self._memory = Gauge(
            "nearfield_cluster_peak_memory_bytes", "Peak memory of the latest fit's worker", registry=registry
        )
        assigned = Counter("nearfield_assigned_items", "Items put into clusters", ["outcome"], registry=registry)
        self._assigned = {one: assigned.labels(one) for one in ("near", "far")}
        self._drift = Gauge(
            "nearfield_cluster_drift_ratio",
            "Greatest drift of the clusterings that items were assigned to; over 1: they are unlike what was clustered",
            registry=registry,
        )
        self._due = Gauge(
            "nearfield_cluster_recluster_due", "Clusterings that are due to be made anew", registry=registry
        )
        verdicts = Counter("nearfield_deduplicated_items", "Items compared", ["verdict"], registry=registry)
        self._verdicts = {one: verdicts.labels(one) for one in DUPLICATE_VERDICTS}
        self._kept = Gauge("nearfield_clusterings_kept", "Clusterings that are kept", registry=registry)
        self._make_maps(registry)

    def _make_maps(self, registry: CollectorRegistry) -> None:
        maps = Counter("nearfield_maps", "Calls of Project that ended", ["outcome"], registry=registry)
        self._maps = {one: maps.labels(one) for one in MAP_OUTCOMES}
        stages = Histogram(
            "nearfield_map_stage_seconds",
            "Time of a map in each stage",
            ["stage"],
            registry=registry,
            buckets=FIT_BUCKETS,
        )
        self._map_stages = {one: stages.labels(one) for one in MAP_STAGES}
        self._maps_kept = Gauge("nearfield_maps_kept", "Maps that are kept", registry=registry)

    def fitted(self, figures: FittedFigures) -> None:
        """Record a fit that came to its end."""
        self._items[figures.options.method.value].inc(figures.items)
        for stage, seconds in figures.stage_seconds.items():
            self._stages[stage].observe(seconds)
        self._noise.observe(figures.noise / figures.items)
        self._memory.set(figures.peak_memory_bytes)

    def entered(self, state: str) -> None:
        """Count a computation into a state: "queued" or "running"."""
        self._running[state].inc()

    def left(self, state: str) -> None:
        """Count it out of the state."""
        self._running[state].dec()

    def ended(self, outcome: str) -> None:
        """Count a clustering that ended: one of `CLUSTER_OUTCOMES`."""
        self._ended[outcome].inc()

    def assigned(self, near: int, far: int) -> None:
        """Count items that were put into clusters, and those that belong nowhere."""
        self._assigned["near"].inc(near)
        self._assigned["far"].inc(far)

    def drift(self, greatest: float, due: int) -> None:
        """Show how far the latest items are from what was clustered, at most, and how many clusterings are due."""
        self._drift.set(greatest)
        self._due.set(due)

    def deduplicated(self, verdict: str) -> None:
        """Count an item that was compared: one of `DUPLICATE_VERDICTS`."""
        self._verdicts[verdict].inc()

    def kept(self, count: int) -> None:
        """Show how many are kept."""
        self._kept.set(count)

    def mapped(self, stage_seconds: Mapping[str, float]) -> None:
        """Record the stages of a map that was made."""
        for stage, seconds in stage_seconds.items():
            self._map_stages[stage].observe(seconds)

    def map_ended(self, outcome: str) -> None:
        """Count a call of Project that ended: one of `MAP_OUTCOMES`."""
        self._maps[outcome].inc()

    def maps_kept(self, count: int) -> None:
        """Show how many maps are kept."""
        self._maps_kept.set(count)
