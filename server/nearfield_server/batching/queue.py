"""What waits, what runs and what became of it: decided here, without clock, thread, future or log.

Rules:

1. A `Job` is one call's worth of items. It ends exactly once: all rows there, or one error.
2. Admission counts items and tokens, and refuses what can't be worked off before the job's deadline.
3. An item is waiting, running or over. Only waiting items are taken; a job that ended has none (`drop`, `expire`).
4. The two classes share the workers by weight: the class that got the fewest tokens per weight is next, and a class
   that was idle doesn't save up.
5. Within a class the oldest item is in the next batch (`policy.choose`), so an item is overtaken only by batches that
   hold an older one: its wait has a bound, and nothing starves.
6. Items of a worker that was lost are suspects: each runs alone, and fails when it loses a second worker.

Every instant is an argument (`now`, monotonic seconds). The caller holds the lock.
"""

from __future__ import annotations

import enum
import heapq
from collections import deque
from collections.abc import Iterable, Mapping, Sequence, Sized
from dataclasses import dataclass, field
from typing import Any

from nearfield_server.batching.policy import BatchLimits, choose
from nearfield_server.errors import BackendFailure, DeadlineExceeded, NearfieldError, Overloaded, TooLarge
from nearfield_server.types import Priority

__all__ = ["Batch", "Item", "Job", "Queue", "QueueLimits", "QueueStatistics"]

_MAX_LOST_WORKERS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueLimits:
    """How much may wait, in items and tokens, and the share of the workers by class."""

    max_items: int
    max_tokens: int
    weights: Mapping[Priority, int]


@dataclass(frozen=True, slots=True)
class QueueStatistics:
    """What waits now, by class, and how long the oldest has waited, in seconds."""

    items: Mapping[Priority, int]
    tokens: Mapping[Priority, int]
    oldest_age_seconds: float
    running_items: int


class _State(enum.Enum):
    WAITING = enum.auto()
    RUNNING = enum.auto()
    OVER = enum.auto()


@dataclass(slots=True, eq=False)
class Item:
    """One unit of a job."""

    job: Job
    index: int
    length: int
    state: _State = _State.WAITING
    lost_workers: int = 0

    @property
    def unit(self) -> Sized:
        """What is run; its length is what it costs, in tokens."""
        return self.job.units[self.index]


@dataclass(slots=True, eq=False)
class Job:
    """The items of one call and what became of them. `deadline` is monotonic seconds, `None`: no deadline."""

    units: Sequence[Sized]
    priority: Priority
    deadline: float | None
    owner: object = None
    rows: list[Any] = field(default_factory=list)
    """One result per unit, whole once `ended` without `error`."""
    error: NearfieldError | None = None
    ended: bool = False
    admitted_at: float = 0.0
    started_at: float = 0.0
    ended_at: float = 0.0
    items: list[Item] = field(default_factory=list)
    missing: int = 0
    """Items without a row yet."""
    never_run: int = 0
    """Items that still waited when the job ended with an error."""


@dataclass(slots=True, eq=False)
class Batch:
    """Items that run together, `taken_at` monotonic seconds."""

    items: list[Item]
    taken_at: float

    @property
    def tokens(self) -> int:
        """Tokens without padding."""
        return sum(item.length for item in self.items)

    @property
    def padded_tokens(self) -> int:
        """Rows times longest row."""
        return len(self.items) * max(item.length for item in self.items)


class _Class:
    """The waiting items of one class: by length, and in order of arrival. Items that are over are skipped lazily."""

    def __init__(self, weight: int) -> None:
        self.weight = weight
        self.served = 0.0
        self.items = 0
        self.tokens = 0
        self.order: deque[Item] = deque()
        self.buckets: dict[int, deque[Item]] = {}
        self.counts: dict[int, int] = {}

    def add(self, item: Item) -> None:
        self.items += 1
        self.tokens += item.length
        self.order.append(item)
        self.buckets.setdefault(item.length, deque()).append(item)
        self.counts[item.length] = self.counts.get(item.length, 0) + 1

    def leave(self, item: Item, state: _State) -> None:
        """Account for a waiting `item` that goes over to `state`."""
        item.state = state
        self.items -= 1
        self.tokens -= item.length
        self.counts[item.length] -= 1
        if not self.counts[item.length]:
            # What is left in the bucket is over: let it go, with the texts that it holds.
            del self.counts[item.length]
            del self.buckets[item.length]
        if not self.items:
            self.order.clear()

    def oldest(self) -> Item:
        while self.order[0].state is not _State.WAITING:
            self.order.popleft()
        return self.order[0]

    def take(self, length: int, count: int) -> list[Item]:
        bucket = self.buckets[length]
        taken: list[Item] = []
        while len(taken) < count:
            item = bucket.popleft()
            if item.state is _State.WAITING:
                self.leave(item, _State.RUNNING)
                taken.append(item)
        return taken


