"""Every metric, defined once: here, and in the other files of this package that end in `_metrics`.

docs/metrics.md explains each; a test keeps it complete. One `Metrics` per server, with a registry of its own. Labels
are bounded: model names come from the configuration, rpc names from the protos, all else from fixed lists. Every series
exists before the first request.
"""

from __future__ import annotations

import collections
import importlib.metadata
import platform
from collections.abc import Iterable

import psutil
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, disable_created_metrics

from nearfield_server.telemetry.cache_metrics import CacheMetrics
from nearfield_server.telemetry.classifier_metrics import ClassifierMetrics
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics
from nearfield_server.telemetry.model_metrics import (
    DROP_REASONS,
    LATENCY_BUCKETS,
    REJECT_REASONS,
    STAGES,
    ModelFamilies,
    ModelMetrics,
    QueueView,
)
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import ModelState

__all__ = [
    "DROP_REASONS",
    "LOAD_OUTCOMES",
    "OTHER_RPC",
    "REJECT_REASONS",
    "STAGES",
    "STATUSES",
    "Metrics",
    "ModelMetrics",
    "QueueView",
]

OTHER_RPC = "other"
"""Label of calls to services that aren't Nearfield's: health, reflection, unknown methods."""
STATUSES = (
    "OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS",
    "PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE", "UNIMPLEMENTED",
    "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED",
)  # fmt: skip
"""Names of gRPC's status codes."""
_OUTCOMES = ("ok", "error")
LOAD_OUTCOMES = ("ok", "failed")
_REFUSED_BEFORE_MODEL = ("calls", "streams")
_LAGS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
_RUNTIMES = ("onnxruntime-gpu", "onnxruntime", "onnxruntime-openvino")


class Metrics:
    """All metrics of one server. Safe on any thread."""

    def __init__(self, rpcs: Iterable[str], *, version: str, effective_threads: int) -> None:
        """Make every series that needs no model.

        Args:
            rpcs: names of Nearfield's own rpcs; calls of others count as `OTHER_RPC`.
            version: Nearfield's version.
            effective_threads: cores that the process may use.
        """
        # The time at which each series began doubles the output and tells nothing here. The library knows only a
        # switch for the whole process, which is the server's own.
        disable_created_metrics()  # type: ignore[no-untyped-call]
        self.registry = CollectorRegistry()
        self._make_call_series([*rpcs, OTHER_RPC])
        self._make_process_series(version, effective_threads)
        self.cache = CacheMetrics(self.registry)
        self.search = SearchMetrics(self.registry)
        self.cluster = ClusterMetrics(self.registry)
        self.classifiers = ClassifierMetrics(self.registry)
        self._families = ModelFamilies(self.registry)
        loads = Counter("nearfield_model_loads", "Loads of models that ended", ["outcome"], registry=self.registry)
        self._loads = {outcome: loads.labels(outcome) for outcome in LOAD_OUTCOMES}
        self._unloads = Counter("nearfield_model_unloads", "Versions of models unloaded", registry=self.registry)
        self._swaps = Counter(
            "nearfield_model_swaps", "Times that a version took over from another", registry=self.registry
        )
        models = Gauge("nearfield_models", "Versions of models in each state", ["state"], registry=self.registry)
        self._model_states = {state: models.labels(state.value) for state in ModelState}
        self._refused = {reason: self._families.rejected.labels("", reason) for reason in _REFUSED_BEFORE_MODEL}
        self._models: dict[str, ModelMetrics] = {}

    def for_model(self, name: str) -> ModelMetrics:
        """Give the series of one model, made at the first call."""
        if name not in self._models:
            self._models[name] = ModelMetrics(self._families, name)
        return self._models[name]

    def forget_model(self, name: str) -> None:
        """Remove all series of a model that was unloaded."""
        if self._models.pop(name, None) is not None:
            self._families.forget(name)

    def model_load(self, outcome: str) -> None:
        """Count a load that ended: "ok" or "failed"."""
        self._loads[outcome].inc()

    def model_unload(self) -> None:
        """Count a version that was unloaded."""
        self._unloads.inc()

    def model_swap(self) -> None:
        """Count a version that took over from another one of its name."""
        self._swaps.inc()

    def models(self, states: Iterable[ModelState]) -> None:
        """Set how many versions there are in each state; `states` has the state of each."""
        counts = collections.Counter(states)
        for state, series in self._model_states.items():
            series.set(counts[state])

    def request_started(self, rpc: str) -> None:
        """Count a call in."""
        self._active.get(rpc, self._active[OTHER_RPC]).inc()

    def request_done(self, rpc: str, status: str, seconds: float) -> None:
        """Count a call out that `request_started` counted in; `status` is the name of its gRPC status code."""
        self._active.get(rpc, self._active[OTHER_RPC]).dec()
        self.request_refused(rpc, status, seconds)

    def request_refused(self, rpc: str, status: str, seconds: float = 0.0) -> None:
        """Count a call that ended before it was counted in, such as one of an unknown method."""
        known = rpc if rpc in self._active else OTHER_RPC
        self._done[known, status if status in STATUSES else "UNKNOWN"].inc()
        self._seconds[known].observe(seconds)

    def rejected(self, reason: str) -> None:
        """Count a call refused before its model was looked at: "calls" or "streams", whichever were too many."""
        self._refused[reason].inc()

    def stream_message(self, outcome: str) -> None:
        """Count a message of a stream as answered: "ok" or "error"."""
        self._messages[outcome].inc()

    def event_loop_lag(self, seconds: float) -> None:
        """Record by how much the event loop was late for a timer."""
        self._lag.observe(max(0.0, seconds))

    def _make_call_series(self, rpcs: list[str]) -> None:
        registry = self.registry
        done = Counter("nearfield_requests", "Calls ended", ["rpc", "status"], registry=registry)
        seconds = Histogram(
            "nearfield_request_seconds", "Duration of calls", ["rpc"], registry=registry, buckets=LATENCY_BUCKETS
        )
        active = Gauge("nearfield_requests_in_progress", "Calls under way", ["rpc"], registry=registry)
        messages = Counter("nearfield_stream_messages", "Messages of streams answered", ["outcome"], registry=registry)
        self._done = {(rpc, status): done.labels(rpc, status) for rpc in rpcs for status in STATUSES}
        self._seconds = {rpc: seconds.labels(rpc) for rpc in rpcs}
        self._active = {rpc: active.labels(rpc) for rpc in rpcs}
        self._messages = {outcome: messages.labels(outcome) for outcome in _OUTCOMES}

    def _make_process_series(self, version: str, effective_threads: int) -> None:
        registry = self.registry
        Gauge("nearfield_effective_threads", "Cores that the process may use", registry=registry).set(effective_threads)
        process = psutil.Process()
        rss = Gauge("nearfield_process_resident_memory_bytes", "Resident set size of the process", registry=registry)
        rss.set_function(lambda: process.memory_info().rss)
        self._lag = Histogram(
            "nearfield_event_loop_lag_seconds", "Lateness of the event loop", registry=registry, buckets=_LAGS
        )
        info = Gauge(
            "nearfield_build_info", "Always 1; the labels tell", ["version", "onnxruntime", "python"], registry=registry
        )
        info.labels(version, _onnxruntime_version(), platform.python_version()).set(1)


def _onnxruntime_version() -> str:
    """Look it up without importing it, which costs a quarter of a second."""
    for name in _RUNTIMES:
        try:
            return importlib.metadata.version(name)
        except importlib.metadata.PackageNotFoundError:
            continue
    return "none"
