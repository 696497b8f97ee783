"""Models and aliases from the wire to plain values."""

from __future__ import annotations

from collections.abc import Iterable
from typing import cast

from nearfield._convert import enum_name, seconds
from nearfield._model import Limits, Metric, Model, ModelState
from nearfield.v1 import embed_pb2, model_pb2, types_pb2

__all__ = ["aliases_of", "model_of"]


def model_of(message: model_pb2.Model) -> Model:
    """Give a model as plain values; enum numbers unknown here become "unspecified"."""
    similarity = enum_name(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", message.similarity)
    return Model(
        name=message.name,
        version=message.version,
        is_default=message.is_default,
        state=cast("ModelState", enum_name(model_pb2.ModelState, "MODEL_STATE_", message.state)),
        state_message=message.state_message,
        dimensions=message.dimensions,
        max_tokens=message.max_tokens,
        vocab_size=message.vocab_size,
        pooling=enum_name(model_pb2.Pooling, "POOLING_", message.pooling),
        normalize=message.normalize,
        similarity=None if similarity == "unspecified" else cast("Metric", similarity),
        prompts=dict(message.prompts),
        default_prompt_name=message.default_prompt_name,
        precision=message.precision,
        execution_provider=message.execution_provider,
        quantization_range=message.quantization_range,
        limits=_limits_of(message.limits),
        source=message.source,
        license=message.license,
        sha256=message.sha256,
        workers=message.workers,
        batch_token_budget=message.batch_token_budget,
        load_seconds=seconds(message.load_time),
        state_changed_at_seconds=message.state_changed_at.seconds + message.state_changed_at.nanos / 1e9,
        raw_vectors_available=message.raw_vectors_available,
        repository_version=message.repository_version,
        outputs=tuple(enum_name(types_pb2.OutputKind, "OUTPUT_KIND_", one) for one in message.outputs),
        labels=tuple(message.labels),
        matryoshka_dimensions=tuple(message.matryoshka_dimensions),
        accepts_images=message.accepts_images,
        aliases=tuple(message.aliases),
        device=message.device,
        max_query_tokens=message.max_query_tokens,
        choice=message.choice,
    )


def _limits_of(message: model_pb2.Limits) -> Limits:
    return Limits(
        max_inputs=message.max_inputs,
        max_text_bytes=message.max_text_bytes,
        max_request_bytes=message.max_request_bytes,
        max_response_bytes=message.max_response_bytes,
        stream_window_inputs=message.stream_window_inputs,
        max_request_tokens=message.max_request_tokens,
        max_image_bytes=message.max_image_bytes,
        max_image_pixels=message.max_image_pixels,
    )


def aliases_of(messages: Iterable[model_pb2.Alias]) -> dict[str, str]:
    """Give what each alias stands for."""
    return {one.alias: one.target for one in messages}
