"""The stages of a computation: told as they begin, and timed."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager

__all__ = ["Stages"]


class Stages:
    """`shares`: of all work, by stage; `told` hears the stage and the share that is done."""

    def __init__(self, told: Callable[[str, float], None], shares: Mapping[str, float]) -> None:
        """Begin with nothing done."""
        self._told = told
        self._shares = shares
        self._done = 0.0
        self.seconds: dict[str, float] = {}

    @contextmanager
    def stage(self, name: str) -> Iterator[Callable[[float], None]]:
        """Time a stage; gives what tells the share of it that is done."""
        share, before = self._shares[name], self._done
        self._told(name, before)
        started = time.perf_counter()
        yield lambda part: self._told(name, before + share * part)
        self.seconds[name] = time.perf_counter() - started
        self._done = before + share
