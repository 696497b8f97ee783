"""Options to requests and replies to plain values: everything that knows the protobuf types of unary calls."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeAlias, cast

import numpy as np
from google.protobuf.duration_pb2 import Duration

from nearfield._errors import InternalError, invalid
from nearfield._inputs import Item, items_of
from nearfield._split import width_of
from nearfield._types import (
    Array,
    EmbedOptions,
    Inputs,
    Limits,
    Metric,
    Model,
    ModelState,
    Quantization,
    SimilarityOptions,
    Timings,
    TokenizedText,
)
from nearfield.v1 import embed_pb2, model_pb2, types_pb2

__all__ = [
    "NUMPY_DTYPES",
    "RowForm",
    "check_options",
    "embed_request",
    "enum_number",
    "matrix",
    "model_of",
    "option_fields",
    "quantization_of",
    "row_form",
    "scores_of",
    "similarity_request",
    "timings_of",
    "tokenized_of",
]

NUMPY_DTYPES: dict[str, str] = {
    "float32": "<f4",
    "float16": "<f2",
    "int8": "i1",
    "uint8": "u1",
    "binary": "i1",
    "ubinary": "u1",
}
"""numpy's name for each output_dtype."""

_NUMBERS = {name: types_pb2.DType.Value(f"DTYPE_{name.upper()}") for name in NUMPY_DTYPES}
_Wrapper: TypeAlias = Any  # protobuf's EnumTypeWrapper, whose stubs give it no useful base


@dataclass(frozen=True, slots=True)
class RowForm:
    """The rows that were asked for: their element type, and how many elements where the caller set `dimensions`."""

    output_dtype: str = "float32"
    cols: int | None = None


def row_form(options: EmbedOptions) -> RowForm:
    """Give the form of the rows that `options`, checked before, ask for."""
    dtype, dimensions = options.get("output_dtype") or "float32", options.get("dimensions")
    return RowForm(dtype, None if dimensions is None else width_of(dimensions, dtype))


def check_options(options: Mapping[str, Any], kind: type) -> None:
    """Refuse options that the TypedDict `kind` doesn't have. Raises TypeError that lists the known ones."""
    known = kind.__annotations__
    for name in options:
        if name not in known:
            raise TypeError(f"unknown option {name!r}; known: {', '.join(known)}")


def enum_number(wrapper: _Wrapper, prefix: str, option: str, value: str | None) -> int:
    """Give the number of an option's value; None is 0. Raises ValueError that lists the known values."""
    if value is None:
        return 0
    known = [name.removeprefix(prefix).lower() for name in wrapper.keys()[1:]]  # all but UNSPECIFIED
    if value not in known:
        raise ValueError(f"{option} is {value!r}; known: {', '.join(map(repr, known))}")
    return int(wrapper.Value(prefix + value.upper()))


def option_fields(options: EmbedOptions) -> dict[str, Any]:
    """Give the fields that EmbedRequest and EmbedStreamOptions share. Raises ValueError for impossible values."""
    get = cast("Mapping[str, Any]", options).get
    return {
        "model": get("model", ""),
        "input_type": enum_number(types_pb2.InputType, "INPUT_TYPE_", "input_type", get("input_type")),
        "prompt_name": get("prompt_name", ""),
        "truncate": enum_number(types_pb2.Truncate, "TRUNCATE_", "truncate", get("truncate", "end")),
        "dimensions": _checked_dimensions(get("dimensions")),
        "normalize": get("normalize"),
        "output_dtype": enum_number(types_pb2.DType, "DTYPE_", "output_dtype", get("output_dtype", "float32")),
        "priority": enum_number(types_pb2.Priority, "PRIORITY_", "priority", get("priority")),
        "special_tokens_as_text": get("special_tokens_as_text", False),
    }


def _checked_dimensions(dimensions: int | None) -> int | None:
    if dimensions is not None and dimensions < 1:
        raise invalid("dimensions", f"{dimensions}; it must be from 1 to Model.dimensions, or None for all")
    return dimensions


def embed_request(fields: Mapping[str, Any], items: Iterable[Item]) -> embed_pb2.EmbedRequest:
    """Make a request of `option_fields` and inputs."""
    return embed_pb2.EmbedRequest(inputs=[item.message() for item in items], **fields)


