"""Which rows go: verdicts in some bytes a row, and what is kept of each group."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nearfield import DuplicateVerdict

__all__ = ["Decisions", "Removed"]

_KINDS = ("unique", "exact", "near", "failed")
_STORED = -1
"""Stands for a point of the collection, which `points` names."""


@dataclass(frozen=True, slots=True)
class Removed:
    """Why a row went: `of` is the row that is kept instead, or a point. Similarity is that to the first of the group."""

    why: str
    of: int | str
    in_collection: bool
    similarity: float


@dataclass(slots=True)
class Decisions:
    """What was found about rows, in their order; `lengths` of their texts, where the longest are kept."""

    keep_longest: bool = False
    kinds: array[int] = field(default_factory=lambda: array("b"))
    of: array[int] = field(default_factory=lambda: array("q"))
    similarities: array[float] = field(default_factory=lambda: array("f"))
    lengths: array[int] = field(default_factory=lambda: array("q"))
    points: dict[int, int | str] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)
    _kept: dict[int, int] = field(default_factory=dict)

    def __len__(self) -> int:
        """How many rows were looked at."""
        return len(self.kinds)

    def add(self, verdict: DuplicateVerdict) -> None:
        """Take the verdict on the next row."""
        row = len(self.kinds)
        self.kinds.append(_KINDS.index(verdict.kind or "failed"))
        self.similarities.append(verdict.similarity)
        if verdict.error is not None:
            self.failed[row] = str(verdict.error)
        is_duplicate = verdict.kind in {"exact", "near"}
        if is_duplicate and verdict.in_collection and verdict.of is not None:
            self.points[row] = verdict.of
        self.of.append(
            verdict.of if is_duplicate and not verdict.in_collection and isinstance(verdict.of, int) else _STORED
        )

    def settle(self) -> None:
        """Choose the row to keep of each group, when all verdicts are there."""
        if not self.keep_longest:
            return
        for row, first in enumerate(self.of):
            if first != _STORED and self.lengths[row] > self.lengths[self._kept.get(first, first)]:
                self._kept[first] = row

    def removed(self, row: int) -> Removed | None:
        """Tell why a row goes, `None` where it stays. Rows that failed stay: nothing is known about them."""
        kind, similarity = _KINDS[self.kinds[row]], self.similarities[row]
        if (point := self.points.get(row)) is not None:
            return Removed(kind, point, in_collection=True, similarity=similarity)
        first = self.of[row] if self.of[row] != _STORED else row
        kept = self._kept.get(first, first)
        if kept == row:
            return None
        if first == row:
            # The first of its group goes because of a longer one, which says how alike they are.
            kind, similarity = _KINDS[self.kinds[kept]], self.similarities[kept]
        return Removed(kind, kept, in_collection=False, similarity=similarity)

    def counts(self) -> dict[str, int]:
        """Give how many rows there are of each kind."""
        return {kind: self.kinds.count(at) for at, kind in enumerate(_KINDS)}
