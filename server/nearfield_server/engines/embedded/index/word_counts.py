"""In how many points each word stands: what the IDF of BM25 is made of.

Edge could keep it, but goes on counting points that were deleted or replaced until they are built anew.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.embedded.exact_scores import idf
from nearfield_server.types import SparseRow

__all__ = ["WordCounts"]

_MOST_RECENT = 50_000  # words in the dictionary, of some 100 bytes; the arrays take 8


class WordCounts:
    """Counts of a shard, changed with it."""

    def __init__(self) -> None:
        """Count nothing."""
        self.points = 0
        """Points of the shard, with words or without."""
        self._words = np.zeros(0, np.uint32)  # ascending
        self._counts = np.zeros(0, np.uint32)
        self._recent: Counter[int] = Counter()  # what is to be added to them

    def take(self, ids: Iterable[npt.NDArray[np.uint32]]) -> None:
        """Count points that came in, by the ids of their words `[n]`; nothing for a point without words."""
        for words in ids:
            self.points += 1
            self._recent.update(words.tolist())
        if len(self._recent) > _MOST_RECENT:
            self._merge()

    def drop(self, ids: Iterable[npt.NDArray[np.uint32]]) -> None:
        """Count points that went, as they were taken."""
        for words in ids:
            self.points -= 1
            self._recent.subtract(words.tolist())

    def weighted(self, query: SparseRow) -> SparseRow:
        """Give the words of a query, their weights multiplied by their IDF."""
        factors = [idf(self.points, self._count(word)) for word in query.ids.tolist()]
        return SparseRow(query.ids, (query.weights * np.array(factors)).astype(np.float32))

    def save(self, path: Path) -> None:
        """Write the counts to a file."""
        self._merge()
        table = np.stack([self._words, self._counts])
        with path.open("wb") as file:
            np.save(file, np.concatenate([np.array([[0], [self.points]], np.uint32), table], axis=1))

    @classmethod
    def load(cls, path: Path) -> WordCounts:
        """Read what `save` wrote. Raises OSError, ValueError or IndexError."""
        table = np.load(path, allow_pickle=False)
        made = cls()
        made.points = int(table[1, 0])
        made._words, made._counts = table[0, 1:], table[1, 1:]
        return made

    def _count(self, word: int) -> int:
        place = int(np.searchsorted(self._words, word))
        there = place < len(self._words) and self._words[place] == word
        return (int(self._counts[place]) if there else 0) + self._recent[word]

    def _merge(self) -> None:
        """Move what is recent into the arrays, without the words that are gone."""
        recent = np.array(list(self._recent.items()), np.int64).reshape(-1, 2)
        words = np.concatenate([self._words.astype(np.int64), recent[:, 0]])
        counts = np.concatenate([self._counts.astype(np.int64), recent[:, 1]])
        every, places = np.unique(words, return_inverse=True)
        sums = np.zeros(len(every), np.int64)
        np.add.at(sums, places, counts)
        self._words, self._counts = every[sums > 0].astype(np.uint32), sums[sums > 0].astype(np.uint32)
        self._recent = Counter()
