"""Raw rows to finished vectors, as the caller wants them."""

from __future__ import annotations

import numpy as np

from nearfield_server.core.pipeline import Ran
from nearfield_server.core.plan import Plan
from nearfield_server.errors import BackendFailure
from nearfield_server.types import (
    Chunk,
    ChunkPooling,
    DType,
    EmbedCall,
    EmbedResult,
    FloatRows,
    ModelSpec,
    MultiVectors,
    OutputKind,
    SparseRow,
    Timings,
    Tokens,
)
from nearfield_server.vectors.finish import finish

__all__ = ["embed_result"]


def embed_result(spec: ModelSpec, call: EmbedCall, plan: Plan, ran: Ran) -> EmbedResult:
    """Give the result of a call; its timings are still missing.

    Raises:
        BackendFailure: a row isn't finite, or is to be normalised and has no length.
    """
    dtype, wanted = call.options.dtype, call.options.outputs
    matrix, quantization = np.empty((0, 0), np.float32), None
    tokens = ran.tokens
    counts = [len(one) for one in tokens]
    if OutputKind.DENSE in wanted:
        rows = np.stack([_present(row.dense) for row in ran.rows])
        if call.options.chunking is not None and call.options.chunking.pooling is ChunkPooling.MEAN:
            rows, tokens, counts = _mean_of_chunks(rows, tokens)
        matrix, quantization = finish(
            rows,
            dimensions=plan.dimensions,
            normalize=plan.normalize,
            dtype=dtype,
            quantization_range=spec.quantization_range,
        )
    sparse: tuple[SparseRow, ...] | None = None
    if OutputKind.SPARSE in wanted:
        sparse = tuple(row.sparse for row in ran.rows if row.sparse is not None)
    return EmbedResult(
        model=spec.name,
        matrix=matrix,
        dtype=dtype,
        token_counts=tuple(counts),
        truncated=tuple(one.truncated for one in tokens),
        no_tokens=tuple(index if one.span is None else one.source for index, one in enumerate(tokens) if one.no_tokens),
        timings=Timings(),
        quantization=quantization,
        sparse=sparse,
        vocab_size=spec.vocab_size,
        multi=_multi(spec, call, plan, ran) if OutputKind.MULTI in wanted else None,
        chunks=tuple(_chunks(ran.tokens)),
        cached=ran.cached,
    )


def _multi(spec: ModelSpec, call: EmbedCall, plan: Plan, ran: Ran) -> MultiVectors:
    head = spec.multi
    if head is None:
        msg = "token vectors of a model without; this is a bug"
        raise AssertionError(msg)
    alone = OutputKind.DENSE not in call.options.outputs
    normalize = head.normalize if not alone or call.options.normalize is None else call.options.normalize
    dtype = call.options.dtype if alone else DType.FLOAT32
    vectors, quantization = finish(
        np.concatenate([_present(row.multi) for row in ran.rows]),
        dimensions=plan.dimensions if alone else head.dimensions,
        normalize=normalize,
        dtype=dtype,
        quantization_range=spec.quantization_range,
    )
    ids = [one.ids if one.keep is None else one.ids[one.keep] for one in ran.tokens]
    return MultiVectors(vectors, tuple(map(len, ids)), np.concatenate(ids).astype(np.uint32), dtype, quantization)


def _mean_of_chunks(rows: FloatRows, tokens: list[Tokens]) -> tuple[FloatRows, list[Tokens], list[int]]:
    """Give for each input the mean weighted by the tokens of its chunks, its first chunk, and its tokens in all."""
    sources = np.array([one.source for one in tokens])
    weights = np.array([len(one) for one in tokens], np.float64)
    starts = np.flatnonzero(np.diff(sources, prepend=-1))
    summed = np.add.reduceat(rows * weights[:, None], starts, axis=0)
    totals = np.add.reduceat(weights, starts)
    means = summed / totals[:, None]
    return means.astype(np.float32), [tokens[index] for index in starts], [int(one) for one in totals]


def _chunks(tokens: list[Tokens]) -> list[Chunk]:
    return [Chunk(one.source, *one.span, len(one)) for one in tokens if one.span is not None]


def _present(rows: FloatRows | None) -> FloatRows:
    if rows is None:
        msg = "the model gave no vector where one was due"
        raise BackendFailure(msg)
    return rows
