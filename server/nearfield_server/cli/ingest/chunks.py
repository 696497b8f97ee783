"""A document cut into chunks of at most so many tokens, at headings and sentences.

Rules:
- No chunk crosses a heading: what stands under one is a passage of its own.
- A chunk ends at a sentence where it can; a sentence that alone is too long is cut between tokens.
- Overlap repeats whole sentences from the end of the chunk before, under the same heading.
- Tokens are counted a sentence each, by the server's tokenizer, in one Tokenize call a document: sentences that are
  counted alone have at least as many tokens as together, but for rare joins at their borders.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from nearfield_server.cli.ingest.documents import Document
from nearfield_server.encoder.sentences import sentence_borders

__all__ = ["Chunk", "TokenStarts", "cut"]

TokenStarts = Callable[[Sequence[str]], Sequence[Sequence[int]]]
"""For each text, where each of its tokens starts, in code points."""


@dataclass(frozen=True, slots=True)
class Chunk:
    """Text from `start` to `end`, in code points of the document, and the heading that it stands under."""

    start: int
    end: int
    heading: str


@dataclass(frozen=True, slots=True)
class _Piece:
    start: int
    end: int
    tokens: int


def cut(document: Document, max_tokens: int, overlap: int, starts: TokenStarts) -> list[Chunk]:
    """Give the chunks of a document, none for a blank one."""
    sections = list(_sections(document))
    sentences = [_sentences(document.text, start, end) for start, end, _ in sections]
    flat = [one for part in sentences for one in part]
    tokens = dict(zip(flat, starts([document.text[start:end] for start, end in flat]), strict=True)) if flat else {}
    chunks = []
    for (_, _, heading), part in zip(sections, sentences, strict=True):
        pieces = [piece for one in part for piece in _pieces(one, tokens[one], max_tokens)]
        chunks += [
            Chunk(*_trimmed(document.text, start, end), heading) for start, end in _packed(pieces, max_tokens, overlap)
        ]
    return chunks


def _sections(document: Document) -> Iterator[tuple[int, int, str]]:
    borders = [(0, ""), *((one.start, one.title) for one in document.headings), (len(document.text), "")]
    for (start, title), (end, _) in pairwise(borders):
        if start < end:
            yield start, end, title


def _sentences(text: str, start: int, end: int) -> list[tuple[int, int]]:
    part = text[start:end]
    borders = [0, *sentence_borders(part), len(part)]
    return [(start + a, start + b) for a, b in pairwise(borders) if part[a:b].strip()]


def _pieces(span: tuple[int, int], starts: Sequence[int], max_tokens: int) -> Iterator[_Piece]:
    """Give a sentence, in parts where it alone is too long."""
    start, end = span
    borders = [start, *(start + one for one in starts[max_tokens::max_tokens]), end]
    left = len(starts)
    for a, b in pairwise(borders):
        if a < b:
            yield _Piece(a, b, min(left, max_tokens))
        left -= max_tokens


def _packed(pieces: Sequence[_Piece], max_tokens: int, overlap: int) -> Iterator[tuple[int, int]]:
    open_: list[_Piece] = []
    for piece in pieces:
        if open_ and sum(one.tokens for one in open_) + piece.tokens > max_tokens:
            yield open_[0].start, open_[-1].end
            open_ = _repeated(open_, min(overlap, max_tokens - piece.tokens))
        open_.append(piece)
    if open_:
        yield open_[0].start, open_[-1].end


def _repeated(pieces: Sequence[_Piece], room: int) -> list[_Piece]:
    kept: list[_Piece] = []
    for piece in reversed(pieces[1:]):
        room -= piece.tokens
        if room < 0:
            break
        kept.insert(0, piece)
    return kept


def _trimmed(text: str, start: int, end: int) -> tuple[int, int]:
    part = text[start:end]
    return start + len(part) - len(part.lstrip()), end - (len(part) - len(part.rstrip()))
