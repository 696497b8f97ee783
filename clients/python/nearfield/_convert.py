"""Options to request fields and parts of replies to plain values: what the unary calls and the streams share."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeAlias, cast

import numpy as np
from google.protobuf.duration_pb2 import Duration

from nearfield._errors import InternalError, invalid
from nearfield._split import width_of
from nearfield._types import Array, Chunking, Timings, TokenizedText
from nearfield._vectors import Quantization
from nearfield.v1 import embed_pb2, types_pb2

__all__ = [
    "NUMPY_DTYPES",
    "RowForm",
    "check_options",
    "enum_name",
    "enum_number",
    "matrix",
    "option_fields",
    "quantization_of",
    "row_form",
    "seconds",
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


_ENUMS: dict[str, tuple[_Wrapper, str]] = {
    "input_type": (types_pb2.InputType, "INPUT_TYPE_"),
    "source_input_type": (types_pb2.InputType, "INPUT_TYPE_"),
    "target_input_type": (types_pb2.InputType, "INPUT_TYPE_"),
    "truncate": (types_pb2.Truncate, "TRUNCATE_"),
    "output_dtype": (types_pb2.DType, "DTYPE_"),
    "priority": (types_pb2.Priority, "PRIORITY_"),
    "metric": (embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_"),
}
_DEFAULTS = {"truncate": "end", "output_dtype": "float32"}
_COUNTS = {
    "dimensions": "it must be from 1 to Model.dimensions, or None for all",
    "max_terms": "it must be at least 1, or None for all",
    "top_n": "it must be at least 1, or None for all",
    "top_k": "it must be at least 1, or None for all",
}


@dataclass(frozen=True, slots=True)
class RowForm:
    """The rows that were asked for: their element type, and how many elements where the caller set `dimensions`."""

    output_dtype: str = "float32"
    cols: int | None = None


def row_form(options: Mapping[str, Any]) -> RowForm:
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


def option_fields(options: Mapping[str, Any], kind: type, but: Sequence[str] = ()) -> dict[str, Any]:
    """Give the fields of a request for `options`, of the TypedDict `kind`; those in `but` and the timeout are left out.

    Raises:
        TypeError: an unknown option.
        ValueError: an unknown value.
        InvalidArgument: a number out of range.
    """
    check_options(options, kind)
    fields: dict[str, Any] = {}
    for name in kind.__annotations__:
        if name in {"timeout", *but}:
            continue
        value = options.get(name, _DEFAULTS.get(name))
        if name in _ENUMS:
            fields[name] = enum_number(*_ENUMS[name], name, value)
        elif name == "chunking":
            fields[name] = None if value is None else _chunking(value)
        elif name == "outputs":
            fields[name] = _outputs(value)
        elif value is not None:
            fields[name] = _checked_count(name, value) if name in _COUNTS else value
    return fields


def _checked_count(name: str, value: int) -> int:
    if value < 1:
        raise invalid(name, f"{value}; {_COUNTS[name]}")
    return value


def _chunking(value: Chunking) -> types_pb2.Chunking:
    if not isinstance(value, Chunking):
        raise TypeError(f"chunking is a {type(value).__name__}; give a nearfield.Chunking")
    for name in ("max_tokens", "overlap_tokens"):
        if getattr(value, name) < 0:
            raise invalid(f"chunking.{name}", f"{getattr(value, name)}; it must be 0 or more")
    pooling = enum_number(types_pb2.ChunkPooling, "CHUNK_POOLING_", "chunking.pooling", value.pooling)
    return types_pb2.Chunking(
        max_tokens=value.max_tokens, overlap_tokens=value.overlap_tokens, pooling=cast("Any", pooling)
    )


def _outputs(value: Sequence[str] | None) -> list[int]:
    if isinstance(value, str):
        raise TypeError(f"outputs is a str; give a tuple, such as ({value!r},)")
    return [enum_number(types_pb2.OutputKind, "OUTPUT_KIND_", "outputs", one) for one in value or ()]


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


class _Timed(Protocol):
    @property
    def timings(self) -> embed_pb2.Timings: ...


def quantization_of(reply: embed_pb2.EmbedResponse | embed_pb2.EmbedMultiResponse) -> Quantization | None:
    """Give the scale of integer vectors; None for all others."""
    if not reply.HasField("quantization"):
        return None
    return Quantization(scale=reply.quantization.scale, zero_point=reply.quantization.zero_point)


def timings_of(replies: Sequence[_Timed]) -> Timings:
    """Sum the time spent in the server over `replies`."""
    return Timings(
        tokenize_seconds=sum(seconds(reply.timings.tokenize) for reply in replies),
        queue_seconds=sum(seconds(reply.timings.queue) for reply in replies),
        compute_seconds=sum(seconds(reply.timings.compute) for reply in replies),
        total_seconds=sum(seconds(reply.timings.total) for reply in replies),
    )


def tokenized_of(message: embed_pb2.TokenizedText) -> TokenizedText:
    """Give one text's tokens."""
    return TokenizedText(
        ids=tuple(message.ids), tokens=tuple(message.tokens), starts=tuple(message.starts), ends=tuple(message.ends)
    )


def enum_name(wrapper: _Wrapper, prefix: str, number: int) -> str:
    """Give the name of an enum's number; "unspecified" for one that this client doesn't know."""
    try:
        return str(wrapper.Name(number)).removeprefix(prefix).lower()
    except ValueError:
        return "unspecified"


def seconds(duration: Duration) -> float:
    """Give a duration in seconds."""
    return duration.seconds + duration.nanos / 1e9
