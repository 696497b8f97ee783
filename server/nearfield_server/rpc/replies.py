"""Plain values to replies."""

from __future__ import annotations

import numpy as np
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nearfield.v1 import embed_pb2, model_pb2, types_pb2
from nearfield_server.core.embedder import SimilarityResult
from nearfield_server.rpc.enums import POOLINGS, STATES, TO_DTYPE, TO_METRIC
from nearfield_server.types import DType, EmbedResult, Limits, ModelStatus, Quantization, Timings, TokenizedText

__all__ = ["embed_response", "matrix", "model", "similarity_response", "timings", "tokenized_text"]


def matrix(values: np.ndarray[tuple[int, int], np.dtype[np.generic]], dtype: DType) -> types_pb2.Matrix:
    """Pack `[rows, cols]` into one little-endian buffer."""
    little = values.astype(values.dtype.newbyteorder("<"), copy=False)
    return types_pb2.Matrix(dtype=TO_DTYPE[dtype], rows=values.shape[0], cols=values.shape[1], data=little.tobytes())


def embed_response(result: EmbedResult) -> embed_pb2.EmbedResponse:
    """Give the reply for finished vectors."""
    return embed_pb2.EmbedResponse(
        model=result.model,
        embeddings=matrix(result.matrix, result.dtype),
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=timings(result.timings),
        quantization=_quantization(result.quantization),
        warnings=[
            embed_pb2.InputWarning(index=index, reason=embed_pb2.INPUT_WARNING_REASON_NO_TOKENS)
            for index in result.no_tokens
        ],
    )


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
    )
    if (spec := status.spec) is not None:
        message.MergeFrom(
            model_pb2.Model(
                version=spec.version,
                dimensions=spec.dimensions,
                max_tokens=spec.max_tokens,
                vocab_size=spec.vocab_size,
                pooling=POOLINGS[spec.pooling],
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
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(int(seconds * 1e9))
    return duration
