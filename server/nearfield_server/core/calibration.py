"""How large a batch should be on this machine, measured and not assumed."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from nearfield_server.batching.policy import pick_budget
from nearfield_server.batching.runner import RunBatch
from nearfield_server.types import ModelSpec, Tokens

__all__ = ["Calibration", "calibrate"]

# Lengths of the trial rows: batching pays for short texts only, so they decide.
_SHORT_TOKENS = 16
_BUDGETS = {True: (1024, 4096, 16384, 65536), False: (128, 256, 512, 1024)}
_MAX_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Calibration:
    """The token budget found, and the speed of one worker with it, in tokens per second."""

    token_budget: int
    tokens_per_second: float


def calibrate(
    run: RunBatch, spec: ModelSpec, *, accelerator: bool, clock: Callable[[], float] = time.perf_counter
) -> Calibration:
    """Run batches of short rows of several sizes, warming the model by it, and pick the best size.

    Each size is run until it was seen twice or the time is up, the best time counts: other load only ever slows a run.

    Args:
        run: runs one batch.
        spec: the model; its vocabulary bounds the made-up ids.
        accelerator: the model runs on a GPU, where budgets are larger.
        clock: seconds, for tests.
    """
    best: dict[int, float] = {}
    run(_rows(spec, spec.max_tokens, 1))  # the longest row first: buffers grow once
    started = clock()
    for _round in range(2):
        for budget in _BUDGETS[accelerator]:
            if best and clock() - started > _MAX_SECONDS:
                break
            rows = _rows(spec, min(_SHORT_TOKENS, spec.max_tokens), budget)
            before = clock()
            run(rows)
            speed = sum(map(len, rows)) / max(clock() - before, 1e-9)
            best[budget] = max(best.get(budget, 0.0), speed)
    budget = pick_budget(list(best.items()))
    return Calibration(budget, best[budget])


def _rows(spec: ModelSpec, length: int, tokens: int) -> Sequence[Tokens]:
    ids = np.arange(length, dtype=np.int64) % spec.vocab_size
    return [Tokens(ids, wanted=frozenset(spec.outputs[:1]))] * max(1, tokens // length)
