"""Points into a collection, a batch at a time: what is there already, by its hash, is not sent again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from nearfield import Collection

__all__ = ["HASH", "Counts", "Writer"]

HASH = "hash"
_BATCH = 128


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
        self._batch: dict[str | int, tuple[str, dict[str, Any]]] = {}

    def add(self, place: str, id_: str | int, text: str | None, payload: Mapping[str, Any], vector: Any = None) -> None:
        """Take a point; `place` is for people. Without a text it has only its vector."""
        if id_ in self._batch:
            self.flush()  # the last of several with one id counts
        row = {**payload, "id": id_, HASH: _hash(text, payload, vector)}
        if text is not None:
            row["text"] = text
        if self._vectors:
            row["vector"] = vector
        self._batch[id_] = place, row
        if len(self._batch) >= _BATCH:
            self.flush()

    def fail(self, problem: str) -> None:
        """Note a row that can't be a point."""
        self.counts.errors.append(problem)

    def flush(self) -> None:
        """Send what is new or has changed."""
        if not self._batch:
            return
        batch, self._batch = self._batch, {}
        there = self._collection.get(list(batch), fields=[HASH], with_text=False)
        known = {one.id: one.payload.get(HASH) for one in there}
        fresh = [(place, row) for id_, (place, row) in batch.items() if known.get(id_) != row[HASH]]
        self.counts.unchanged += len(batch) - len(fresh)
        if fresh:
            vector = "vector" if self._vectors else None
            rows = [row for _, row in fresh]
            done = self._collection.upsert(rows, vector=vector, on_error="collect", wait=False, batch_size=_BATCH)
            self.counts.stored += done.stored
            self.counts.errors += [f"{fresh[one.row][0]}: {one.error.message}" for one in done.errors]
        self._on_progress(self.counts.seen)


def _hash(text: str | None, payload: Mapping[str, Any], vector: Any) -> str:
    content = json.dumps([text, payload], ensure_ascii=True, sort_keys=True, default=str).encode()
    if vector is not None:
        content += json.dumps(vector, default=float).encode()
    return hashlib.blake2b(content, digest_size=16).hexdigest()
