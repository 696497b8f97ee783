"""The threads around the queue, with plain functions for a model."""

import asyncio
import threading
import time
from collections import Counter

import numpy as np
import pytest

from nearfield_server.batching.policy import BatchLimits
from nearfield_server.batching.queue import QueueLimits
from nearfield_server.batching.runner import Runner, RunnerSettings
from nearfield_server.errors import BackendFailure, DeadlineExceeded, Overloaded, TooLarge, Unavailable
from nearfield_server.types import Priority


class Observer:
    """Counts what it is told."""

    def __init__(self):
        self.seen = Counter()

    def batch_done(self, items, tokens, padded_tokens):
        self.seen["items"] += items

    def batch_failed(self):
        self.seen["failed batches"] += 1

    def batch_retried(self, runs):
        self.seen["retries"] += runs

    def items_failed(self, count):
        self.seen["failed items"] += count

    def dropped(self, reason, count):
        self.seen[reason] += count

    def stale_run(self, count):
        self.seen["stale"] += count

    def worker_lost(self, reason):
        self.seen[reason] += 1


class Model:
    """Gives the sum of the ids, twice; holds until it is let go; does harm for some ids."""

    def __init__(self):
        self.gate = threading.Event()
        self.gate.set()
        self.entered = threading.Semaphore(0)
        self.ran = []

    def __call__(self, batch):
        self.entered.release()
        assert self.gate.wait(20)
        self.ran += [int(ids.sum()) for ids in batch]
        if any(13 in ids for ids in batch):
            msg = "no"
            raise ValueError(msg)
        if any(66 in ids for ids in batch):
            raise SystemExit
        return np.array([[ids.sum(), ids.sum()] for ids in batch], np.float32)


@pytest.fixture
async def rig():
    observer, model, changes = Observer(), Model(), []
    settings = RunnerSettings(
        workers=1,
        hang_seconds=20.0,
        restart_seconds=0.01,
        batch=BatchLimits(token_budget=64, max_padding_ratio=0.5),
        queue=QueueLimits(max_items=50, max_tokens=500, weights={Priority.INTERACTIVE: 4, Priority.BULK: 1}),
    )
    runner = Runner([model], settings, observer, lambda: changes.append(runner.degraded))
    runner.start()
    yield runner, model, observer, changes
    model.gate.set()
    await runner.close()
    assert observer.seen["stale"] == 0


def ask(runner, *values, priority=Priority.INTERACTIVE, seconds=None):
    """Queue one job whose items are single ids; give a task for its outcome."""
    ticket = runner.open(len(values), priority, None if seconds is None else time.monotonic() + seconds)
    ticket.enqueue([np.array([value]) for value in values])
    return asyncio.ensure_future(ticket.result())


async def occupy(runner, model):
    """Let the only worker be busy until the gate opens."""
    model.gate.clear()
    busy = ask(runner, 1)
    await asyncio.to_thread(model.entered.acquire)
    return busy


async def test_each_job_gets_its_own_rows(rig):
    runner, *_ = rig
    jobs = await asyncio.gather(*(ask(runner, *range(start, start + 5)) for start in range(100, 140, 5)))
    for start, job in zip(range(100, 140, 5), jobs, strict=True):
        assert [row.tolist() for row in job.rows] == [[value, value] for value in range(start, start + 5)]
        assert job.admitted_at <= job.started_at <= job.ended_at
    assert runner.idle
    assert runner.tokens_per_second > 0
    assert "workers=1/1" in repr(runner)


async def test_only_the_culprit_of_a_failed_batch_fails(rig):
    runner, model, observer, _ = rig
    busy = await occupy(runner, model)
    good = [ask(runner, value) for value in range(2, 10)]
    bad = ask(runner, 13)
    model.gate.set()
    with pytest.raises(BackendFailure):
        await bad
    assert [job.rows[0][0] for job in await asyncio.gather(*good)] == list(range(2, 10))
    await busy
    assert observer.seen["failed items"] == 1
    assert observer.seen["retries"] > 0


async def test_a_worker_that_dies_costs_the_culprit_only(rig):
    runner, model, observer, changes = rig
    busy = await occupy(runner, model)
    good = [ask(runner, value) for value in range(2, 10)]
    bad = ask(runner, 66)
    model.gate.set()
    with pytest.raises(BackendFailure):
        await bad
    assert [job.rows[0][0] for job in await asyncio.gather(*good)] == list(range(2, 10))
    await busy
    assert observer.seen["died"] == 2
    while runner.degraded:  # noqa: ASYNC110 - the runner has no event for tests
        await asyncio.sleep(0)
    assert changes == [True, False, True, False]


async def test_what_is_cancelled_or_late_in_the_queue_is_never_run(rig):
    runner, model, observer, _ = rig
    busy = await occupy(runner, model)
    cancelled, late, fine = ask(runner, 100, 101), ask(runner, 200, seconds=0.01), ask(runner, 300)
    await asyncio.sleep(0)
    cancelled.cancel()
    with pytest.raises(DeadlineExceeded):
        await late
    model.gate.set()
    await asyncio.gather(busy, fine)
    assert model.ran == [1, 300]
    assert (observer.seen["cancelled"], observer.seen["expired"]) == (2, 1)
    with pytest.raises(asyncio.CancelledError):
        await cancelled


async def test_admission_refuses_through_the_ticket(rig):
    runner, model, *_ = rig
    busy = await occupy(runner, model)
    with pytest.raises(TooLarge):
        ask(runner, *range(51))
    with pytest.raises(DeadlineExceeded):
        ask(runner, 1, seconds=-1)
    filling = ask(runner, *[1] * 50, priority=Priority.BULK)
    with pytest.raises(Overloaded):
        ask(runner, 1)
    model.gate.set()
    await asyncio.gather(busy, filling)


async def test_a_closed_runner_takes_nothing(rig):
    runner, *_ = rig
    ticket = runner.open(1, Priority.INTERACTIVE, None)
    await runner.close()
    ticket.enqueue([np.array([1])])
    with pytest.raises(Unavailable):
        await ticket.result()


async def test_a_ticket_that_was_given_up_before_it_was_queued_is_not_queued(rig):
    runner, model, *_ = rig
    ticket = runner.open(1, Priority.INTERACTIVE, None)
    waiting = asyncio.ensure_future(ticket.result())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    ticket.enqueue([np.array([1])])
    assert runner.idle
    assert model.ran == []
