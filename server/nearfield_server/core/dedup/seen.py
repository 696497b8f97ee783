"""All that a stream has seen and holds. Decides item by item, in the order of the stream; knows no I/O.

Held are items that were unique, or all (`hold_all`). An item is compared with everything held, also with what came
before it in its own batch. Of several that are near enough the most similar counts, of equally similar ones the first.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from nearfield_server.core.dedup import lexical
from nearfield_server.core.dedup.index import NearIndex
from nearfield_server.core.dedup.lexical import LexicalTable, Words
from nearfield_server.core.dedup.nouns import Found, Kind, Reference
from nearfield_server.types import FloatRows

__all__ = ["Batch", "Seen", "agree", "better", "reaches"]

_ROUNDING = 1e-6
_WITH_WORDS = 16
"""Nearest items whose words are looked at."""
_ROOM = 1.5
"""Lists in cells grow ahead of what is in them."""
_ITEM_BYTES = 400
"""Key, slot and reference of an item."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Items side by side: unit rows, keys, texts, what they are called, and what was found in the collection."""

    rows: FloatRows
    keys: Sequence[bytes]
    texts: Sequence[str]
    references: Sequence[Reference]
    stored: Sequence[Found]


@dataclass(frozen=True, slots=True)
class _Item:
    """One item while it is decided upon: its row in the batch, and, with a lexical check, its words and their bands."""

    row: int
    words: Words | None
    bands: list[int]


class Seen:
    """What one stream holds; for one thread at a time."""

    def __init__(self, dimensions: int, *, hold_all: bool, lexical_check: bool) -> None:
        """Hold nothing yet."""
        self._hold_all = hold_all
        self._index = NearIndex(dimensions)
        self._dimensions = dimensions
        self._slots: dict[bytes, int] = {}
        self._references: list[Reference] = []
        self._table = LexicalTable() if lexical_check else None
        self._words: list[Words] = []
        self.unique = 0
        self.bytes = 0

    def bytes_of(self, batch: Batch) -> int:
        """Give the memory that is needed to hold all of a batch."""
        size = len(batch.keys) * (int(_ROOM * 4 * self._dimensions) + _ITEM_BYTES)
        size += sum(len(one.id) for one in batch.references if isinstance(one.id, str))
        if self._table is not None:
            # A shingle begins at each character.
            size += sum(lexical.BYTES_PER_TEXT + 4 * len(text) + _ITEM_BYTES for text in batch.texts)
        return size

    def decide(self, batch: Batch, threshold: float) -> list[Found]:
        """Tell what each item is, and hold what is to be held."""
        many = _WITH_WORDS if self._table is not None else 1
        similarities, slots = self._index.search(batch.rows, many)
        mutual = batch.rows @ batch.rows.T
        fresh: list[int] = []
        found = []
        for row, text in enumerate(batch.texts):
            words = lexical.words_of(text) if self._table is not None else None
            item = _Item(row, words, lexical.bands_of(words) if words is not None else [])
            near = [
                (float(one), int(slot)) for one, slot in zip(similarities[row], slots[row], strict=True) if slot >= 0
            ]
            near += self._in_batch(mutual[row, fresh], many)
            one = self._decided(batch, item, (mutual, fresh), near, threshold)
            found.append(one := better(batch.stored[row], one))
            self.unique += one.kind is Kind.UNIQUE
            if one.kind is Kind.UNIQUE or self._hold_all:
                self._hold(batch, item, len(self._index) + len(fresh))
                fresh.append(row)
        self._index.add(batch.rows[fresh])
        return found

    def _in_batch(self, own: FloatRows, many: int) -> list[tuple[float, int]]:
        """Give the nearest of the batch's items that are held, whose rows aren't in the index yet."""
        nearest = np.argsort(-own, kind="stable")[:many] if len(own) else ()
        return [(float(own[at]), len(self._index) + int(at)) for at in nearest]

    def _decided(
        self,
        batch: Batch,
        item: _Item,
        own: tuple[FloatRows, list[int]],
        near: list[tuple[float, int]],
        threshold: float,
    ) -> Found:
        if (slot := self._slots.get(batch.keys[item.row])) is not None:
            return self._found(Kind.EXACT, self._similarities(batch, item.row, own, [slot])[0])
        if self._table is not None:
            more = sorted(self._table.candidates(item.bands) - {slot for _, slot in near})
            near += self._similarities(batch, item.row, own, more)
        near.sort(key=lambda one: (-one[0], one[1]))
        for one in near:
            if item.words is None:
                if reaches(one[0], threshold):
                    return self._found(Kind.NEAR, one)
                break
            if agree(item.words, self._words[one[1]], one[0], threshold):
                return self._found(Kind.NEAR, one)
        return self._found(Kind.UNIQUE, near[0]) if near else Found(Kind.UNIQUE)

    def _similarities(
        self, batch: Batch, row: int, own: tuple[FloatRows, list[int]], slots: list[int]
    ) -> list[tuple[float, int]]:
        """Compare with certain items that are held, some of them perhaps of the batch itself."""
        mutual, fresh = own
        first = len(self._index)
        before = np.array([slot for slot in slots if slot < first], np.int64)
        scores = self._index.rows(before) @ batch.rows[row] if len(before) else ()
        known = dict(zip(before.tolist(), map(float, scores), strict=True))
        return [(known[one] if one < first else float(mutual[row, fresh[one - first]]), one) for one in slots]

    def _found(self, kind: Kind, near: tuple[float, int]) -> Found:
        return Found(kind, self._references[near[1]], min(1.0, near[0]))

    def _hold(self, batch: Batch, item: _Item, slot: int) -> None:
        self._slots.setdefault(batch.keys[item.row], slot)
        reference = batch.references[item.row]
        self._references.append(reference)
        self.bytes += int(_ROOM * 4 * self._dimensions) + _ITEM_BYTES
        self.bytes += len(reference.id) if isinstance(reference.id, str) else 0
        if self._table is not None and item.words is not None:
            self._table.add(item.bands, slot)
            self._words.append(item.words)
            self.bytes += lexical.BYTES_PER_TEXT + item.words.bytes


def reaches(similarity: float, threshold: float) -> bool:
    """Tell whether two items are near enough, but for rounding."""
    return similarity >= threshold - _ROUNDING


def agree(one: Words, other: Words, similarity: float, threshold: float) -> bool:
    """Tell whether both words and vectors of two items say that they are duplicates.

    Words that are very much alike make up for vectors that are a little less so.
    """
    if not reaches(similarity, threshold - lexical.SLACK) or one.contradicts(other):
        return False
    return one.jaccard(other) >= (lexical.AGREEING if reaches(similarity, threshold) else lexical.ALIKE)


_ORDER = {Kind.EXACT: 2, Kind.NEAR: 1, Kind.UNIQUE: 0}


def better(first: Found, other: Found) -> Found:
    """Give the one that says more: the same rather than near, near rather than unique, then the more similar."""
    rank, its = (_ORDER[first.kind], first.similarity), (_ORDER[other.kind], other.similarity)
    return other if first.of is None or its > rank else first
