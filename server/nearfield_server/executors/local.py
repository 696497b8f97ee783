"""This machine: processes for work, which survive the loss of one of them, and this process for shards that are held.

Steps on held shards are matrix products, whose libraries use all CPUs by themselves: shard after shard is fastest. In
the processes these libraries use one thread each, since there are as many processes as CPUs.
"""

from __future__ import annotations

import functools
import multiprocessing
import os
import signal
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, ThreadPoolExecutor, wait
from concurrent.futures.process import BrokenProcessPool
from typing import Generic, TypeVar

from nearfield_server.executors.base import MAX_LOSSES, JobFailure

__all__ = ["LocalExecutor"]

_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS")

S = TypeVar("S")
R = TypeVar("R")
H = TypeVar("H")
M = TypeVar("M")


class LocalExecutor:
    """Implements `Executor` on this machine."""

    def __init__(self, workers: int) -> None:
        """Use at most `workers` processes; they start when there is work."""
        self._workers = workers
        self._pool: ProcessPoolExecutor | None = None

    def map(self, work: Callable[[S], R], shards: Sequence[S]) -> Iterator[tuple[int, R]]:
        """Do the work in processes; when one is lost, all start anew, as the library has it."""
        waiting, losses = deque(range(len(shards))), Counter[int]()
        running: dict[Future[R], int] = {}
        try:
            while waiting or running:
                self._fill(work, shards, waiting, running)
                for future in wait(running, return_when=FIRST_COMPLETED).done:
                    place = running.pop(future)
                    try:
                        result = future.result()
                    except BrokenProcessPool:
                        lost = [place, *running.values()]
                        running.clear()
                        waiting.extendleft(lost)
                        self._lost(lost, losses)
                        break
                    yield place, result
        finally:
            for future in running:
                future.cancel()

    def hold(self, open_shard: Callable[[S], H], shards: Sequence[S]) -> LocalHolding[H]:
        """Open the shards in this process."""
        with ThreadPoolExecutor(self._workers, "nearfield-shards") as threads:
            return LocalHolding(list(threads.map(open_shard, shards)))

    def close(self) -> None:
        """Wait for the processes to end."""
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            self._pool = None

    def _fill(
        self, work: Callable[[S], R], shards: Sequence[S], waiting: deque[int], running: dict[Future[R], int]
    ) -> None:
        """Give each worker a shard."""
        while waiting and len(running) < self._workers:
            try:
                future = self._started().submit(work, shards[waiting[0]])
            except BrokenProcessPool:
                if running:  # which will tell that they are lost
                    return
                self.close()  # a worker was lost that had nothing to do
            else:
                running[future] = waiting.popleft()

    def _started(self) -> ProcessPoolExecutor:
        if self._pool is None:
            # Spawned: a fork would copy locks that other threads hold.
            context = multiprocessing.get_context("spawn")
            self._pool = ProcessPoolExecutor(self._workers, context, initializer=_begin)
        return self._pool

    def _lost(self, places: Sequence[int], losses: Counter[int]) -> None:
        """Drop the broken pool. Which of the shards broke it can't be told: all that ran count as lost."""
        self.close()
        losses.update(places)
        if worst := sorted(place for place in places if losses[place] >= MAX_LOSSES):
            which = ", ".join(map(str, worst))
            raise JobFailure(f"shard {which} lost its worker {MAX_LOSSES} times: it may need more memory than there is")


def _begin() -> None:
    """Set a worker up, before it imports what its work needs."""
    # Ctrl-C reaches all processes of a terminal: it ends a worker at once and without a traceback.
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for name in _THREADS:
        os.environ.setdefault(name, "1")


class LocalHolding(Generic[H]):
    """Implements `Holding` in this process, which can't be lost without the job."""

    def __init__(self, held: list[H]) -> None:
        """Keep what was opened."""
        self._held = held

    def reduce(self, step: Callable[[H, M], R], message: M, join: Callable[[R, R], R]) -> R:
        """Take the step on one shard after the other."""
        return functools.reduce(join, (step(one, message) for one in self._held))

    def close(self) -> None:
        """Free the memory."""
        self._held = []
