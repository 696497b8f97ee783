"""One loaded model: its workers, and who uses it."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from pathlib import Path

from nearfield_server.batching.policy import BatchLimits
from nearfield_server.batching.queue import QueueLimits
from nearfield_server.batching.runner import Runner, RunnerSettings
from nearfield_server.core.calibration import Calibration, calibrate
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.errors import ModelLoadFailure, NearfieldError
from nearfield_server.telemetry.metrics import ModelMetrics
from nearfield_server.types import Limits

__all__ = ["LoadModel", "Opener", "ReadyModel", "ServingSettings"]

logger = logging.getLogger("nearfield.models")

LoadModel = Callable[[str, Path], LoadedEncoder]
"""Reads a model folder, on a thread; the name is what it is called in requests."""

_POLL_SECONDS = 0.02
_ACCELERATORS = ("CUDA", "Tensorrt", "Dml", "CoreML")


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


@dataclass(slots=True, eq=False)
class ReadyModel:
    """A model that takes calls. `leases` counts the calls and streams that use it; see `ModelRegistry.lease`."""

    loaded: LoadedEncoder
    runner: Runner
    metrics: ModelMetrics
    token_budget: int
    leases: int = 0
    used_at: float = field(default_factory=time.monotonic)
    cut_off: bool = False
    """Those who still use it must let go: streams end."""

    async def unused(self, seconds: float) -> None:
        """Return when nobody uses it, or after `seconds`. New calls must not reach it any more."""
        deadline = time.monotonic() + seconds
        while (self.leases or not self.runner.idle) and time.monotonic() < deadline:  # noqa: ASYNC110 - needs no hook
            await asyncio.sleep(_POLL_SECONDS)

    async def close(self) -> None:
        """Stop the workers and give the graphs back; calls that still run fail."""
        await self.runner.close()
        self.loaded.close()


@dataclass(frozen=True, slots=True)
class Opener:
    """Makes models ready: `load` reads a folder, on one of `threads`."""

    load: LoadModel
    settings: ServingSettings
    threads: Executor

    async def open(self, name: str, folder: Path, metrics: ModelMetrics, on_change: Callable[[], None]) -> ReadyModel:
        """Read, check and warm a model, and start its workers. `on_change` is told when some are lost or replaced.

        Raises:
            ModelLoadFailure: it can't be served; the message names the file and what is wrong with it.
        """
        loop, settings = asyncio.get_running_loop(), self.settings
        loaded = await loop.run_in_executor(self.threads, _load_safely, self.load, name, folder)
        try:
            found = await loop.run_in_executor(self.threads, _calibrate, loaded)
        except Exception as error:
            loaded.close()
            reason = error.message if isinstance(error, NearfieldError) else type(error).__name__
            msg = f"{folder}: the model failed while it was warmed: {reason}"
            raise ModelLoadFailure(msg) from error
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
            on_change=on_change,
        )
        runner.start(found.tokens_per_second * settings.workers)
        return ReadyModel(loaded, runner, metrics, budget)


def _calibrate(loaded: LoadedEncoder) -> Calibration:
    provider = loaded.backend.provider
    return calibrate(loaded.encoder, loaded.spec, accelerator=any(one in provider for one in _ACCELERATORS))


def _load_safely(load: LoadModel, name: str, folder: Path) -> LoadedEncoder:
    try:
        return load(name, folder)
    except NearfieldError:
        raise
    except Exception as error:
        # A file can be broken in more ways than its readers foresee; the server and its other models live on.
        logger.exception("unforeseen failure while loading a model", extra={"model": name})
        msg = f"{folder} can't be loaded: {type(error).__name__}"
        raise ModelLoadFailure(msg) from error
