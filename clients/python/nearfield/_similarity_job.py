"""Similarity of lists of any length: cut into blocks of sources and targets that the limits allow, one matrix again."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearfield import _convert, _methods, _split
from nearfield._errors import InternalError, NearfieldError, invalid, remapped
from nearfield._inputs import Item, items_of, one_or_many
from nearfield._jobs import one_source
from nearfield._model import Model
from nearfield._options import SimilarityOptions
from nearfield._types import Array
from nearfield.v1 import embed_pb2

__all__ = ["Block", "SimilarityJob"]

_SCORE_BYTES = 4


@dataclass(frozen=True, slots=True)
class Block:
    """Some rows and columns of the matrix; `cols` is None for rows that are compared among themselves."""

    rows: range
    cols: range | None


class SimilarityJob:
    """Two lists in, or one, and the score of each pair out.

    Of one list compared with itself only the blocks on and above the diagonal are asked for: all metrics are symmetric.
    """

    method = _methods.SIMILARITY

    def __init__(self, sources: object, targets: object, options: SimilarityOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        self._fields = _convert.option_fields(options, SimilarityOptions)
        self._sources = items_of(one_or_many(sources), "sources")
        if not self._sources:
            raise invalid("sources", "none; give one at least")
        self._is_symmetric = targets is None
        self._targets = self._sources if targets is None else items_of(one_or_many(targets), "targets")
        if not self._targets:
            raise invalid("targets", "none; leave it out to compare the sources among themselves")
        if self._is_symmetric:
            self._fields["target_input_type"] = self._fields["source_input_type"]
        self._kept: dict[tuple[int, int], tuple[Block, embed_pb2.SimilarityResponse]] = {}
        self._expected = -1

    def parts(self, model: Model) -> list[Block]:
        """Cut: nothing where all fits, else one side where the other is short, else both."""
        self._kept.clear()
        for name, items in (("sources", self._sources), ("targets", self._targets)):
            for index, item in enumerate(items):
                item.check_size(f"{name}[{index}]", model.limits.max_image_bytes)
        reply_bytes = model.limits.max_response_bytes or math.inf
        whole = replace(_split.model_budget(model, _split.ReplySize()), reply_bytes=math.inf)
        blocks = list(self._blocks(whole, max(1.0, (reply_bytes - 1024) // _SCORE_BYTES)))
        self._expected = len(blocks)
        return blocks

    def _blocks(self, whole: _split.Budget, most_scores: float) -> Iterator[Block]:
        rows, cols = len(self._sources), len(self._targets)
        everything = self._sources if self._is_symmetric else [*self._sources, *self._targets]
        if _is_one(everything, whole) and rows * cols <= most_scores:
            yield Block(range(rows), None if self._is_symmetric else range(cols))
            return
        side = math.inf if math.isinf(most_scores) else math.isqrt(int(most_scores))
        half = _within(_scaled(whole, 2), side)
        if not self._is_symmetric:
            for short, long, flipped in ((self._sources, self._targets, False), (self._targets, self._sources, True)):
                if _is_one(short, half):
                    rest = _within(_left(whole, short), most_scores // len(short))
                    for part in _split.split(long, rest):
                        yield Block(part, range(cols)) if flipped else Block(range(rows), part)
                    return
        row_parts, col_parts = list(_split.split(self._sources, half)), list(_split.split(self._targets, half))
        for at, part in enumerate(row_parts):
            if self._is_symmetric:
                yield Block(part, None)
            yield from (Block(part, other) for other in col_parts[at + 1 if self._is_symmetric else 0 :])

    def request(self, part: Block) -> embed_pb2.SimilarityRequest:
        """Make one block's request."""
        cols = part.cols or range(0)
        return embed_pb2.SimilarityRequest(
            sources=[item.message() for item in self._sources[part.rows.start : part.rows.stop]],
            targets=[item.message() for item in self._targets[cols.start : cols.stop]],
            **self._fields,
        )

    def accept(self, part: Block, reply: embed_pb2.SimilarityResponse) -> None:
        """Check one block's reply. Raises InternalError."""
        cols = part.rows if part.cols is None else part.cols
        scores = _convert.matrix(reply.scores, len(part.rows), _convert.RowForm())
        if scores.shape[1] != len(cols):
            raise InternalError(f"the reply has {scores.shape[1]} columns, which doesn't fit the request")
        self._kept[part.rows.start, cols.start] = part, reply

    def located(self, part: Block, error: NearfieldError) -> NearfieldError:
        """Count in the caller's lists; of one list its blocks' columns are sources too."""
        cols = part.rows if part.cols is None else part.cols
        renamed = "sources" if self._is_symmetric else ""
        return remapped(error, {"sources": ("", part.rows), "targets": (renamed, cols)})

    def result(self) -> Array:
        """Put the blocks together, float32 [sources, targets]. Raises Aborted when the model was exchanged."""
        if len(self._kept) != self._expected:
            raise AssertionError("this is a bug: a result was asked for before every part was answered")
        one_source([(reply.model, reply.metric) for _, reply in self._kept.values()])
        scores = np.empty((len(self._sources), len(self._targets)), np.float32)
        for block, reply in self._kept.values():
            part = _convert.matrix(reply.scores, len(block.rows), _convert.RowForm())
            rows, cols = block.rows, block.rows if block.cols is None else block.cols
            scores[rows.start : rows.stop, cols.start : cols.stop] = part
            if self._is_symmetric and block.cols is not None:
                scores[cols.start : cols.stop, rows.start : rows.stop] = part.T
        return scores


def _is_one(items: Sequence[Item], budget: _split.Budget) -> bool:
    """Tell whether one request holds all of `items`."""
    return len(list(_split.split(items, budget))) == 1


def _scaled(whole: _split.Budget, parts: int) -> _split.Budget:
    return replace(
        whole, inputs=max(1, whole.inputs // parts), size_bytes=whole.size_bytes // parts, tokens=whole.tokens // parts
    )


def _left(whole: _split.Budget, taken: Sequence[Item]) -> _split.Budget:
    """Give what `taken` leaves of `whole`."""
    return replace(
        whole,
        inputs=max(1, whole.inputs - len(taken)),
        size_bytes=whole.size_bytes - sum(item.size_bytes for item in taken),
        tokens=whole.tokens - sum(whole.tokens_of(item) for item in taken),
    )


def _within(budget: _split.Budget, most_inputs: float) -> _split.Budget:
    return replace(budget, inputs=int(max(1, min(budget.inputs, most_inputs))))
