"""Which models are served, in which state, and who wants to know when that changes."""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield_server.batching.policy import BatchLimits
from nearfield_server.batching.queue import QueueLimits
from nearfield_server.batching.runner import Runner, RunnerSettings
from nearfield_server.core.calibration import calibrate
from nearfield_server.core.changes import Changes
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.errors import Draining, ModelLoadFailure, ModelNotFound, ModelNotReady, NearfieldError
from nearfield_server.telemetry.metrics import Metrics, ModelMetrics
from nearfield_server.types import Limits, ModelState, ModelStatus

__all__ = ["ModelRegistry", "ReadyModel", "ServingSettings"]

logger = logging.getLogger("nearfield.models")

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ServingSettings:
    """How every model is run."""

    limits: Limits
    workers: int
    token_budget: int
    """Padded tokens of a batch; 0: calibrate."""
    max_padding_ratio: float
    hang_seconds: float
    restart_seconds: float
    queue: QueueLimits


@dataclass(frozen=True, slots=True)
class ReadyModel:
    """A model that takes calls."""

    loaded: LoadedEncoder
    runner: Runner
    metrics: ModelMetrics


class ModelRegistry:
    """All models by name. Used on the event loop only; loading happens on threads."""

    def __init__(
        self, settings: ServingSettings, metrics: Metrics, load: Callable[[str, Path], LoadedEncoder], default: str
    ) -> None:
        """`load` reads a folder, on a thread; `default` is the model meant by an empty name."""
        self._settings = settings
        self._metrics = metrics
        self._load = load
        self._default = default
        self._statuses: dict[str, ModelStatus] = {}
        self._ready: dict[str, ReadyModel] = {}
        self.changes = Changes()
        self.draining = False

    def __repr__(self) -> str:
        """Show each model's state."""
        states = {name: status.state.value for name, status in self._statuses.items()}
        return f"<ModelRegistry {states}{' draining' if self.draining else ''}>"

    @property
    def limits(self) -> Limits:
        """The published bounds, the same for all models."""
        return self._settings.limits

    def statuses(self) -> list[ModelStatus]:
        """All models, the default one first, then by name."""
        return sorted(self._statuses.values(), key=lambda status: (not status.is_default, status.name))

    def status(self, name: str) -> ModelStatus:
        """One model; an empty name is the default one. Raises `ModelNotFound`."""
        try:
            return self._statuses[name or self._default]
        except KeyError:
            raise ModelNotFound(name, tuple(difflib.get_close_matches(name, self._statuses, n=3))) from None

    def get(self, name: str) -> ReadyModel:
        """Give the model to use for a call; an empty name is the default one.

        Raises:
            ModelNotFound: none of that name.
            ModelNotReady: it loads, or couldn't be loaded, or has no worker left.
            Draining: the server stops.
        """
        status = self.status(name)
        metrics = self._metrics.for_model(status.name)
        if self.draining:
            metrics.rejected("draining")
            raise Draining("the server is stopping: ask another replica", retry_after_seconds=_RETRY_SECONDS)
        ready = self._ready.get(status.name)
        if ready is None:
            metrics.rejected("not_ready")
        if status.state is ModelState.FAILED:
            raise ModelNotReady("the model could not be loaded: see ListModels", retry_after_seconds=30.0)
        if ready is None:
            raise ModelNotReady("the model is loading", retry_after_seconds=_RETRY_SECONDS)
        return ready

    async def watch(self, name: str) -> AsyncIterator[ModelStatus]:
        """Give each model as it is, then again whenever it changed. Ends when the server drains.

        Args:
            name: one model; empty: all. Raises `ModelNotFound`.
        """
        if name:
            self.status(name)
        seen: dict[str, ModelStatus] = {}
        while True:
            changed = asyncio.ensure_future(self.changes.wait())
            try:
                for status in self.statuses():
                    if name in {"", status.name} and seen.get(status.name) != status:
                        seen[status.name] = status
                        yield status
                if self.draining:
                    return
                await changed
            finally:
                changed.cancel()

    async def load(self, name: str, folder: Path, threads: Executor) -> None:
        """Read, check and warm a model on `threads`, then take calls for it. A failure is its state, not raised."""
        metrics = self._metrics.for_model(name)
        self._set(
            ModelStatus(
                name=name, state=ModelState.LOADING, is_default=name == self._default, limits=self._settings.limits
            )
        )
        started = time.monotonic()
        try:
            await self._start(name, folder, metrics, threads)
        except NearfieldError as error:
            logger.error("model failed to load", extra={"model": name, "reason": error.message})  # noqa: TRY400
            self._set(replace(self._statuses[name], state=ModelState.FAILED, message=error.message))
            return
        seconds = time.monotonic() - started
        metrics.loaded(seconds)
        self._set(replace(self._statuses[name], state=ModelState.READY, load_seconds=seconds))
        status = self._statuses[name]
        logger.info(
            "model ready",
            extra={
                "model": name,
                "seconds": round(seconds, 3),
                "provider": status.execution_provider,
                "workers": status.workers,
                "token_budget": status.batch_token_budget,
            },
        )

    def drain(self) -> None:
        """Refuse new calls from now on; those under way go on."""
        self.draining = True
        for status in list(self._statuses.values()):
            self._set(replace(status, state=ModelState.UNLOADING))

    @property
    def idle(self) -> bool:
        """No model has anything waiting or running."""
        return all(ready.runner.idle for ready in self._ready.values())

    async def close(self) -> None:
        """Stop the workers and give the memory back."""
        for ready in self._ready.values():
            await ready.runner.close()
            ready.loaded.close()
        self._ready.clear()

    def readiness(self) -> Mapping[str, bool]:
        """Whether each model takes calls with all its workers, by name; "" is the default model, hence the server."""
        ready = {name: status.state is ModelState.READY for name, status in self._statuses.items()}
        return {**ready, "": ready.get(self._default, False)}

    async def _start(self, name: str, folder: Path, metrics: ModelMetrics, threads: Executor) -> None:
        loop = asyncio.get_running_loop()
        loaded = await loop.run_in_executor(threads, self._load_safely, name, folder)
        accelerator = "CUDA" in loaded.backend.provider
        found = await loop.run_in_executor(
            threads, lambda: calibrate(loaded.encoder, loaded.spec, accelerator=accelerator)
        )
        settings = self._settings
        budget = settings.token_budget or found.token_budget
        runner = Runner(
            loaded.encoders,
            RunnerSettings(
                workers=settings.workers,
                hang_seconds=settings.hang_seconds,
                restart_seconds=settings.restart_seconds,
                batch=BatchLimits(token_budget=budget, max_padding_ratio=settings.max_padding_ratio),
                queue=settings.queue,
            ),
            metrics,
            on_change=lambda: self._workers_changed(name),
        )
        runner.start(found.tokens_per_second * settings.workers)
        self._ready[name] = ReadyModel(loaded, runner, metrics)
        metrics.watch_queue(runner.statistics)
        metrics.watch_speed(lambda: runner.tokens_per_second)
        metrics.workers(alive=runner.workers_alive, configured=settings.workers)
        metrics.batch_token_budget(budget)
        self._statuses[name] = replace(
            self._statuses[name],
            spec=loaded.spec,
            execution_provider=loaded.backend.provider,
            workers=settings.workers,
            batch_token_budget=budget,
        )

    def _load_safely(self, name: str, folder: Path) -> LoadedEncoder:
        try:
            return self._load(name, folder)
        except NearfieldError:
            raise
        except Exception as error:
            # A file can be broken in more ways than its readers foresee; the server and its other models live on.
            logger.exception("unforeseen failure while loading a model", extra={"model": name})
            msg = f"{folder} can't be loaded: {type(error).__name__}"
            raise ModelLoadFailure(msg) from error

    def _workers_changed(self, name: str) -> None:
        ready = self._ready[name]
        ready.metrics.workers(alive=ready.runner.workers_alive, configured=self._settings.workers)
        if self.draining:
            return
        if ready.runner.degraded:
            lost = self._settings.workers - ready.runner.workers_alive
            message = f"{lost} of {self._settings.workers} workers lost, being replaced"
            self._set(replace(self._statuses[name], state=ModelState.DEGRADED, message=message))
        else:
            self._set(replace(self._statuses[name], state=ModelState.READY, message=""))

    def _set(self, status: ModelStatus) -> None:
        self._statuses[status.name] = replace(status, changed_at=time.time())
        self._metrics.for_model(status.name).state(status.state)
        self.changes.notify()
