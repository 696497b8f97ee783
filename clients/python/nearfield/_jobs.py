"""Calls that may need several requests: cut, asked in parts, put together again. No I/O: the clients do the asking.

A job's `accept` is called once per part, in any order and from any thread; `result` after all of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol, TypeVar

import numpy as np

from nearfield import _convert, _methods, _split
from nearfield._errors import Aborted, InternalError, Unavailable
from nearfield._inputs import Item, items_of, sequence_items, text_items
from nearfield._types import EmbedOptions, EmbedResult, Model, TokenizedText, TokenizeOptions
from nearfield.v1 import embed_pb2, types_pb2

__all__ = ["DetokenizeJob", "EmbedJob", "Job", "TokenizeJob"]

RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class Job(Protocol[RequestT, ReplyT]):
    """What a client needs to know of a call in parts; a part is the range of its inputs' positions."""

    @property
    def method(self) -> _methods.Method[RequestT, ReplyT]:
        """RPC to call for each part."""

    def parts(self, model: Model) -> list[range]:
        """Give the parts that `model`'s limits ask for, and begin anew."""

    def request(self, part: range) -> RequestT:
        """Make the request of one part."""

    def accept(self, part: range, reply: ReplyT) -> None:
        """Take the reply to one part. Raises InternalError when it doesn't fit."""


class EmbedJob:
    """Texts and how to embed them, in; an `EmbedResult`, out."""

    method = _methods.EMBED

    def __init__(self, texts: Iterable[object], options: EmbedOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        _convert.check_options(options, EmbedOptions)
        self._single = isinstance(texts, str)
        self._dimensions = options.get("dimensions")
        self._fields = _convert.option_fields(options)
        self._form = _convert.row_form(options)
        self._items = items_of([texts] if isinstance(texts, str) else texts)
        self._replies: dict[int, embed_pb2.EmbedResponse] = {}
        self._width = 0
        self._model_name = ""

    def parts(self, model: Model) -> list[range]:
        """Cut; also learns the width of an empty result. Raises Unavailable when that isn't known yet."""
        if not self._items and not model.dimensions:
            raise Unavailable(f"model {model.name} is {model.state}: its width isn't known yet")
        self._replies.clear()
        self._model_name = model.name
        self._width = _split.width_of(self._dimensions or model.dimensions, self._form.output_dtype)
        return list(_split.split(self._items, _split.embed_budget(model, self._dimensions, self._form.output_dtype)))

    def request(self, part: range) -> embed_pb2.EmbedRequest:
        """Make one part's request."""
        return _convert.embed_request(self._fields, self._items[part.start : part.stop])

    def accept(self, part: range, reply: embed_pb2.EmbedResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        _convert.matrix(reply.embeddings, len(part), self._form)
        if not len(reply.token_counts) == len(reply.truncated) == len(part):
            raise InternalError(f"the reply doesn't fit the request of {len(part)} inputs")
        self._replies[part.start] = reply

    def result(self) -> EmbedResult:
        """Put the parts together. Raises Aborted when the model was exchanged between two of them."""
        starts = sorted(self._replies)
        if sum(self._replies[start].embeddings.rows for start in starts) != len(self._items):
            raise AssertionError("this is a bug: a result was asked for before every part was answered")
        replies = [self._replies[start] for start in starts]
        if kinds := {(reply.model, reply.embeddings.cols) for reply in replies}:
            self._model_name, self._width = next(iter(kinds))
        if len(kinds) > 1:
            raise Aborted("the model was exchanged while the call ran in several parts: send it again")
        vectors = np.empty((len(self._items), self._width), _convert.NUMPY_DTYPES[self._form.output_dtype])
        for start, reply in zip(starts, replies, strict=True):
            rows = reply.embeddings.rows
            vectors[start : start + rows] = _convert.matrix(reply.embeddings, rows, self._form)
        counts = [count for reply in replies for count in reply.token_counts]
        cut = [flag for reply in replies for flag in reply.truncated]
        return EmbedResult(
            embeddings=vectors[0] if self._single else vectors,
            token_counts=np.array(counts, np.int64),
            truncated=np.array(cut, np.bool_),
            no_tokens=_no_tokens(starts, replies),
            timings=_convert.timings_of(replies),
            quantization=_convert.quantization_of(replies[0]) if replies else None,
            model=self._model_name,
        )


def _no_tokens(starts: list[int], replies: list[embed_pb2.EmbedResponse]) -> tuple[int, ...]:
    reason = embed_pb2.INPUT_WARNING_REASON_NO_TOKENS
    return tuple(
        start + warning.index
        for start, reply in zip(starts, replies, strict=True)
        for warning in reply.warnings
        if warning.reason == reason
    )


class _TextJob:
    """Shared by the jobs whose results are lists."""

    def __init__(self, items: list[Item], fields: dict[str, Any]) -> None:
        self._items = items
        self._fields = fields
        self._lists: dict[int, list[Any]] = {}

    def parts(self, model: Model) -> list[range]:
        """Cut by the limits for inputs and bytes."""
        self._lists.clear()
        return list(_split.split(self._items, _split.plain_budget(model.limits)))

    def _values(self, part: range) -> list[Any]:
        return [item.value for item in self._items[part.start : part.stop]]

    def _keep(self, part: range, values: list[Any]) -> None:
        if len(values) != len(part):
            raise InternalError(f"the reply has {len(values)} results for {len(part)} inputs")
        self._lists[part.start] = values

    def _joined(self) -> list[Any]:
        joined = [value for start in sorted(self._lists) for value in self._lists[start]]
        if len(joined) != len(self._items):
            raise AssertionError("this is a bug: a result was asked for before every part was answered")
        return joined


class TokenizeJob(_TextJob):
    """Texts in, their tokens out."""

    method = _methods.TOKENIZE

    def __init__(self, texts: Iterable[object], options: TokenizeOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument or TypeError."""
        _convert.check_options(options, TokenizeOptions)
        fields = {key: value for key, value in options.items() if key != "timeout"}
        super().__init__(text_items([texts] if isinstance(texts, str) else texts), fields)

    def request(self, part: range) -> embed_pb2.TokenizeRequest:
        """Make one part's request."""
        return embed_pb2.TokenizeRequest(texts=self._values(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.TokenizeResponse) -> None:
        """Take one part's reply. Raises InternalError."""
        self._keep(part, [_convert.tokenized_of(one) for one in reply.texts])

    def result(self) -> list[TokenizedText]:
        """Give one per text, in order."""
        return self._joined()


class DetokenizeJob(_TextJob):
    """Token ids in, texts out."""

    method = _methods.DETOKENIZE

    def __init__(self, sequences: Iterable[object], model: str, *, keep_special_tokens: bool) -> None:
        """Check everything that needs no server. Raises InvalidArgument or TypeError."""
        super().__init__(sequence_items(sequences), {"model": model, "keep_special_tokens": keep_special_tokens})

    def request(self, part: range) -> embed_pb2.DetokenizeRequest:
        """Make one part's request."""
        sequences = [types_pb2.TokenIds(ids=ids) for ids in self._values(part)]
        return embed_pb2.DetokenizeRequest(sequences=sequences, **self._fields)

    def accept(self, part: range, reply: embed_pb2.DetokenizeResponse) -> None:
        """Take one part's reply. Raises InternalError."""
        self._keep(part, list(reply.texts))

    def result(self) -> list[str]:
        """Give one per sequence, in order."""
        return self._joined()
