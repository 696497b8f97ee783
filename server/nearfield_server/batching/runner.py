"""Drives the queue: worker threads take batches and run them, tickets carry the outcome back to asyncio.

    loop ──open──▶ Ticket ──enqueue (any thread)──▶ Queue ──take──▶ worker thread ──one callback a batch──▶ loop

The queue decides, this file holds the lock, the clock and the threads. A worker that dies (its thread ended) or hangs
(one batch for longer than `hang_seconds`) is replaced after `restart_seconds`; its items become suspects and run alone,
so only the one that kills workers fails. Until then `degraded` is true and `on_change` is called.
"""

from __future__ import annotations

import asyncio
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any, Protocol

from nearfield_server.batching.policy import BatchLimits
from nearfield_server.batching.queue import Batch, Item, Job, Queue, QueueLimits, QueueStatistics
from nearfield_server.batching.ticket import Ticket
from nearfield_server.errors import BackendFailure, Cancelled, DeadlineExceeded, NearfieldError, Unavailable
from nearfield_server.types import Priority

__all__ = ["BatchObserver", "RunBatch", "Runner", "RunnerSettings"]

logger = logging.getLogger("nearfield.batching")

_MOST_CAUSE = 300

RunBatch = Callable[[Sequence[Any]], Sequence[Any]]
"""Gives one row per unit. Raises when it can't."""


