"""Bringing a shard to the state of the database, a chunk at a time."""

from __future__ import annotations

import sqlite3
import time
from pathlib import Path
from typing import Any

from nearfield_server.engines.embedded.changes import read_changes
from nearfield_server.engines.embedded.index.edge import put
from nearfield_server.engines.embedded.index.word_counts import WordCounts
from nearfield_server.types import CollectionSpec

__all__ = ["Replay", "open_database"]

_MOST_ROWS, _PUT_ROWS, _FIRST_ROWS = 2000, 32, 64
_BUSY_SECONDS = 30.0


def open_database(path: Path) -> sqlite3.Connection:
    """Open the database for reading."""
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", timeout=_BUSY_SECONDS, isolation_level=None, uri=True)


class Replay:
    """How far a shard has come.

    `chunk_seconds` is about how long a step may take: the number of rows read follows from it.
    """

    def __init__(
        self,
        shard: Any,
        spec: CollectionSpec,
        database: sqlite3.Connection,
        *,
        words: WordCounts,
        applied: int,
        chunk_seconds: float,
    ) -> None:
        """Go on from number `applied`; `words` are those of the shard."""
        self.applied = applied
        self.changes = 0
        """Rows that were changed since."""
        self._shard = shard
        self._words = words
        self._spec = spec
        self._database = database
        self._seconds = chunk_seconds
        self._rows = _FIRST_ROWS
        self._waiting: list[Any] = []
        self._reaches = applied

    def step(self, target: int) -> bool:
        """Take over some rows; tell whether all writes up to `target`, known to be committed, are in now."""
        started = time.perf_counter()
        if not self._waiting:
            asked = self._rows
            self._waiting = read_changes(self._database, self.applied, asked)
            last = self._waiting[-1].sequence if self._waiting else 0
            self._reaches = last if len(self._waiting) >= asked else max(last, target)
        taken = 0
        while self._waiting:
            some, self._waiting = self._waiting[:_PUT_ROWS], self._waiting[_PUT_ROWS:]
            put(self._shard, self._spec, some, self._words)
            taken += len(some)
            if time.perf_counter() - started > self._seconds:
                break
        self.changes += taken
        if not self._waiting:
            self.applied = max(self.applied, self._reaches)
        self._adapt(taken, time.perf_counter() - started)
        return self.applied >= target

    def _adapt(self, taken: int, seconds: float) -> None:
        if taken and seconds > 0:
            fitting = int(taken * self._seconds / seconds)
            self._rows = max(_FIRST_ROWS // 4, min(_MOST_ROWS, fitting, 2 * self._rows))
