"""A Ray cluster: tasks for work, actors for shards that are held. The only file that imports ray.

Rules:

1. Actors take one CPU less than there are, and are placed apart from each other.
2. A lost actor is made again by us and not by Ray: its successor asks for no CPU, so that it finds a place in what is
   left of the cluster, where Ray would wait for a CPU for ever.
3. Nothing waits in silence: an actor that finds no place in `_PLACE_SECONDS` fails the job.
4. Nobody is told of the use: usage statistics are off, and the dashboard of a cluster of our own too.
"""

from __future__ import annotations

import functools
import os
import socket
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Generic, TypeVar
from urllib.parse import urlsplit

# Before the import: ray reads it once.
os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")

import ray
from ray.exceptions import ObjectLostError, OutOfMemoryError, RayActorError, RayTaskError, WorkerCrashedError

from nearfield_server.executors.base import MAX_LOSSES, JobFailure

__all__ = ["RayExecutor"]

S = TypeVar("S")
R = TypeVar("R")
H = TypeVar("H")
M = TypeVar("M")

_remote: Any = ray.remote  # whose types know fixed numbers of arguments only
_resources: Callable[[], dict[str, float]] = ray.cluster_resources
_PLACE_SECONDS = 300.0
_REACH_SECONDS = 10.0
_APART = "SPREAD"
_LOST = (RayActorError, ObjectLostError, WorkerCrashedError, OutOfMemoryError)


class RayExecutor:
    """Implements `Executor` on a Ray cluster."""

    def __init__(self, address: str = "", **settings: Any) -> None:
        """Connect to the cluster at `address`, or start one on this machine; one that is connected already is used.

        Args:
            address: of the cluster, `auto` for the one that this machine is a part of; empty for a new one.
            settings: more for `ray.init`, such as the memory of a new cluster.

        Raises:
            JobFailure: there is no cluster at `address`.
        """
        self._connected = not ray.is_initialized()
        if not self._connected:
            return
        if address not in {"", "auto", "local"}:
            _reach(address)
        own: dict[str, Any] = {} if address else {"include_dashboard": False}
        try:
            ray.init(
                address=address or "local",
                **{"log_to_driver": False, "configure_logging": False, **own, **settings},
            )
        except (ConnectionError, RuntimeError, ValueError) as error:
            raise JobFailure(f"no Ray cluster at {address or 'this machine'}: {error}") from error

    def map(self, work: Callable[[S], R], shards: Sequence[S]) -> Iterator[tuple[int, R]]:
        """Do the work in tasks of one CPU; Ray starts those of a lost worker or node again."""
        task = _remote(num_cpus=1, max_retries=MAX_LOSSES - 1, scheduling_strategy=_APART)(_work)
        shared, waiting = ray.put(work), deque(enumerate(shards))
        running: dict[Any, int] = {}
        try:
            while waiting or running:
                # Twice as many as can run: the next is there when one ends, and not all shards are in the queue.
                while waiting and len(running) < 2 * _cpus():
                    place, shard = waiting.popleft()
                    running[task.remote(shared, shard)] = place
                (done,), _ = ray.wait(list(running))
                place = running.pop(done)
                yield place, _result(done, f"shard {place}")
        finally:
            for reference in running:
                ray.cancel(reference, force=True)

    def hold(self, open_shard: Callable[[S], H], shards: Sequence[S]) -> RayHolding[H]:
        """Open the shards in actors, each on a CPU of its own."""
        count = min(len(shards), max(1, _cpus() - 1))
        return RayHolding(open_shard, [list(shards[place::count]) for place in range(count)])

    def close(self) -> None:
        """Leave the cluster; one of our own ends."""
        if self._connected:
            ray.shutdown()


def _reach(address: str) -> None:
    """Raise `JobFailure` where nothing listens: Ray itself would try for minutes."""
    try:
        parts = urlsplit(address if "://" in address else f"ray://{address}")
        socket.create_connection((parts.hostname or "", parts.port or 6379), _REACH_SECONDS).close()
    except (OSError, ValueError) as error:
        raise JobFailure(f"no Ray cluster at {address}: {error}") from error


class RayHolding(Generic[H]):
    """Implements `Holding` in actors."""

    def __init__(self, open_shard: Callable[[Any], H], groups: Sequence[Sequence[Any]]) -> None:
        """Make an actor for each group of shards.

        Raises:
            JobFailure: one finds no place in the cluster.
        """
        self._opened = [ray.put((open_shard, group)) for group in groups]
        self._losses = [0] * len(groups)
        self._actors = [self._actor(place, cpus=1) for place in range(len(groups))]
        ready = [actor.ready.remote() for actor in self._actors]
        placed, others = ray.wait(ready, num_returns=len(ready), timeout=_PLACE_SECONDS)
        if others:
            self.close()
            text = (
                f"{len(placed)} of {len(ready)} actors found a CPU in {_PLACE_SECONDS:.0f} s; others hold the cluster"
            )
            raise JobFailure(text)

    def reduce(self, step: Callable[[H, M], R], message: M, join: Callable[[R, R], R]) -> R:
        """Take the step in all actors; each joins the results of its own shards, so that only one is sent."""
        shared = ray.put((step, message, join))
        partials: list[Any] = [None] * len(self._actors)
        running = {actor.reduce.remote(shared): place for place, actor in enumerate(self._actors)}
        while running:
            (done,), _ = ray.wait(list(running))
            place = running.pop(done)
            try:
                partials[place] = ray.get(done)
            except _LOST as error:
                self._replace(place, error)
                running[self._actors[place].reduce.remote(shared)] = place
            except RayTaskError as error:
                raise _cause(error) from None
        joined: R = functools.reduce(join, partials)
        return joined

    def close(self) -> None:
        """End the actors."""
        for actor in self._actors:
            ray.kill(actor)
        self._actors = []

    def _actor(self, place: int, *, cpus: int) -> Any:
        made = _remote(num_cpus=cpus, scheduling_strategy=_APART)(_Holder)
        return made.remote(self._opened[place])

    def _replace(self, place: int, error: Exception) -> None:
        self._losses[place] += 1
        if self._losses[place] >= MAX_LOSSES:
            raise JobFailure(f"an actor was lost {MAX_LOSSES} times, the last time so: {error}") from error
        ray.kill(self._actors[place])
        self._actors[place] = self._actor(place, cpus=0)


class _Holder:
    """The actor. It opens its shards at the first step, so that being placed doesn't wait for that."""

    def __init__(self, opened: tuple[Callable[[Any], Any], Sequence[Any]]) -> None:
        self._open, self._shards = opened
        self._held: list[Any] | None = None

    def ready(self) -> None:
        """Answer once there is a place."""

    def reduce(self, shared: tuple[Callable[[Any, Any], Any], Any, Callable[[Any, Any], Any]]) -> Any:
        """Take a step on all shards, and join."""
        step, message, join = shared
        if self._held is None:
            self._held = [self._open(shard) for shard in self._shards]
        return functools.reduce(join, (step(one, message) for one in self._held))


def _work(work: Callable[[Any], Any], shard: Any) -> Any:
    return work(shard)


def _cpus() -> int:
    return max(1, int(_resources().get("CPU", 1)))


def _result(reference: Any, what: str) -> Any:
    try:
        return ray.get(reference)
    except RayTaskError as error:
        raise _cause(error) from None
    except _LOST as error:
        raise JobFailure(f"{what} lost its worker {MAX_LOSSES} times, the last time so: {error}") from error


def _cause(error: RayTaskError) -> BaseException:
    """Give what the work itself raised."""
    return error.cause if isinstance(error.cause, BaseException) else error
