"""Texts over a limit of tokens to chunks that keep it, so that nothing is cut off.

Rules:

1. Every character that isn't blank is in a chunk; chunks stand in the order of the text.
2. A chunk ends at a sentence where it can, else at a clause, a word, a character as readers see it.
3. What counts is how many tokens a chunk has when the model sees it alone, prompt and special tokens included: the sum
   over its sentences is an estimate. Each chunk is tokenised as it will be sent; one over the limit is halved.
4. The text is tokenised once by sentences and once by chunks, overlaps included: three times its length at most.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from tokenizers import Encoding

from nearfield_server.encoder.sentences import character_border, clause_borders, sentence_borders, word_borders
from nearfield_server.types import IdArray, Tokens

__all__ = ["ChunkLimits", "ChunkSpan", "divide"]

# Shorter ones, in code points, go with the next: a text of "! ! !" has no hundred thousand sentences.
_SHORTEST_SENTENCE = 6


@dataclass(frozen=True, slots=True)
class ChunkLimits:
    """In tokens: `max_tokens` of a chunk in all, `room` of them for the text itself, `overlap` of those repeated."""

    max_tokens: int
    room: int
    overlap: int


@dataclass(frozen=True, slots=True)
class ChunkSpan:
    """Text from `start` to `end`, in code points, and what the model sees of it."""

    start: int
    end: int
    tokens: Tokens


@dataclass(frozen=True, slots=True)
class _Part:
    """A sentence or a part of one, with as many tokens as `starts` has: where each of them starts."""

    start: int
    end: int
    starts: IdArray


def divide(
    text: str,
    limits: ChunkLimits,
    encode: Callable[[Sequence[str]], Sequence[Encoding]],
    finish: Callable[[Sequence[str]], Sequence[Tokens]],
) -> list[ChunkSpan]:
    """Give the chunks of `text`, at least one.

    Args:
        text: of any length.
        limits: `room` is 1 or more, `overlap` at most half of it.
        encode: tokens with offsets in code points, without special tokens.
        finish: what the model sees; over its own limit it may be cut, and marked so.

    Raises:
        ValueError: a single code point has more tokens than fit.
    """
    parts = list(_parts(text, limits.room, encode))
    spans = list(_packed(text, parts, limits)) or [(0, len(text))]
    if len(spans) == 1:
        spans = [(0, len(text))]
    return _checked(text, spans, limits, finish)


def _parts(text: str, room: int, encode: Callable[[Sequence[str]], Sequence[Encoding]]) -> Iterator[_Part]:
    """Divide into sentences, and those of more than `room` tokens further."""
    borders = [0]
    for border in sentence_borders(text):
        if border - borders[-1] >= _SHORTEST_SENTENCE:
            borders.append(border)
    borders.append(len(text))
    sentences = [text[start:end] for start, end in pairwise(borders)]
    for start, sentence, encoding in zip(borders, sentences, encode(sentences), strict=False):
        starts = np.array([first for first, _ in encoding.offsets], np.int64)
        # Normalisers may reorder marks; a cut must not go back.
        starts = np.maximum.accumulate(starts) if len(starts) else starts
        cuts = [0, *(_cuts(sentence, starts, room) if len(starts) > room else ()), len(sentence)]
        edges = np.searchsorted(starts, cuts)
        edges[-1] = len(starts)
        for index in range(len(cuts) - 1):
            own = starts[edges[index] : edges[index + 1]]
            yield _Part(start + cuts[index], start + cuts[index + 1], own + start)


def _cuts(sentence: str, starts: IdArray, room: int) -> Iterator[int]:
    """Give where to cut a sentence, so that each part has `room` tokens at most."""
    clauses, words = clause_borders(sentence), word_borders(sentence)
    done = first = 0
    while len(starts) - first > room:
        most = int(starts[first + room])
        half = (done + most) // 2
        cut = _last(clauses, half, most) or _last(words, done, most) or character_border(sentence, most)
        if cut <= done:
            cut = max(most, done + 1)
        if cut >= len(sentence):
            return
        yield cut
        done, first = cut, max(first + 1, int(np.searchsorted(starts, cut)))


def _packed(text: str, parts: Sequence[_Part], limits: ChunkLimits) -> Iterator[tuple[int, int]]:
    """Fill chunks with parts in order, each beginning with the end of the one before, blanks at the ends left out."""
    index, begin, used = 0, 0, 0
    while index < len(parts):
        begin, used = (parts[index].start, 0) if not index else _lead(text, parts, index, limits)
        last = index
        used += len(parts[index].starts)
        while last + 1 < len(parts) and used + len(parts[last + 1].starts) <= limits.room:
            last += 1
            used += len(parts[last].starts)
        span = _trimmed(text, begin, parts[last].end)
        if span[0] < span[1]:
            yield span
        index = last + 1


def _lead(text: str, parts: Sequence[_Part], index: int, limits: ChunkLimits) -> tuple[int, int]:
    """Give where the chunk whose first new part is `index` begins, and the tokens of what it repeats."""
    most = min(limits.overlap, limits.room - len(parts[index].starts))
    first, used = index, 0
    while first > 0 and used + len(parts[first - 1].starts) <= most:
        first -= 1
        used += len(parts[first].starts)
    begin = parts[first].start
    if first < index or most <= 0:
        return begin, used
    # No whole sentence fits: the last words of one.
    before = parts[index - 1]
    earliest = int(before.starts[len(before.starts) - most]) - before.start
    sentence = text[before.start : before.end]
    words = word_borders(sentence)
    at = bisect_left(words, earliest)
    if at and sentence[words[at - 1] : earliest].isspace():
        at -= 1
    begin = before.start + words[at] if at < len(words) else before.end
    return begin, len(before.starts) - int(np.searchsorted(before.starts, begin))


def _checked(
    text: str,
    spans: list[tuple[int, int]],
    limits: ChunkLimits,
    finish: Callable[[Sequence[str]], Sequence[Tokens]],
) -> list[ChunkSpan]:
    """Tokenise each span as it will be sent; halve those over the limit until none is."""
    done: list[ChunkSpan] = []
    while spans:
        over = []
        for (start, end), tokens in zip(spans, finish([text[start:end] for start, end in spans]), strict=True):
            if len(tokens.ids) <= limits.max_tokens and not tokens.truncated:
                done.append(ChunkSpan(start, end, tokens))
            else:
                over += _halves(text, start, end)
        spans = over
    # The first half of a chunk may be all overlap: it says nothing that the chunk before doesn't.
    kept: list[ChunkSpan] = []
    for one in sorted(done, key=lambda one: (one.start, one.end)):
        if not kept or one.end > kept[-1].end:
            kept.append(one)
    return kept


def _halves(text: str, start: int, end: int) -> list[tuple[int, int]]:
    if end - start < len("ab"):
        raise ValueError("a single character has more tokens than fit")
    part = text[start:end]
    middle = len(part) // 2
    cut = _last(word_borders(part), middle // 2, middle) or character_border(part, middle) or middle
    return [
        span for span in (_trimmed(text, start, start + cut), _trimmed(text, start + cut, end)) if span[0] < span[1]
    ]


def _last(borders: Sequence[int], above: int, most: int) -> int:
    """Give the last border over `above` and up to `most`; 0: there is none."""
    at = bisect_right(borders, most)
    return borders[at - 1] if at and borders[at - 1] > above else 0


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - len(part) + len(part.rstrip())
