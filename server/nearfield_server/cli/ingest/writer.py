"""Points into a collection, a batch at a time: what is there already, by its hash, is not sent again.

Two batches are under way at a time, so that the server never waits for this end. One id is never in both.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    from nearfield import Collection

__all__ = ["HASH", "Counts", "Writer"]

HASH = "hash"
_BATCH, _UNDER_WAY = 128, 2

_Batch: TypeAlias = dict[str | int, tuple[str, dict[str, Any]]]
"""Place and row by id."""


@dataclass(slots=True)
class Counts:
    """What became of the points; `errors` names each that wasn't stored, with its place."""

    stored: int = 0
    unchanged: int = 0
    deleted: int = 0
    errors: list[str] = field(default_factory=list)

    @property
    def seen(self) -> int:
        """Give the number of points that are settled."""
        return self.stored + self.unchanged + len(self.errors)


class Writer:
    """Collects points and sends them. A run that was cut off goes on by itself: what was stored has its hash."""

    def __init__(self, collection: Collection, *, vectors: bool, on_progress: Callable[[int], None]) -> None:
        """Write to `collection`; with `vectors` each point brings one."""
        self.counts = Counts()
        self._collection = collection
        self._vectors = vectors
        self._on_progress = on_progress
        self._batch: _Batch = {}
        self._threads = ThreadPoolExecutor(_UNDER_WAY, thread_name_prefix="nearfield-index")
        self._under_way: deque[tuple[_Batch, Future[Counts]]] = deque()

    def add(self, place: str, id_: str | int, text: str | None, payload: Mapping[str, Any], vector: Any = None) -> None:
        """Take a point; `place` is for people. Without a text it has only its vector."""
        if id_ in self._batch or any(id_ in batch for batch, _ in self._under_way):
            self.flush()  # the last of several with one id counts
        row = {**payload, "id": id_, HASH: _hash(text, payload, vector)}
        if text is not None:
            row["text"] = text
        if self._vectors:
            row["vector"] = vector
        self._batch[id_] = place, row
        if len(self._batch) >= _BATCH:
            self._send()

    def fail(self, problem: str) -> None:
        """Note a row that can't be a point."""
        self.counts.errors.append(problem)

    def flush(self) -> None:
        """Send what is new or has changed, and wait until the server has it. Raises what the client raises."""
        self._send()
        while self._under_way:
            self._settle()

    def _send(self) -> None:
        if not self._batch:
            return
        if len(self._under_way) >= _UNDER_WAY:
            self._settle()
        batch, self._batch = self._batch, {}
        self._under_way.append((batch, self._threads.submit(self._put, batch)))

    def _settle(self) -> None:
        _, sent = self._under_way.popleft()
        counts = sent.result()
        self.counts.stored += counts.stored
        self.counts.unchanged += counts.unchanged
        self.counts.errors += counts.errors
        self._on_progress(self.counts.seen)

    def _put(self, batch: _Batch) -> Counts:
        there = self._collection.get(list(batch), fields=[HASH], with_text=False)
        known = {one.id: one.payload.get(HASH) for one in there}
        fresh = [(place, row) for id_, (place, row) in batch.items() if known.get(id_) != row[HASH]]
        counts = Counts(unchanged=len(batch) - len(fresh))
        if fresh:
            vector = "vector" if self._vectors else None
            rows = [row for _, row in fresh]
            done = self._collection.upsert(rows, vector=vector, on_error="collect", wait=False, batch_size=_BATCH)
            counts.stored = done.stored
            counts.errors = [f"{fresh[one.row][0]}: {one.error.message}" for one in done.errors]
        return counts


def _hash(text: str | None, payload: Mapping[str, Any], vector: Any) -> str:
    content = json.dumps([text, payload], ensure_ascii=True, sort_keys=True, default=str).encode()
    if vector is not None:
        content += json.dumps(vector, default=float).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
