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

import numpy as np

if TYPE_CHECKING:
    from nearfield import Collection

__all__ = ["HASH", "Counts", "Writer"]

HASH = "hash"
_BATCH, _UNDER_WAY = 256, 2
_PROBED = 64

_Rows: TypeAlias = dict[str | int, tuple[str, dict[str, Any]]]
"""Place and row by id."""


@dataclass(slots=True)
class _Batch:
    """`ends`: by the id that comes after its last chunk, a parent and the number of its chunks."""

    rows: _Rows = field(default_factory=dict)
    ends: dict[str | int, tuple[str, int]] = field(default_factory=dict)

    def holds(self, id_: str | int) -> bool:
        return id_ in self.rows or id_ in self.ends


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
        self._batch = _Batch()
        self._threads = ThreadPoolExecutor(_UNDER_WAY, thread_name_prefix="nearfield-index")
        self._under_way: deque[tuple[_Batch, Future[Counts]]] = deque()

    def add(self, place: str, id_: str | int, text: str | None, payload: Mapping[str, Any], vector: Any = None) -> None:
        """Take a point; `place` is for people. Without a text it has only its vector."""
        self._meet(id_)
        row = {**payload, "id": id_, HASH: _hash(text, payload, vector)}
        if text is not None:
            row["text"] = text
        if self._vectors:
            row["vector"] = vector
        self._batch.rows[id_] = place, row
        self._send_full()

    def end(self, parent: str, chunks: int) -> None:
        """Know that `parent` has so many chunks, `parent#0` and so on; those that it had beyond are deleted."""
        beyond = f"{parent}#{chunks}"
        self._meet(beyond)
        self._batch.ends[beyond] = parent, chunks
        self._send_full()

    def fail(self, problem: str) -> None:
        """Note a row that can't be a point."""
        self.counts.errors.append(problem)

    def flush(self) -> None:
        """Send what is new or has changed, and wait until the server has it. Raises what the client raises."""
        self._send()
        while self._under_way:
            self._settle()

    def _meet(self, id_: str | int) -> None:
        """Let what is known of an id be settled first: the last of several with one id counts."""
        if self._batch.holds(id_) or any(batch.holds(id_) for batch, _ in self._under_way):
            self.flush()

    def _send_full(self) -> None:
        if len(self._batch.rows) + len(self._batch.ends) >= _BATCH:
            self._send()

    def _send(self) -> None:
        if not self._batch.rows and not self._batch.ends:
            return
        if len(self._under_way) >= _UNDER_WAY:
            self._settle()
        batch, self._batch = self._batch, _Batch()
        self._under_way.append((batch, self._threads.submit(self._put, batch)))

    def _settle(self) -> None:
        _, sent = self._under_way.popleft()
        counts = sent.result()
        self.counts.stored += counts.stored
        self.counts.unchanged += counts.unchanged
        self.counts.deleted += counts.deleted
        self.counts.errors += counts.errors
        self._on_progress(self.counts.seen)

    def _put(self, batch: _Batch) -> Counts:
        there = self._collection.get([*batch.rows, *batch.ends], fields=[HASH], with_text=False)
        known = {one.id: one.payload.get(HASH) for one in there}
        fresh = [(place, row) for id_, (place, row) in batch.rows.items() if known.get(id_) != row[HASH]]
        counts = Counts(unchanged=len(batch.rows) - len(fresh))
        if fresh:
            vector = "vector" if self._vectors else None
            rows = [row for _, row in fresh]
            done = self._collection.upsert(rows, vector=vector, on_error="collect", wait=False)
            counts.stored = done.stored
            counts.errors = [f"{fresh[one.row][0]}: {one.error.message}" for one in done.errors]
        for beyond, (parent, chunks) in batch.ends.items():
            if beyond in known:
                counts.deleted += self._shorten(parent, chunks)
        return counts

    def _shorten(self, parent: str, chunks: int) -> int:
        """Delete the chunks that `parent` no longer has; they are numbered without a gap."""
        there: list[str | int] = []
        while len(there) % _PROBED == 0:
            first = chunks + len(there)
            asked = [f"{parent}#{number}" for number in range(first, first + _PROBED)]
            found = [one.id for one in self._collection.get(asked, with_payload=False, with_text=False)]
            if not found:
                break
            there += found
        # The last ones first: a run that is cut off here leaves no gap, behind which the rest wouldn't be found.
        return self._collection.delete(there[::-1], wait=False)


def _hash(text: str | None, payload: Mapping[str, Any], vector: Any) -> str:
    content = json.dumps([text, payload], ensure_ascii=True, sort_keys=True, default=str).encode()
    if vector is not None:
        content += _bytes_of(vector)
    return hashlib.blake2b(content, digest_size=16).hexdigest()


def _bytes_of(vector: Any) -> bytes:
    try:
        return np.asarray(vector, "<f4").tobytes()
    except (ValueError, TypeError, OverflowError):  # the client refuses it
        return b""
