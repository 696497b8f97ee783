"""The seam between jobs and machines.

Rules:

1. Work, steps and joins are pickled: functions of a module, or frozen dataclasses with `__call__`.
2. Work may be done twice, since a lost worker's is done again: it must end the same both times.
3. What work raises ends the call and is raised here. It isn't tried again: it would fail again.
4. What is lost too often (`MAX_LOSSES` times) is most likely lost because of itself: that raises `JobFailure`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol, TypeVar

__all__ = ["MAX_LOSSES", "Executor", "Holding", "JobFailure"]

MAX_LOSSES = 3
"""So often the same work may lose its worker."""

S = TypeVar("S")
R = TypeVar("R")
H = TypeVar("H")
M = TypeVar("M")
HeldT_co = TypeVar("HeldT_co", covariant=True)


class JobFailure(Exception):
    """A job can't go on; the message says why, and what to do."""


class Executor(Protocol):
    """Runs work over shards. One call at a time."""

    def map(self, work: Callable[[S], R], shards: Sequence[S]) -> Iterator[tuple[int, R]]:
        """Do the work on each shard; yield the place of a shard and its result, as they are done.

        Raises:
            JobFailure: a shard lost its worker too often.
        """
        ...

    def hold(self, open_shard: Callable[[S], H], shards: Sequence[S]) -> Holding[H]:
        """Open shards where they stay, until the holding is closed."""
        ...

    def close(self) -> None:
        """Let workers go."""
        ...


class Holding(Protocol[HeldT_co]):
    """Shards that stay in the memory of workers."""

    def reduce(self, step: Callable[[HeldT_co, M], R], message: M, join: Callable[[R, R], R]) -> R:
        """Send `message` to all shards, take the step on each, and join the results.

        A lost worker's shards are opened again, and the step is taken there once more. `join` must be associative;
        shards are joined in any order.

        Raises:
            JobFailure: shards lost their worker too often.
        """
        ...

    def close(self) -> None:
        """Let the shards go."""
        ...
