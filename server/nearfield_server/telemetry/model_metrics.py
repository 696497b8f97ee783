"""The metrics that have a label `model`; part of `metrics`, which explains the rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol, TypeVar

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

from nearfield_server.types import ModelState, Priority, Timings

__all__ = [
    "DROP_REASONS",
    "LATENCY_BUCKETS",
    "LOST_REASONS",
    "REJECT_REASONS",
    "STAGES",
    "ModelFamilies",
    "ModelMetrics",
    "QueueView",
]

STAGES = ("tokenize", "queue", "compute", "total")
REJECT_REASONS = ("queue_items", "queue_tokens", "deadline", "deadline_exceeded", "not_ready", "draining", "other")
"""Why a call was refused or given up; anything not listed counts as "other"."""
DROP_REASONS = ("cancelled", "expired", "failed")
LOST_REASONS = ("died", "stuck")
LATENCY_BUCKETS = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0)
"""Seconds."""
_ITEMS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512)
_TOKENS = (16, 32, 64, 128, 256, 512, 1024, 2048, 4096, 16384, 65536)
_RATIOS = (0.0, 0.01, 0.02, 0.05, 0.1, 0.15, 0.2, 0.3, 0.5, 0.75)

_Family = TypeVar("_Family", Counter, Gauge, Histogram)


class QueueView(Protocol):
    """What a queue tells of itself."""

    @property
    def items(self) -> Mapping[Priority, int]:
        """Waiting items by class."""

    @property
    def tokens(self) -> Mapping[Priority, int]:
        """Waiting tokens by class."""

    @property
    def oldest_age_seconds(self) -> float:
        """Age of the oldest waiting item."""


class ModelFamilies:
    """Names, meanings and buckets."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Register all of them, without any series."""

        def counter(name: str, text: str, *labels: str) -> Counter:
            return Counter(f"nearfield_{name}", text, ["model", *labels], registry=registry)

        def gauge(name: str, text: str, *labels: str) -> Gauge:
            return Gauge(f"nearfield_{name}", text, ["model", *labels], registry=registry)

        def histogram(name: str, text: str, buckets: tuple[float, ...], *labels: str) -> Histogram:
            return Histogram(f"nearfield_{name}", text, ["model", *labels], registry=registry, buckets=buckets)

        self.stage_seconds = histogram("stage_seconds", "Time of a call in each stage", LATENCY_BUCKETS, "stage")
        self.queue_items = gauge("queue_items", "Items waiting", "priority")
        self.queue_tokens = gauge("queue_tokens", "Tokens waiting", "priority")
        self.queue_age = gauge("queue_oldest_age_seconds", "Age of the oldest waiting item")
        self.batch_items = histogram("batch_items", "Items in a batch", _ITEMS)
        self.batch_tokens = histogram("batch_tokens", "Tokens in a batch, without padding", _TOKENS)
        self.batch_padding = histogram("batch_padding_ratio", "Padding as a share of a batch", _RATIOS)
        self.tokens = counter("tokens", "Tokens of calls answered with vectors")
        self.inputs = counter("inputs", "Inputs of calls answered with vectors")
        self.rejected = counter("rejected", "Calls refused, or given up, for load or time", "reason")
        self.dropped = counter("dropped_items", "Items taken out of the queue and never run", "reason")
        self.stale = counter("stale_items_run", "Items run though cancelled or expired before: must stay 0")
        self.batch_failures = counter("batch_failures", "Runs of the model that raised")
        self.batch_retries = counter("batch_retries", "Runs of a part of a batch that raised")
        self.items_failed = counter("items_failed", "Items that the model failed on even alone")
        self.bad_vectors = counter("bad_vectors", "Calls failed for a vector not finite or without length")
        self.workers_alive = gauge("workers_alive", "Worker threads that run batches")
        self.workers_configured = gauge("workers_configured", "Worker threads that there should be")
        self.worker_restarts = counter("worker_restarts", "Worker threads that were lost and replaced", "reason")
        self.load_seconds = gauge("model_load_seconds", "Time from the start of loading until ready")
        self.state = gauge("model_state", "1 for the state that the model is in", "state")
        self.token_budget = gauge("batch_token_budget", "Padded tokens that a batch may hold")
        self.speed = gauge("tokens_per_second", "Measured speed of all workers together, without padding")

    def forget(self, name: str) -> None:
        """Remove every series of model `name`."""
        for family in vars(self).values():
            if isinstance(family, (Counter, Gauge, Histogram)):
                family.remove_by_labels({"model": name})