def similarity_request(
    sources: Inputs, targets: Inputs | None, options: SimilarityOptions
) -> embed_pb2.SimilarityRequest:
    """Make a request. Raises InvalidArgument, TypeError, or ValueError for impossible options."""
    check_options(options, SimilarityOptions)
    get = cast("Mapping[str, Any]", options).get
    rows = items_of([sources] if isinstance(sources, str) else sources, "sources")
    columns = [] if targets is None else items_of([targets] if isinstance(targets, str) else targets, "targets")
    if targets is not None and not columns:
        raise invalid("targets", "none; leave it out to compare the sources among themselves")
    kinds = [
        enum_number(types_pb2.InputType, "INPUT_TYPE_", name, get(name))
        for name in ("source_input_type", "target_input_type")
    ]
    fields: dict[str, Any] = {
        "model": get("model", ""),
        "metric": enum_number(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", "metric", get("metric")),
        "source_input_type": kinds[0],
        "target_input_type": kinds[1],
        "truncate": enum_number(types_pb2.Truncate, "TRUNCATE_", "truncate", get("truncate", "end")),
        "dimensions": _checked_dimensions(get("dimensions")),
        "priority": enum_number(types_pb2.Priority, "PRIORITY_", "priority", get("priority")),
    }
    return embed_pb2.SimilarityRequest(
        sources=[item.message() for item in rows], targets=[item.message() for item in columns], **fields
    )


def scores_of(request: embed_pb2.SimilarityRequest, reply: embed_pb2.SimilarityResponse) -> Array:
    """Give the scores, [sources, targets], writable. Raises InternalError when the reply doesn't fit the request."""
    scores = matrix(reply.scores, len(request.sources), RowForm())
    if scores.shape[1] != len(request.targets or request.sources):
        raise InternalError(f"the reply has {scores.shape[1]} columns, which doesn't fit the request")
    return scores.copy()


def matrix(message: types_pb2.Matrix, rows: int, form: RowForm) -> Array:
    """Show a reply's matrix, [rows, cols], read-only. Raises InternalError when it isn't what was asked for."""
    dtype = NUMPY_DTYPES[form.output_dtype]
    if message.dtype != _NUMBERS[form.output_dtype]:
        raise InternalError(f"the reply has element type {message.dtype}, but {form.output_dtype} was asked for")
    if form.cols is not None and message.cols != form.cols:
        raise InternalError(f"the reply has rows of {message.cols} elements, but {form.cols} were asked for")
    size = np.dtype(dtype).itemsize
    if message.rows != rows or len(message.data) != rows * message.cols * size:
        found = f"{message.rows} rows of {message.cols} elements in {len(message.data)} bytes"
        raise InternalError(f"the reply doesn't fit the request of {rows} inputs: {found}")
    return np.frombuffer(message.data, dtype).reshape(rows, message.cols)


def quantization_of(reply: embed_pb2.EmbedResponse) -> Quantization | None:
    """Give the scale of integer vectors; None for all others."""
    if not reply.HasField("quantization"):
        return None
    return Quantization(scale=reply.quantization.scale, zero_point=reply.quantization.zero_point)


def timings_of(replies: Sequence[embed_pb2.EmbedResponse]) -> Timings:
    """Sum the time spent in the server over `replies`."""
    return Timings(
        tokenize_seconds=sum(_seconds(reply.timings.tokenize) for reply in replies),
        queue_seconds=sum(_seconds(reply.timings.queue) for reply in replies),
        compute_seconds=sum(_seconds(reply.timings.compute) for reply in replies),
        total_seconds=sum(_seconds(reply.timings.total) for reply in replies),
    )


def tokenized_of(message: embed_pb2.TokenizedText) -> TokenizedText:
    """Give one text's tokens."""
    return TokenizedText(
        ids=tuple(message.ids), tokens=tuple(message.tokens), starts=tuple(message.starts), ends=tuple(message.ends)
    )


def model_of(message: model_pb2.Model) -> Model:
    """Give a model as plain values; enum numbers unknown here become "unspecified"."""
    similarity = _name(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", message.similarity)
    return Model(
        name=message.name,
        version=message.version,
        is_default=message.is_default,
        state=cast("ModelState", _name(model_pb2.ModelState, "MODEL_STATE_", message.state)),
        state_message=message.state_message,
        dimensions=message.dimensions,
        max_tokens=message.max_tokens,
        vocab_size=message.vocab_size,
        pooling=_name(model_pb2.Pooling, "POOLING_", message.pooling),
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
        load_seconds=_seconds(message.load_time),
        state_changed_at_seconds=message.state_changed_at.seconds + message.state_changed_at.nanos / 1e9,
        raw_vectors_available=message.raw_vectors_available,
    )


def _limits_of(message: model_pb2.Limits) -> Limits:
    return Limits(
        max_inputs=message.max_inputs,
        max_text_bytes=message.max_text_bytes,
        max_request_bytes=message.max_request_bytes,
        max_response_bytes=message.max_response_bytes,
        stream_window_inputs=message.stream_window_inputs,
        max_request_tokens=message.max_request_tokens,
    )


def _name(wrapper: _Wrapper, prefix: str, number: int) -> str:
    try:
        return str(wrapper.Name(number)).removeprefix(prefix).lower()
    except ValueError:
        return "unspecified"


def _seconds(duration: Duration) -> float:
    return duration.seconds + duration.nanos / 1e9