class Queue:
    """Jobs of one model from admission to their end. Not thread-safe: the caller holds a lock."""

    def __init__(self, limits: QueueLimits) -> None:
        """Start empty; `limits` never change."""
        self._limits = limits
        self._classes = {priority: _Class(weight) for priority, weight in limits.weights.items()}
        self._deadlines: list[tuple[float, int, Job]] = []
        self._suspects: deque[Item] = deque()
        self._admitted = 0
        self._live = 0
        self._running_items = 0
        self._running_tokens = 0

    def __repr__(self) -> str:
        """Show what waits and runs."""
        waiting = {priority.value: cls.items for priority, cls in self._classes.items()}
        return f"<Queue waiting={waiting} suspects={len(self._suspects)} running={self._running_items}>"

    def statistics(self, now: float) -> QueueStatistics:
        """Give a snapshot."""
        oldest = [cls.oldest().job.admitted_at for cls in self._classes.values() if cls.items]
        oldest += [item.job.admitted_at for item in self._suspects if item.state is _State.WAITING]
        return QueueStatistics(
            items={priority: cls.items for priority, cls in self._classes.items()},
            tokens={priority: cls.tokens for priority, cls in self._classes.items()},
            oldest_age_seconds=max(0.0, now - min(oldest)) if oldest else 0.0,
            running_items=self._running_items,
        )

    @property
    def empty(self) -> bool:
        """Nothing waits and nothing runs."""
        return not self._running_items and not self._suspects and not any(c.items for c in self._classes.values())

    def check_room(self, items: int, priority: Priority, tokens_per_second: float) -> None:
        """Refuse `items` more items if they can't fit by number alone: a cheap test before tokenising.

        Raises:
            TooLarge: more items than the queue ever holds.
            Overloaded: the queue is full now.
        """
        if items > self._limits.max_items:
            msg = f"{items} inputs in one call; the queue holds {self._limits.max_items}: split the call"
            raise TooLarge(msg, limit=self._limits.max_items)
        if sum(cls.items for cls in self._classes.values()) + items > self._limits.max_items:
            raise self._overloaded("queue_items", self._ahead(priority), tokens_per_second)

    def admit(self, job: Job, now: float, tokens_per_second: float) -> list[Job]:
        """Take `job` in; give it back if it has nothing to run and so has ended.

        `tokens_per_second` is the measured speed of all workers together, 0 if not known yet.

        Raises:
            TooLarge: more tokens than the queue ever holds.
            Overloaded: full now, or what waits can't be worked off before the deadline.
            DeadlineExceeded: the deadline passed, or the job alone can't be done before it.
        """
        lengths = [len(unit) for unit in job.units]
        own = sum(lengths)
        if own > self._limits.max_tokens:
            msg = f"{own} tokens in one call; the limit is {self._limits.max_tokens}: split the call"
            raise TooLarge(msg, limit=self._limits.max_tokens, tokens=own)
        self.check_room(len(lengths), job.priority, tokens_per_second)
        ahead = self._ahead(job.priority)
        if sum(cls.tokens for cls in self._classes.values()) + own > self._limits.max_tokens:
            raise self._overloaded("queue_tokens", ahead, tokens_per_second)
        if job.deadline is not None:
            self._check_deadline(job.deadline - now, own, ahead, tokens_per_second)
            self._remember_deadline(job.deadline, job)
        self._live += 1
        job.admitted_at = now
        job.missing = len(lengths)
        job.rows = [None] * len(lengths)
        cls = self._classes[job.priority]
        if not cls.items:
            busy = [other.served for other in self._classes.values() if other.items]
            cls.served = max(cls.served, min(busy, default=cls.served))
        for index, length in enumerate(lengths):
            item = Item(job, index, length)
            job.items.append(item)
            cls.add(item)
        if lengths:
            return []
        job.started_at = now
        return self._end(job, None, now)

    def take(self, now: float, limits: BatchLimits) -> Batch | None:
        """Give the next batch, or `None` when nothing waits. Call `expire` first."""
        batch = self._take_suspect(now) or self._take_from_class(now, limits)
        if batch is not None:
            self._running_items += len(batch.items)
            self._running_tokens += batch.tokens
            for item in batch.items:
                item.job.started_at = item.job.started_at or now
        return batch

    def settle(self, items: Iterable[Item], rows: Iterable[Any], now: float) -> list[Job]:
        """Put `rows`, one per item, where they belong; give the jobs that this ended."""
        ended = []
        for item, row in zip(items, rows, strict=True):
            self._stop_running(item)
            job = item.job
            if job.ended:
                continue
            job.rows[item.index] = row
            job.missing -= 1
            if not job.missing:
                self._end(job, None, now)
                ended.append(job)
        return ended

    def fail(self, item: Item, error: NearfieldError, now: float) -> list[Job]:
        """End the job of a running `item` with `error`; give it unless it had ended before."""
        self._stop_running(item)
        return self._end(item.job, error, now)

    def drop(self, job: Job, error: NearfieldError, now: float) -> list[Job]:
        """End `job` with `error`; give it unless it had ended before. What still waits of it will not run."""
        return self._end(job, error, now)

    def expire(self, now: float) -> list[Job]:
        """End the jobs whose deadline has passed, and give them."""
        expired: list[Job] = []
        while self._deadlines and (self._deadlines[0][0] <= now or self._deadlines[0][2].ended):
            _, _, job = heapq.heappop(self._deadlines)
            expired += self._end(job, DeadlineExceeded("the deadline passed while the inputs waited"), now)
        return expired

    def worker_lost(self, items: Iterable[Item], now: float) -> list[Job]:
        """Put the running ones of `items` back as suspects; give the jobs that this ended."""
        ended: list[Job] = []
        for item in items:
            if item.state is not _State.RUNNING:
                continue
            item.lost_workers += 1
            if item.job.ended or item.lost_workers >= _MAX_LOST_WORKERS:
                error = BackendFailure("a worker was lost twice while it ran this input", index=item.index)
                ended += self.fail(item, error, now)
            else:
                self._stop_running(item)
                item.state = _State.WAITING
                self._suspects.append(item)
        return ended

    def _remember_deadline(self, deadline: float, job: Job) -> None:
        # Ended jobs stay in the heap until their deadline; they hold rows, so sweep when they are the majority.
        if len(self._deadlines) > 2 * self._live + 64:
            self._deadlines = [entry for entry in self._deadlines if not entry[2].ended]
            heapq.heapify(self._deadlines)
        self._admitted += 1  # a tie-break: jobs have no order
        heapq.heappush(self._deadlines, (deadline, self._admitted, job))

    def _take_suspect(self, now: float) -> Batch | None:
        while self._suspects:
            item = self._suspects.popleft()
            if item.state is _State.WAITING:
                item.state = _State.RUNNING
                return Batch([item], now)
        return None

    def _take_from_class(self, now: float, limits: BatchLimits) -> Batch | None:
        busy = [cls for cls in self._classes.values() if cls.items]
        if not busy:
            return None
        cls = min(busy, key=lambda one: one.served)
        plan = choose(cls.oldest().length, cls.counts, limits)
        batch = Batch([item for length, count in plan.items() for item in cls.take(length, count)], now)
        cls.served += batch.padded_tokens / cls.weight
        return batch

    def _stop_running(self, item: Item) -> None:
        if item.state is not _State.RUNNING:
            msg = "an item was settled that doesn't run; this is a bug"
            raise AssertionError(msg)
        item.state = _State.OVER
        self._running_items -= 1
        self._running_tokens -= item.length

    def _end(self, job: Job, error: NearfieldError | None, now: float) -> list[Job]:
        if job.ended:
            return []
        job.ended, job.error, job.ended_at = True, error, now
        self._live -= 1
        waiting = [item for item in job.items if item.state is _State.WAITING]
        job.never_run = len(waiting)
        for item in waiting:
            if item.lost_workers:
                item.state = _State.OVER
                self._suspects.remove(item)
            else:
                self._classes[job.priority].leave(item, _State.OVER)
        if error is not None:
            job.rows = []
        return [job]

    def _ahead(self, priority: Priority) -> float:
        """Tokens that run before a new job of this class: its own, and the share that the other takes meanwhile."""
        own = self._classes[priority]
        other = sum(
            min(cls.tokens, own.tokens * cls.weight / own.weight) for cls in self._classes.values() if cls is not own
        )
        return own.tokens + other + self._running_tokens

    def _check_deadline(self, left: float, own: int, ahead: float, tokens_per_second: float) -> None:
        if left <= 0:
            msg = "the deadline passed before the inputs were queued"
            raise DeadlineExceeded(msg)
        if not ahead or not tokens_per_second:
            return  # idle: try, so that a wrong estimate of the speed heals
        if own / tokens_per_second > left:
            msg = f"{own} tokens need about {own / tokens_per_second:.3f} s; the deadline leaves {left:.3f} s"
            raise DeadlineExceeded(msg)
        if (ahead + own) / tokens_per_second > left:
            raise self._overloaded("deadline", ahead, tokens_per_second)

    def _overloaded(self, why: str, ahead: float, tokens_per_second: float) -> Overloaded:
        # An empty estimate still asks for a pause; 30 s is long enough for any load balancer to have noticed.
        wait = min(30.0, max(0.05, ahead / tokens_per_second if tokens_per_second else 1.0))
        text = {
            "queue_items": "the queue is full of items",
            "queue_tokens": "the queue is full of tokens",
            "deadline": "what waits can't be worked off before the deadline",
        }[why]
        return Overloaded(f"{text}; try again in {wait:.2f} s", retry_after_seconds=wait, limited_by=why)