class ModelMetrics:
    """The series of one model. Implements `batching.runner.BatchObserver`. Safe on any thread."""

    def __init__(self, families: ModelFamilies, name: str) -> None:
        """Make all series of model `name`."""
        self._name = name
        self._stages = [self._series(families.stage_seconds, stage) for stage in STAGES]
        self._queue_age = self._series(families.queue_age)
        self._queue_items = {one: self._series(families.queue_items, one.value) for one in Priority}
        self._queue_tokens = {one: self._series(families.queue_tokens, one.value) for one in Priority}
        self._batch_items = self._series(families.batch_items)
        self._batch_tokens = self._series(families.batch_tokens)
        self._batch_padding = self._series(families.batch_padding)
        self._tokens = self._series(families.tokens)
        self._inputs = self._series(families.inputs)
        self._rejected = {reason: self._series(families.rejected, reason) for reason in REJECT_REASONS}
        self._dropped = {reason: self._series(families.dropped, reason) for reason in DROP_REASONS}
        self._stale = self._series(families.stale)
        self._batch_failures = self._series(families.batch_failures)
        self._batch_retries = self._series(families.batch_retries)
        self._items_failed = self._series(families.items_failed)
        self._bad_vectors = self._series(families.bad_vectors)
        self._workers_alive = self._series(families.workers_alive)
        self._workers_configured = self._series(families.workers_configured)
        self._restarts = {reason: self._series(families.worker_restarts, reason) for reason in LOST_REASONS}
        self._load_seconds = self._series(families.load_seconds)
        self._states = {state: self._series(families.state, state.value) for state in ModelState}
        self._token_budget = self._series(families.token_budget)
        self._speed = self._series(families.speed)

    def observe_stages(self, timings: Timings) -> None:
        """Record where the time of one call went."""
        spent = (timings.tokenize, timings.queue, timings.compute, timings.total)
        for series, seconds in zip(self._stages, spent, strict=True):
            series.observe(seconds)

    def served(self, *, inputs: int, tokens: int) -> None:
        """Count what one call was answered with."""
        self._inputs.inc(inputs)
        self._tokens.inc(tokens)

    def rejected(self, reason: str) -> None:
        """Count a call refused for load or time; see `REJECT_REASONS`."""
        self._rejected.get(reason, self._rejected["other"]).inc()

    def bad_vector(self) -> None:
        """Count a call that failed for a vector that isn't one."""
        self._bad_vectors.inc()

    def batch_done(self, items: int, tokens: int, padded_tokens: int) -> None:
        """Record the shape of a batch that ran."""
        self._batch_items.observe(items)
        self._batch_tokens.observe(tokens)
        self._batch_padding.observe(1.0 - tokens / padded_tokens if padded_tokens else 0.0)

    def batch_failed(self) -> None:
        """Count a run that raised."""
        self._batch_failures.inc()

    def batch_retried(self, runs: int) -> None:
        """Count the runs that replace one that raised."""
        self._batch_retries.inc(runs)

    def items_failed(self, count: int) -> None:
        """Count items that the model failed on even alone."""
        self._items_failed.inc(count)

    def dropped(self, reason: str, count: int) -> None:
        """Count items that will never run; see `DROP_REASONS`."""
        self._dropped[reason].inc(count)

    def stale_run(self, count: int) -> None:
        """Count items that should not have run."""
        self._stale.inc(count)

    def worker_lost(self, reason: str) -> None:
        """Count a lost worker: "died" or "stuck"."""
        self._restarts[reason].inc()

    def workers(self, *, alive: int, configured: int) -> None:
        """Set the number of workers."""
        self._workers_alive.set(alive)
        self._workers_configured.set(configured)

    def loaded(self, seconds: float) -> None:
        """Set how long loading took."""
        self._load_seconds.set(seconds)

    def batch_token_budget(self, tokens: int) -> None:
        """Set the padded tokens that a batch may hold."""
        self._token_budget.set(tokens)

    def state(self, present: ModelState) -> None:
        """Set the state."""
        for state, series in self._states.items():
            series.set(state is present)

    def watch_queue(self, view: Callable[[], QueueView]) -> None:
        """Read the queue's gauges from `view` whenever they are scraped, on the scraping thread."""
        self._queue_age.set_function(lambda: view().oldest_age_seconds)
        for one in Priority:
            self._queue_items[one].set_function(lambda p=one: view().items[p])  # type: ignore[misc]
            self._queue_tokens[one].set_function(lambda p=one: view().tokens[p])  # type: ignore[misc]

    def watch_speed(self, tokens_per_second: Callable[[], float]) -> None:
        """Read the measured speed whenever it is scraped, on the scraping thread."""
        self._speed.set_function(tokens_per_second)

    def at_rest(self) -> None:
        """Let go of the queue and the workers of a model that was unloaded."""
        for series in (self._queue_age, self._speed, *self._queue_items.values(), *self._queue_tokens.values()):
            series.set_function(float)
        self.workers(alive=0, configured=0)

    def _series(self, family: _Family, *labels: str) -> _Family:
        return family.labels(self._name, *labels)
