"""The metrics of search; part of `metrics`, which explains the rules.

The gauges of collections are asked for when they are scraped, on the scraping thread. Names of collections come from
callers: the first `MAX_NAMES` have series of their own, the others share those of "other".
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from typing import Protocol

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from nearfield_server.telemetry.model_metrics import LATENCY_BUCKETS
from nearfield_server.types import CollectionStats, IndexState

__all__ = ["KINDS", "MAX_NAMES", "OTHER", "SEARCH_STAGES", "SearchMetrics", "SearchTimes"]

logger = logging.getLogger("nearfield.search")

KINDS = ("dense", "keyword", "hybrid", "recommend", "duplicates")
SEARCH_STAGES = ("embed", "engine", "rank", "rerank", "fetch", "total")
MAX_NAMES = 200
OTHER = "other"


class SearchTimes(Protocol):
    """Seconds that the stages of one search took: an attribute for each of `SEARCH_STAGES`."""

    embed: float
    engine: float
    rank: float
    rerank: float
    fetch: float
    total: float


class SearchMetrics:
    """Safe on any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make all series that need no collection."""
        searches = Counter("nearfield_searches", "Searches answered", ["kind"], registry=registry)
        self._searches = {kind: searches.labels(kind) for kind in KINDS}
        stages = Histogram(
            "nearfield_search_stage_seconds",
            "Time of a search in each stage",
            ["stage"],
            registry=registry,
            buckets=LATENCY_BUCKETS,
        )
        self._stages = {stage: stages.labels(stage) for stage in SEARCH_STAGES}
        self._upserted = Counter("nearfield_points_upserted", "Points stored", ["collection"], registry=registry)
        self._deleted = Counter(
            "nearfield_points_deleted", "Points deleted by callers", ["collection"], registry=registry
        )
        self._snapshots = Counter(
            "nearfield_snapshots", "Snapshots created and restored", ["operation", "outcome"], registry=registry
        )
        for operation in ("create", "restore"):
            for outcome in ("ok", "error"):
                self._snapshots.labels(operation, outcome)
        self._reembeddings = Counter(
            "nearfield_reembeddings", "Re-embeddings that ended", ["outcome"], registry=registry
        )
        for outcome in ("done", "cancelled", "failed"):
            self._reembeddings.labels(outcome)
        self._reembedding = Gauge("nearfield_reembeddings_running", "Re-embeddings under way", registry=registry)
        self._reembedded = Counter("nearfield_points_reembedded", "Changes copied by re-embeddings", registry=registry)
        self._names = _Names()
        self._collections = _Collections(self._names)
        registry.register(self._collections)

    def searched(self, kind: str, times: SearchTimes) -> None:
        """Record one search that was answered; `kind` is one of `KINDS`."""
        self._searches[kind].inc()
        for stage, series in self._stages.items():
            series.observe(getattr(times, stage))

    def upserted(self, collection: str, points: int) -> None:
        """Count points that were stored."""
        self._upserted.labels(self._names.label(collection)).inc(points)

    def deleted(self, collection: str, points: int) -> None:
        """Count points that a caller deleted."""
        self._deleted.labels(self._names.label(collection)).inc(points)

    @contextmanager
    def snapshot(self, operation: str) -> Iterator[None]:
        """Count what a block does: "create" or "restore", and whether it came to its end."""
        try:
            yield
        except BaseException:
            self._snapshots.labels(operation, "error").inc()
            raise
        self._snapshots.labels(operation, "ok").inc()

    def reembedding_ended(self, outcome: str) -> None:
        """Count one: "done", "cancelled" or "failed"."""
        self._reembeddings.labels(outcome).inc()

    def reembeddings_running(self, count: int) -> None:
        """Show how many are under way."""
        self._reembedding.set(count)

    def reembedded(self, changes: int) -> None:
        """Count points that were copied, and deleted, in a new collection."""
        self._reembedded.inc(changes)

    def forget(self, collection: str) -> None:
        """Remove the series of a collection that was deleted; its name makes room for another."""
        if self._names.forget(collection):
            for family in (self._upserted, self._deleted):
                family.remove_by_labels({"collection": collection})

    def watch(self, read: Callable[[], Mapping[str, CollectionStats]]) -> None:
        """Read the figures of all collections from `read` whenever they are scraped, on the scraping thread."""
        self._collections.read = read


class _Names:
    """The names that have series of their own."""

    def __init__(self) -> None:
        self._known: set[str] = set()
        self._lock = threading.Lock()

    def label(self, name: str) -> str:
        with self._lock:
            if name not in self._known and len(self._known) < MAX_NAMES:
                self._known.add(name)
            return name if name in self._known else OTHER

    def forget(self, name: str) -> bool:
        with self._lock:
            known = name in self._known
            self._known.discard(name)
            return known


class _Collections(Collector):
    """Gauges by collection."""

    def __init__(self, names: _Names) -> None:
        self._names = names
        self.read: Callable[[], Mapping[str, CollectionStats]] = dict

    def collect(self) -> Iterable[GaugeMetricFamily]:
        try:
            stats = self.read()
        except Exception as error:  # noqa: BLE001 - the other metrics are shown all the same
            logger.warning("figures of collections can't be read: %s", type(error).__name__)
            stats = {}
        points: dict[str, float] = {}
        lag: dict[str, float] = {}
        disk: dict[str, float] = {}
        recall: dict[str, float] = {}
        states: dict[tuple[str, str], float] = {}
        for name, one in stats.items():
            label = self._names.label(name)
            for series, figure in ((points, one.points), (lag, one.index_lag), (disk, one.disk_bytes)):
                series[label] = series.get(label, 0.0) + figure
            if one.recall is not None:
                recall[label] = min(recall.get(label, 1.0), one.recall)
            for state in IndexState:
                key = label, state.value
                states[key] = states.get(key, 0.0) + (state is one.index_state)
        yield GaugeMetricFamily("nearfield_collections", "Collections", value=len(stats))
        for name, text, series in (
            ("nearfield_collection_points", "Points of all tenants", points),
            ("nearfield_collection_index_lag", "Writes that the index doesn't hold yet", lag),
            ("nearfield_collection_disk_bytes", "Bytes on disk, index included", disk),
            ("nearfield_collection_recall_ratio", "Share of the nearest that the index found in a sample", recall),
        ):
            family = GaugeMetricFamily(name, text, labels=["collection"])
            for label, value in series.items():
                family.add_metric([label], value)
            yield family
        family = GaugeMetricFamily(
            "nearfield_collection_index_state", "Collections by state of the index", labels=["collection", "state"]
        )
        for (label, word), value in states.items():
            family.add_metric([label, word], value)
        yield family
