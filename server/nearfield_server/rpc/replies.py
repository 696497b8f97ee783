"""Plain values to replies."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp

from nearfield.v1 import embed_pb2, model_pb2, types_pb2
from nearfield_server.core.embedder import SimilarityResult
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc.enums import POOLINGS, STATES, TO_DTYPE, TO_METRIC, TO_OUTPUT
from nearfield_server.types import (
    DType,
    EmbedResult,
    Limits,
    ModelStatus,
    MultiVectors,
    Quantization,
    SparseRow,
    Timings,
    TokenizedText,
)

__all__ = [
    "embed_response",
    "matrix",
    "model",
    "multi_response",
    "similarity_response",
    "sparse_response",
    "timings",
    "tokenized_text",
    "within_limit",
]

_M = TypeVar("_M", bound=Message)


def within_limit(field: str, reply: _M, limits: Limits, advice: str) -> _M:
    """Give a reply whose size only the work told. Raises `InvalidInput` where it is over the limit."""
    if (size := reply.ByteSize()) > (limit := limits.max_response_bytes):
        raise InvalidInput(field, f"the reply has {size} bytes, over {limit}: {advice}", limit=limit)
    return reply


def matrix(values: np.ndarray[tuple[int, int], np.dtype[np.generic]], dtype: DType) -> types_pb2.Matrix:
    """Pack `[rows, cols]` into one little-endian buffer."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return types_pb2.Matrix(dtype=TO_DTYPE[dtype], rows=values.shape[0], cols=values.shape[1], data=little.tobytes())


def embed_response(result: EmbedResult) -> embed_pb2.EmbedResponse:
    """Give the reply for finished vectors."""
    return embed_pb2.EmbedResponse(
        model=result.model,
        embeddings=matrix(result.matrix, result.dtype) if result.matrix.size else None,
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=timings(result.timings),
        quantization=_quantization(result.quantization),
        warnings=_warnings(result),
        sparse=None if result.sparse is None else _sparse(result.sparse, result.vocab_size),
        multi=None if result.multi is None else _multi(result.multi),
        chunks=[
            types_pb2.Chunk(input_index=one.input_index, start=one.start, end=one.end, token_count=one.token_count)
            for one in result.chunks
        ],
        cached_rows=result.cached,
    )


def sparse_response(result: EmbedResult, terms: Sequence[str] = ()) -> embed_pb2.EmbedSparseResponse:
    """Give the reply for sparse vectors, with their terms if wanted."""
    return embed_pb2.EmbedSparseResponse(
        model=result.model,
        embeddings=_sparse(result.sparse or (), result.vocab_size),
        terms=terms,
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=timings(result.timings),
        warnings=_warnings(result),
    )


def multi_response(result: EmbedResult) -> embed_pb2.EmbedMultiResponse:
    """Give the reply for vectors of tokens."""
    vectors = result.multi
    return embed_pb2.EmbedMultiResponse(
        model=result.model,
        embeddings=None if vectors is None else _multi(vectors),
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=timings(result.timings),
        quantization=None if vectors is None else _quantization(vectors.quantization),
        warnings=_warnings(result),
    )


def _sparse(rows: Sequence[SparseRow], vocabulary: int) -> types_pb2.SparseMatrix:
    return types_pb2.SparseMatrix(
        cols=vocabulary,
        row_counts=[len(row.ids) for row in rows],
        indices=b"".join(row.ids.astype("<u4", copy=False).tobytes() for row in rows),
        values=b"".join(row.weights.astype("<f4", copy=False).tobytes() for row in rows),
    )


def _multi(value: MultiVectors) -> types_pb2.MultiMatrix:
    return types_pb2.MultiMatrix(
        vectors=matrix(value.vectors, value.dtype),
        row_counts=value.counts,
        token_ids=value.token_ids.astype("<u4", copy=False).tobytes(),
    )


def _warnings(result: EmbedResult) -> list[embed_pb2.InputWarning]:
    return [
        embed_pb2.InputWarning(index=index, reason=embed_pb2.INPUT_WARNING_REASON_NO_TOKENS)
        for index in result.no_tokens
    ]


def _quantization(value: Quantization | None) -> types_pb2.Quantization | None:
    return None if value is None else types_pb2.Quantization(scale=value.scale, zero_point=value.zero_point)


def timings(value: Timings) -> embed_pb2.Timings:
    """Give the stage times."""
    return embed_pb2.Timings(
        tokenize=_duration(value.tokenize),
        queue=_duration(value.queue),
        compute=_duration(value.compute),
        total=_duration(value.total),
    )


def similarity_response(result: SimilarityResult) -> embed_pb2.SimilarityResponse:
    """Give the reply for scores `[sources, targets]` float32."""
    return embed_pb2.SimilarityResponse(
        model=result.model,
        scores=matrix(result.scores, DType.FLOAT32),
        metric=TO_METRIC[result.metric],
        timings=timings(result.timings),
    )


def tokenized_text(value: TokenizedText) -> embed_pb2.TokenizedText:
    """Give the tokens of one text."""
    return embed_pb2.TokenizedText(ids=value.ids, tokens=value.tokens, starts=value.starts, ends=value.ends)


def model(status: ModelStatus) -> model_pb2.Model:
    """Give all that is known of a model; what its files tell is missing while it loads, or when it failed."""
    changed = Timestamp()
    changed.FromNanoseconds(int(status.changed_at * 1e9))
    message = model_pb2.Model(
        name=status.name,
        is_default=status.is_default,
        state=STATES[status.state],
        state_message=status.message,
        execution_provider=status.execution_provider,
        limits=_limits(status.limits),
        workers=status.workers,
        batch_token_budget=status.batch_token_budget,
        load_time=_duration(status.load_seconds),
        state_changed_at=changed,
        repository_version=status.version,
        aliases=status.aliases,
        device=status.device,
        choice=status.choice,
    )
    if (spec := status.spec) is not None:
        message.MergeFrom(
            model_pb2.Model(
                version=spec.version,
                dimensions=spec.dimensions,
                max_tokens=spec.max_tokens,
                vocab_size=spec.vocab_size,
                pooling=POOLINGS[spec.pooling] if spec.pooling else model_pb2.POOLING_UNSPECIFIED,
                normalize=spec.normalize,
                similarity=TO_METRIC[spec.similarity],
                prompts=dict(spec.prompts),
                default_prompt_name=spec.default_prompt_name,
                precision=spec.precision,
                quantization_range=spec.quantization_range,
                source=spec.source,
                license=spec.license,
                sha256=spec.sha256,
                raw_vectors_available=not spec.output_normalized,
                outputs=[TO_OUTPUT[kind] for kind in spec.outputs],
                labels=spec.scores.labels if spec.scores else (),
                matryoshka_dimensions=spec.matryoshka_dimensions,
                accepts_images=spec.vision is not None,
                max_query_tokens=spec.multi.max_query_tokens if spec.multi else 0,
            )
        )
    return message


def _limits(value: Limits) -> model_pb2.Limits:
    return model_pb2.Limits(
        max_inputs=value.max_inputs,
        max_text_bytes=value.max_text_bytes,
        max_request_bytes=value.max_request_bytes,
        max_response_bytes=value.max_response_bytes,
        stream_window_inputs=value.stream_window_inputs,
        max_request_tokens=value.max_request_tokens,
        max_image_bytes=value.max_image_bytes,
        max_image_pixels=value.max_image_pixels,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
