"""Replies to plain vectors, each checked against what was asked for: a reply that doesn't fit is never a result."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import numpy.typing as npt

from nearfield._convert import RowForm, matrix, row_form
from nearfield._errors import InternalError
from nearfield._types import Array, Chunk, Chunking
from nearfield._vectors import MultiVectors, SparseVectors
from nearfield.v1 import embed_pb2, types_pb2

__all__ = ["EmbedForm", "Embedded", "embed_form", "embedded_of", "multi_of", "sparse_of"]

_LARGEST_INT32 = 2**31 - 1


@dataclass(frozen=True, slots=True)
class EmbedForm:
    """What a call of Embed asks for. `chunking` is None where texts aren't divided."""

    rows: RowForm
    dense: bool = True
    sparse: bool = False
    multi: bool = False
    chunking: Chunking | None = None

    @property
    def is_plain(self) -> bool:
        """Whether it is a vector per input and nothing else."""
        return self.chunking is None and not (self.sparse or self.multi)

    @property
    def is_per_chunk(self) -> bool:
        """Whether rows are those of chunks rather than of inputs."""
        return self.chunking is not None and self.chunking.pooling == "none"


def embed_form(options: Mapping[str, Any]) -> EmbedForm:
    """Give the form that `options`, checked before, ask for."""
    outputs = options.get("outputs") or ("dense",)
    return EmbedForm(
        row_form(options),
        dense="dense" in outputs,
        sparse="sparse" in outputs,
        multi="multi" in outputs,
        chunking=options.get("chunking"),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedded:
    """A reply to Embed, checked. `rows` is [n, width], or [n, 0] without dense vectors; n as in `EmbedResult`."""

    rows: Array
    token_counts: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    sparse: SparseVectors | None
    multi: MultiVectors | None
    chunks: tuple[Chunk, ...]
    source: tuple[str, int]
    """Model and width: parts of one result have the same."""

    def rows_of(self, index: int, *, per_chunk: bool) -> slice:
        """Give the rows of one input."""
        if not per_chunk:
            return slice(index, index + 1)
        owners = [chunk.input_index for chunk in self.chunks]
        return slice(owners.index(index), owners.index(index) + owners.count(index))


class _Reply(Protocol):
    @property
    def model(self) -> str: ...
    @property
    def token_counts(self) -> Sequence[int]: ...
    @property
    def truncated(self) -> Sequence[bool]: ...


def embedded_of(reply: embed_pb2.EmbedResponse, inputs: int, form: EmbedForm) -> Embedded:
    """Check the reply to a request of `inputs` inputs. Raises InternalError."""
    chunks = tuple(
        Chunk(input_index=one.input_index, start=one.start, end=one.end, token_count=one.token_count)
        for one in reply.chunks
    )
    owners = [chunk.input_index for chunk in chunks]
    if form.chunking is not None and (sorted(owners) != owners or set(owners) != set(range(inputs))):
        raise InternalError(f"the reply's chunks don't fit the request of {inputs} inputs")
    count = len(chunks) if form.is_per_chunk else inputs
    rows = matrix(reply.embeddings, count, form.rows) if form.dense else np.empty((count, 0), np.float32)
    counts, cut = _facts(reply, count)
    return Embedded(
        rows=rows,
        token_counts=counts,
        truncated=cut,
        sparse=sparse_of(reply, reply.sparse, count) if form.sparse else None,
        multi=multi_of(reply, reply.multi, count, RowForm()) if form.multi else None,
        chunks=chunks,
        source=(reply.model, rows.shape[1]),
    )


def sparse_of(
    reply: _Reply, weights: types_pb2.SparseMatrix, rows: int, terms: Sequence[str] | None = None
) -> SparseVectors:
    """Give a reply's sparse matrix. Raises InternalError when it isn't one of `rows` rows."""
    indptr = _offsets(weights.row_counts)
    total = int(indptr[-1])
    if len(weights.row_counts) != rows or not len(weights.indices) == len(weights.values) == 4 * total:
        raise InternalError(f"the reply's sparse matrix doesn't fit the request of {rows} inputs")
    if terms is not None and len(terms) != total:
        raise InternalError(f"the reply has {len(terms)} terms for {total} weights")
    ids = np.frombuffer(weights.indices, "<u4")
    if weights.cols > _LARGEST_INT32 or (total and int(ids.max()) >= weights.cols):
        raise InternalError("the reply's sparse matrix has ids beyond its vocabulary")
    counts, cut = _facts(reply, rows)
    return SparseVectors(
        indptr=indptr,
        indices=ids.astype(np.int32),
        values=np.frombuffer(weights.values, "<f4").copy(),
        width=weights.cols,
        terms=None if terms is None else tuple(terms),
        token_counts=counts,
        truncated=cut,
        model=reply.model,
    )


def multi_of(reply: _Reply, message: types_pb2.MultiMatrix, rows: int, form: RowForm) -> MultiVectors:
    """Give a reply's vectors of tokens. Raises InternalError when they aren't those of `rows` inputs."""
    offsets = _offsets(message.row_counts)
    total = int(offsets[-1])
    if len(message.row_counts) != rows or len(message.token_ids) != 4 * total:
        raise InternalError(f"the reply's vectors of tokens don't fit the request of {rows} inputs")
    counts, cut = _facts(reply, rows)
    return MultiVectors(
        vectors=matrix(message.vectors, total, form).copy(),
        offsets=offsets,
        token_ids=np.frombuffer(message.token_ids, "<u4").astype(np.int32),
        token_counts=counts,
        truncated=cut,
        model=reply.model,
    )


def _facts(reply: _Reply, rows: int) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.bool_]]:
    if not len(reply.token_counts) == len(reply.truncated) == rows:
        raise InternalError(f"the reply doesn't fit the request of {rows} inputs")
    return np.array(reply.token_counts, np.int64), np.array(reply.truncated, np.bool_)


def _offsets(counts: Sequence[int]) -> npt.NDArray[np.int64]:
    return np.concatenate([np.zeros(1, np.int64), np.cumsum(np.array(counts, np.int64), dtype=np.int64)])
