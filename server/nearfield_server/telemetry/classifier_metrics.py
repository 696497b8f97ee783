"""The metrics of classifiers; part of `metrics`, which explains the rules. Nothing here has a caller's name in it."""

from __future__ import annotations

from contextlib import AbstractContextManager

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nearfield_server.telemetry.cluster_metrics import CLUSTER_OUTCOMES, FIT_BUCKETS

__all__ = ["ClassifierMetrics"]


class ClassifierMetrics:
    """Safe on any thread."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make all series."""
        trainings = Counter("nearfield_trainings", "Trainings that ended", ["outcome"], registry=registry)
        self._ended = {one: trainings.labels(one) for one in CLUSTER_OUTCOMES}
        self._seconds = Histogram(
            "nearfield_training_seconds", "Time of a training in its worker", registry=registry, buckets=FIT_BUCKETS
        )
        classified = Counter(
            "nearfield_classified_items", "Inputs given to trained classifiers", ["outcome"], registry=registry
        )
        self._classified = {one: classified.labels(one) for one in ("answered", "abstained")}
        self._kept = Gauge("nearfield_classifiers_kept", "Versions of classifiers that are kept", registry=registry)

    def training(self) -> AbstractContextManager[object]:
        """Time a training, for the length of a block."""
        return self._seconds.time()

    def ended(self, outcome: str) -> None:
        """Count a training that ended: one of `CLUSTER_OUTCOMES`."""
        self._ended[outcome].inc()

    def classified(self, answered: int, abstained: int) -> None:
        """Count inputs that got a label, and those that got none."""
        self._classified["answered"].inc(answered)
        self._classified["abstained"].inc(abstained)

    def kept(self, count: int) -> None:
        """Show how many are kept."""
        self._kept.set(count)
