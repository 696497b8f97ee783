"""Jobs whose results are vectors: Embed, EmbedSparse, EmbedMulti."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from nearfield import _convert, _methods, _split
from nearfield._convert_vectors import Embedded, EmbedForm, embed_form, embedded_of, multi_of, sparse_of
from nearfield._errors import Unavailable
from nearfield._inputs import is_single, items_of, one_or_many
from nearfield._jobs import RangeJob, one_source
from nearfield._model import Model
from nearfield._options import MultiOptions, OutputOptions, SparseOptions
from nearfield._types import Array, Chunk, EmbeddedChunks, EmbeddedOutputs, EmbedResult
from nearfield._vectors import MultiVectors, SparseVectors
from nearfield.v1 import embed_pb2

__all__ = ["EmbedJob", "MultiJob", "SparseJob", "embed_size"]


def embed_size(model: Model, form: EmbedForm, dimensions: int | None) -> _split.ReplySize:
    """Bound the reply to Embed."""
    size = _split.ReplySize()
    if form.dense:
        size += _split.dense_size(model, dimensions, form.rows.output_dtype)
    if form.sparse:
        size += _split.sparse_size(model)
    if form.multi:
        size += _split.multi_size(model, None, "float32")
    return size


class EmbedJob(RangeJob[tuple[Embedded, embed_pb2.EmbedResponse]]):
    """Inputs and how to embed them, in; an `EmbedResult`, out."""

    method = _methods.EMBED

    def __init__(self, inputs: object, options: OutputOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        fields = _convert.option_fields(options, OutputOptions)
        super().__init__(items_of(one_or_many(inputs)), fields)
        self._is_plain = not (options.get("chunking") or options.get("outputs"))
        self._is_one_row = self._is_plain and is_single(inputs)
        self._dimensions = options.get("dimensions")
        self._form = embed_form(options)
        self._model: Model

    def parts(self, model: Model) -> list[range]:
        """Cut; also learns the width of an empty result. Raises Unavailable when that isn't known yet."""
        if not self._items and not model.dimensions:
            raise Unavailable(f"model {model.name} is {model.state}: its width isn't known yet")
        self._model = model
        size = embed_size(model, self._form, self._dimensions)
        return self._cut(_split.model_budget(model, size, self._form.chunking))

    def request(self, part: range) -> embed_pb2.EmbedRequest:
        """Make one part's request."""
        return embed_pb2.EmbedRequest(inputs=self._inputs(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.EmbedResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        embedded = embedded_of(reply, len(part), self._form)
        for taken in ("embeddings", "sparse", "multi"):
            reply.ClearField(taken)  # `embedded` has them: not to be held twice
        self._keep(part, (embedded, reply))

    def value(self) -> Array | EmbeddedChunks | EmbeddedOutputs:
        """Give what `embed` returns: the vectors alone, unless chunks or other outputs were asked for."""
        result = self.result()
        if self._is_plain:
            return result.embeddings
        if self._form.chunking is not None:
            return EmbeddedChunks(vectors=result.embeddings, chunks=result.chunks)
        dense = result.embeddings if self._form.dense else None
        return EmbeddedOutputs(dense=dense, sparse=result.sparse, multi=result.multi)

    def result(self) -> EmbedResult:
        """Put the parts together. Raises Aborted when the model was exchanged between two of them."""
        kept = self._in_order()
        parts, replies = [one for _, (one, _) in kept], [reply for _, (_, reply) in kept]
        one_source([part.source for part in parts])
        vectors = self._rows(parts)
        return EmbedResult(
            embeddings=vectors[0] if self._is_one_row else vectors,
            token_counts=np.concatenate([np.empty(0, np.int64), *(part.token_counts for part in parts)]),
            truncated=np.concatenate([np.empty(0, np.bool_), *(part.truncated for part in parts)]),
            no_tokens=_no_tokens({start: reply for start, (_, reply) in kept}),
            timings=_convert.timings_of(replies),
            quantization=_convert.quantization_of(replies[0]) if replies else None,
            model=parts[0].source[0] if parts else self._model.name,
            sparse=self._sparse([part.sparse for part in parts if part.sparse is not None]),
            multi=self._multi([part.multi for part in parts if part.multi is not None]),
            chunks=tuple(_moved(chunk, start) for start, (part, _) in kept for chunk in part.chunks),
            cached_rows=sum(reply.cached_rows for reply in replies),
        )

    def _rows(self, parts: list[Embedded]) -> Array:
        """Copy the rows of all parts into one matrix, which is writable."""
        width = 0
        if self._form.dense:
            width = _split.width_of(self._dimensions or self._model.dimensions, self._form.rows.output_dtype)
        count, width = sum(len(part.rows) for part in parts), parts[0].source[1] if parts else width
        vectors = np.empty((count, width), _convert.NUMPY_DTYPES[self._form.rows.output_dtype])
        at = 0
        for part in parts:
            vectors[at : at + len(part.rows)] = part.rows
            at += len(part.rows)
        return vectors

    def _sparse(self, parts: list[SparseVectors]) -> SparseVectors | None:
        if self._form.sparse:
            return SparseVectors.joined(parts) if parts else _no_sparse(self._model, terms=False)
        return None

    def _multi(self, parts: list[MultiVectors]) -> MultiVectors | None:
        if self._form.multi:
            return MultiVectors.joined(parts) if parts else _no_multi(self._model, None, "float32")
        return None


def _moved(chunk: Chunk, start: int) -> Chunk:
    return Chunk(input_index=chunk.input_index + start, start=chunk.start, end=chunk.end, token_count=chunk.token_count)


def _no_tokens(replies: Mapping[int, embed_pb2.EmbedResponse]) -> tuple[int, ...]:
    reason = embed_pb2.INPUT_WARNING_REASON_NO_TOKENS
    return tuple(
        start + warning.index
        for start, reply in replies.items()
        for warning in reply.warnings
        if warning.reason == reason
    )


class SparseJob(RangeJob[SparseVectors]):
    """Inputs in, sparse vectors out."""

    method = _methods.EMBED_SPARSE

    def __init__(self, inputs: object, options: SparseOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        super().__init__(items_of(one_or_many(inputs)), _convert.option_fields(options, SparseOptions))
        self._max_terms = options.get("max_terms")
        self._return_terms = options.get("return_terms", False)
        self._model: Model

    def parts(self, model: Model) -> list[range]:
        """Cut."""
        self._model = model
        size = _split.sparse_size(model, self._max_terms, return_terms=self._return_terms)
        return self._cut(_split.model_budget(model, size))

    def request(self, part: range) -> embed_pb2.EmbedSparseRequest:
        """Make one part's request."""
        return embed_pb2.EmbedSparseRequest(inputs=self._inputs(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.EmbedSparseResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        terms = reply.terms if self._return_terms else None
        self._keep(part, sparse_of(reply, reply.embeddings, len(part), terms))

    def result(self) -> SparseVectors:
        """Put the parts together. Raises Aborted when the model was exchanged between two of them."""
        parts = [part for _, part in self._in_order()]
        one_source([(part.model, part.width) for part in parts])
        return SparseVectors.joined(parts) if parts else _no_sparse(self._model, terms=self._return_terms)


class MultiJob(RangeJob[MultiVectors]):
    """Inputs in, a vector per token out."""

    method = _methods.EMBED_MULTI

    def __init__(self, inputs: object, options: MultiOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        super().__init__(items_of(one_or_many(inputs)), _convert.option_fields(options, MultiOptions))
        self._form = _convert.row_form(options)
        self._dimensions = options.get("dimensions")
        self._model: Model

    def parts(self, model: Model) -> list[range]:
        """Cut."""
        self._model = model
        return self._cut(
            _split.model_budget(model, _split.multi_size(model, self._dimensions, self._form.output_dtype))
        )

    def request(self, part: range) -> embed_pb2.EmbedMultiRequest:
        """Make one part's request."""
        return embed_pb2.EmbedMultiRequest(inputs=self._inputs(part), **self._fields)

    def accept(self, part: range, reply: embed_pb2.EmbedMultiResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        vectors = multi_of(reply, reply.embeddings, len(part), self._form)
        self._keep(part, replace(vectors, quantization=_convert.quantization_of(reply)))

    def result(self) -> MultiVectors:
        """Put the parts together. Raises Aborted when the model was exchanged between two of them."""
        parts = [part for _, part in self._in_order()]
        one_source([(part.model, part.vectors.shape[1]) for part in parts])
        return (
            MultiVectors.joined(parts) if parts else _no_multi(self._model, self._dimensions, self._form.output_dtype)
        )


def _no_sparse(model: Model, *, terms: bool) -> SparseVectors:
    return SparseVectors(
        indptr=np.zeros(1, np.int64),
        indices=np.empty(0, np.int32),
        values=np.empty(0, np.float32),
        width=model.vocab_size,
        terms=() if terms else None,
        token_counts=np.empty(0, np.int64),
        truncated=np.empty(0, np.bool_),
        model=model.name,
    )


def _no_multi(model: Model, dimensions: int | None, output_dtype: str) -> MultiVectors:
    width = _split.width_of(dimensions or model.dimensions, output_dtype)
    return MultiVectors(
        vectors=np.empty((0, width), _convert.NUMPY_DTYPES[output_dtype]),
        offsets=np.zeros(1, np.int64),
        token_ids=np.empty(0, np.int32),
        token_counts=np.empty(0, np.int64),
        truncated=np.empty(0, np.bool_),
        model=model.name,
    )
