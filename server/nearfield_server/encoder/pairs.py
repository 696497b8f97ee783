"""Two texts to one sequence, as tokenizers put pairs together and cut them ("longest first").

The library does both in one step on whole texts. Here each text is tokenised once, however many pairs it stands in, and
no more of it than needed; a test holds both ways equal. Where both texts are far over the limit, which of them is the
longer one, and so gets an odd token, is estimated from the part that was tokenised.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from tokenizers import Encoding, Tokenizer

from nearfield_server.types import Tokens

__all__ = ["OwnTokens", "PairTemplate"]


@dataclass(frozen=True, slots=True)
class OwnTokens:
    """The tokens of one text without special ones: all if `whole`, else the first ones; `count` of all, estimated."""

    ids: list[int]
    count: int
    whole: bool


@dataclass(frozen=True, slots=True)
class _Part:
    """Special tokens at one place of the template, and their types."""

    ids: list[int]
    types: list[int]


class PairTemplate:
    """What a tokenizer puts before, between and behind two texts."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        """Learn it from a pair."""
        probe: Encoding = tokenizer.encode_batch([("a", "a")])[0]
        sequences = probe.sequence_ids
        first = [at for at, one in enumerate(sequences) if one == 0]
        second = [at for at, one in enumerate(sequences) if one == 1]
        # A tokenizer without a template for pairs puts one text behind the other.
        begin, end = (first[0], first[-1] + 1) if first else (0, 0)
        again, last = (second[0], second[-1] + 1) if second else (len(sequences), len(sequences))
        self._head, self._middle, self._tail = (
            _Part(probe.ids[start:stop], probe.type_ids[start:stop])
            for start, stop in ((0, begin), (end, again), (last, len(sequences)))
        )
        self._types = (probe.type_ids[begin] if first else 0, probe.type_ids[again] if second else 0)
        self.specials = len(self._head.ids) + len(self._middle.ids) + len(self._tail.ids)

    def join(self, first: OwnTokens, second: OwnTokens, limit: int) -> Tokens:
        """Give the sequence of two texts, of at most `limit` tokens."""
        kept = _shares(first.count, second.count, max(0, limit - self.specials))
        ids = self._around(first.ids[: kept[0]], second.ids[: kept[1]], [one.ids for one in self._parts])
        texts = ([self._types[0]] * min(kept[0], len(first.ids)), [self._types[1]] * min(kept[1], len(second.ids)))
        types = self._around(*texts, [one.types for one in self._parts])
        cut = kept != (first.count, second.count)
        return Tokens(np.array(ids, np.int64), truncated=cut, type_ids=np.array(types, np.int64))

    @property
    def _parts(self) -> tuple[_Part, _Part, _Part]:
        return self._head, self._middle, self._tail

    @staticmethod
    def _around(first: list[int], second: list[int], parts: Sequence[list[int]]) -> list[int]:
        head, middle, tail = parts
        return [*head, *first, *middle, *second, *tail]


def _shares(first: int, second: int, room: int) -> tuple[int, int]:
    """Say how many tokens of each text stay, as the library's strategy "longest_first" does."""
    if first + second <= room:
        return first, second
    short, long = sorted((first, second))
    long = short if short > room else max(short, room - short)
    if short + long > room:
        short = room // 2
        long = short + room % 2
    return (long, short) if first > second else (short, long)