class BatchObserver(Protocol):
    """Is told what happens, from any thread."""

    def batch_done(self, items: int, tokens: int, padded_tokens: int) -> None:
        """A batch ran."""

    def batch_failed(self) -> None:
        """A batch raised."""

    def batch_retried(self, runs: int) -> None:
        """A batch that raised is run again, in `runs` parts."""

    def items_failed(self, count: int) -> None:
        """The model failed on `count` items even alone."""

    def dropped(self, reason: str, count: int) -> None:
        """`count` items will never run: "cancelled", "expired" or "failed"."""

    def stale_run(self, count: int) -> None:
        """`count` items were run although their job had ended or expired before: a bug."""

    def worker_lost(self, reason: str) -> None:
        """A worker "died" or is "stuck"."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunnerSettings:
    """Threads and their supervision; seconds."""

    workers: int
    hang_seconds: float
    restart_seconds: float
    batch: BatchLimits
    queue: QueueLimits


@dataclass(slots=True, eq=False)
class _Worker:
    """One thread and the batch that it runs. Revoked: it was given up, and its results are ignored."""

    number: int
    thread: threading.Thread | None = None
    batch: list[Item] = field(default_factory=list)
    busy_since: float | None = None
    revoked: bool = False


class Runner:
    """Worker threads over one queue, for one model."""

    def __init__(
        self, runs: Sequence[RunBatch], settings: RunnerSettings, observer: BatchObserver, on_change: Callable[[], None]
    ) -> None:
        """`runs`: one function per device; the workers take them in turn, and one stays with its own.

        `on_change` is called on the loop when workers were lost or replaced.
        """
        self._runs = runs
        self._settings = settings
        self._observer = observer
        self._on_change = on_change
        self._queue = Queue(settings.queue)
        self._wake = threading.Condition()
        self._workers: list[_Worker] = []
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._restarts: set[asyncio.Task[None]] = set()
        self._closing = False
        self._seconds_per_token = 0.0

    def __repr__(self) -> str:
        """Show the queue and the workers."""
        return f"<Runner workers={self.workers_alive}/{self._settings.workers} {self._queue!r}>"

    @property
    def workers_alive(self) -> int:
        """Threads that run or could run a batch."""
        return len(self._workers)

    @property
    def degraded(self) -> bool:
        """Some worker was lost and isn't replaced yet."""
        return self.workers_alive < self._settings.workers

    @property
    def tokens_per_second(self) -> float:
        """Measured speed of all workers together, without padding; 0 until a batch ran."""
        return self._settings.workers / self._seconds_per_token if self._seconds_per_token else 0.0

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing runs."""
        with self._wake:
            return self._queue.empty

    def statistics(self) -> QueueStatistics:
        """Give a snapshot of the queue."""
        with self._wake:
            return self._queue.statistics(time.monotonic())

    def start(self, tokens_per_second: float = 0.0) -> None:
        """Start the threads, on the running loop. `tokens_per_second` is a first estimate, from calibration."""
        self._loop = asyncio.get_running_loop()
        if tokens_per_second:
            self._seconds_per_token = self._settings.workers / tokens_per_second
        for number in range(self._settings.workers):
            self._start_worker(number)
        self._watchdog = self._loop.create_task(self._watch(), name="nearfield-watchdog")

    async def close(self) -> None:
        """Stop the threads; jobs that haven't ended fail. Drain before: see `idle`."""
        for task in [self._watchdog, *self._restarts]:
            if task is not None:
                task.cancel()
        with self._wake:
            self._closing = True
            self._wake.notify_all()
            threads = [worker.thread for worker in self._workers if worker.thread is not None]
        for thread in threads:
            await asyncio.to_thread(thread.join, self._settings.hang_seconds)

    def open(self, items: int, priority: Priority, deadline: float | None) -> Ticket:
        """Make a ticket for `items` items; refuses at once, before they are tokenised, what can't fit.

        Raises:
            TooLarge, Overloaded: see `Queue.check_room`.
            DeadlineExceeded: the deadline has passed.
        """
        if deadline is not None and deadline <= time.monotonic():
            msg = "the deadline passed before the call was looked at"
            raise DeadlineExceeded(msg)
        with self._wake:
            self._queue.check_room(items, priority, self.tokens_per_second)
        return Ticket(self._admit, self._abandon, priority, deadline)

    # Called by tickets.

    def _admit(self, ticket: Ticket, units: Sequence[Sized]) -> None:
        job = Job(units, ticket.priority, ticket.deadline, owner=ticket)
        with self._wake:
            if ticket.closed:
                return
            if self._closing:
                raise Unavailable("the model was unloaded", retry_after_seconds=1.0)
            ended = self._queue.admit(job, time.monotonic(), self.tokens_per_second)
            ticket.job = job
            self._deliver(ended)
            self._wake.notify(len(units))

    def _abandon(self, ticket: Ticket, error: NearfieldError) -> None:
        with self._wake:
            ticket.closed = True
            if ticket.job is not None:
                self._deliver(self._queue.drop(ticket.job, error, time.monotonic()))

    # On the worker threads.

    def _work(self, worker: _Worker) -> None:
        try:
            while batch := self._next_batch(worker):
                started = time.monotonic()
                self._run_items(worker, batch.items)
                self._batch_done(worker, batch, time.monotonic() - started)
        except BaseException:
            # Whatever it is, this thread is lost; the watchdog replaces it.
            logger.exception("a worker died", extra={"worker": worker.number})
        finally:
            if not self._closing and self._loop is not None and not self._loop.is_closed():
                self._loop.call_soon_threadsafe(self._worker_lost, worker, "died")

    def _next_batch(self, worker: _Worker) -> Batch | None:
        with self._wake:
            worker.batch, worker.busy_since = [], None
            while not worker.revoked and not (self._closing and self._queue.empty):
                now = time.monotonic()
                self._deliver(self._queue.expire(now))
                batch = self._queue.take(now, self._settings.batch)
                if batch is not None:
                    worker.batch, worker.busy_since = batch.items, now
                    # An independent count, not the queue's own logic: proves that nothing dead is run.
                    if stale := sum(item.job.ended or (item.job.deadline or now + 1) <= now for item in batch.items):
                        self._observer.stale_run(stale)
                    return batch
                self._wake.wait()
        return None

    def _run_items(self, worker: _Worker, items: list[Item]) -> None:
        """Run `items`; when that raises, run each half, so that only the culprit fails."""
        try:
            rows = self._runs[worker.number % len(self._runs)]([item.unit for item in items])
            if len(rows) != len(items):
                msg = f"the model gave {len(rows)} rows for {len(items)} inputs"
                raise BackendFailure(msg)  # noqa: TRY301 - a wrong answer is handled as a raised one
        except Exception as error:  # noqa: BLE001 - whatever it is, only the culprit shall fail
            self._observer.batch_failed()
            if len(items) == 1:
                _log_failure(error)
                self._observer.items_failed(1)
                self._fail_item(worker, items[0], error)
                return
            self._observer.batch_retried(2)
            half = len(items) // 2
            self._run_items(worker, items[:half])
            self._run_items(worker, items[half:])
            return
        with self._wake:
            if not worker.revoked:
                self._deliver(self._queue.settle(items, rows, time.monotonic()))

    def _fail_item(self, worker: _Worker, item: Item, error: Exception) -> None:
        if not isinstance(error, NearfieldError):
            cause = error
            error = BackendFailure("the model failed on this input", index=item.index)
            error.__cause__ = cause
        else:
            error.metadata.setdefault("index", str(item.index))
        with self._wake:
            if not worker.revoked:
                self._deliver(self._queue.fail(item, error, time.monotonic()))

    def _batch_done(self, worker: _Worker, batch: Batch, seconds: float) -> None:
        if worker.revoked:
            return
        tokens = batch.tokens
        self._observer.batch_done(len(batch.items), tokens, batch.padded_tokens)
        # Smoothed over some dozens of batches; a race between two workers loses one sample, which is harmless.
        sample = seconds / tokens
        known = self._seconds_per_token
        self._seconds_per_token = sample if not known else known + 0.05 * (sample - known)

    def _deliver(self, ended: list[Job]) -> None:
        """Tell the loop, once, about jobs that ended. The caller holds the lock."""
        if not ended:
            return
        for job in ended:
            if job.never_run:
                self._observer.dropped(_why_dropped(job.error), job.never_run)
        if self._loop is not None and not self._loop.is_closed():
            self._loop.call_soon_threadsafe(_hand_over, ended)

    # On the loop.

    def _start_worker(self, number: int) -> None:
        worker = _Worker(number)
        worker.thread = threading.Thread(
            target=self._work, args=(worker,), name=f"nearfield-worker-{number}", daemon=True
        )
        self._workers.append(worker)
        worker.thread.start()

    def _worker_lost(self, worker: _Worker, reason: str) -> None:
        with self._wake:
            if worker.revoked or self._closing:
                return
            worker.revoked = True
            self._workers.remove(worker)
            self._deliver(self._queue.worker_lost(worker.batch, time.monotonic()))
            self._wake.notify_all()
        logger.error("a worker was lost and will be replaced", extra={"worker": worker.number, "reason": reason})
        self._observer.worker_lost(reason)
        self._on_change()
        task = asyncio.get_running_loop().create_task(self._replace(worker.number))
        self._restarts.add(task)
        task.add_done_callback(self._restarts.discard)

    async def _replace(self, number: int) -> None:
        await asyncio.sleep(self._settings.restart_seconds)
        self._start_worker(number)
        self._on_change()

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(min(1.0, self._settings.hang_seconds / 4))
            limit = time.monotonic() - self._settings.hang_seconds
            for worker in list(self._workers):
                if worker.busy_since is not None and worker.busy_since < limit:
                    self._worker_lost(worker, "stuck")


def _hand_over(ended: list[Job]) -> None:
    for job in ended:
        if isinstance(job.owner, Ticket):
            job.owner.settle(job)


def _log_failure(error: Exception) -> None:
    """Log why an input failed. What the engine says may hold numbers of the input: they are left out."""
    if not isinstance(error, BackendFailure):
        logger.warning("an input failed in the model", exc_info=error)
        return
    cause = error.__cause__ or error
    text = re.sub(r"\d+", "#", str(cause))[:_MOST_CAUSE]
    logger.warning("an input failed in the model", extra={"cause": f"{type(cause).__name__}: {text}"})


def _why_dropped(error: NearfieldError | None) -> str:
    if isinstance(error, DeadlineExceeded):
        return "expired"
    return "cancelled" if isinstance(error, Cancelled) else "failed"
