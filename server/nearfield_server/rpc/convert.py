"""Requests to plain values. Shapes and ranges that don't depend on a model are checked here, once."""

from __future__ import annotations

import enum
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
from google.protobuf.message import Message

from nearfield.v1 import embed_pb2, types_pb2
from nearfield_server.errors import InvalidInput, NearfieldError, TextTooLong
from nearfield_server.rpc.enums import (
    CHUNK_POOLINGS,
    DTYPES,
    INPUT_TYPES,
    METRICS,
    OUTPUTS,
    PRIORITIES,
    READ_CONSISTENCIES,
    TRUNCATES,
    WRITE_ORDERINGS,
)
from nearfield_server.types import (
    DENSE_ONLY,
    Chunking,
    ChunkPooling,
    Consistency,
    DType,
    EmbedOptions,
    FloatRows,
    IdArray,
    Input,
    Limits,
    OutputKind,
    Priority,
    SimilarityMetric,
    Truncate,
)

__all__ = [
    "MAX_NAME",
    "bare_text",
    "bare_texts",
    "check_count",
    "check_model_name",
    "directed_rows",
    "embed_options",
    "enum_value",
    "float_rows",
    "image",
    "inputs",
    "multi_options",
    "one_input",
    "ordering",
    "positive",
    "read_consistency",
    "sequences",
    "similarity_metric",
    "similarity_options",
    "sparse_options",
    "text",
    "texts",
    "within",
    "without_direction",
]

_E = TypeVar("_E", bound=enum.Enum)
_O = TypeVar("_O")

_MAX_IDS = 1_048_576
_MAX_DIMENSIONS = 65_536
# Longer names, and what could forge a line of a log or a header, are refused; anything else is looked up and not found.
MAX_NAME = 256
_FORBIDDEN_IN_NAMES = re.compile(r"[\x01-\x1f\x7f\"]")


def enum_value(field: str, number: int, known: Mapping[int, _E], default: _O) -> _E | _O:
    """Give the value for a proto enum's `number`; 0 is `default`. Raises `InvalidInput` for numbers unknown here."""
    if not number:
        return default
    try:
        return known[number]
    except KeyError:
        names = ", ".join(f"{one.name} = {value}" for value, one in known.items())
        raise InvalidInput(field, f"{number} is no known value; known: {names}") from None


def within(field: str, value: int, most: int, default: int) -> int:
    """Give a number of the request, 0 being `default`. Raises `InvalidInput` where it is over `most`."""
    if value > most:
        raise InvalidInput(field, f"{value} is over {most}", limit=most)
    return value or default


def read_consistency(request: Any) -> Consistency:
    """Give how many copies must agree on what a request reads. Raises `InvalidInput`."""
    return Consistency(read=enum_value("consistency", request.consistency, READ_CONSISTENCIES, None))


def ordering(prefix: str, request: Any) -> Consistency:
    """Give through which copy a request writes. Raises `InvalidInput`."""
    return Consistency(write=enum_value(f"{prefix}ordering", request.ordering, WRITE_ORDERINGS, None))


def check_model_name(field: str, name: str) -> str:
    """Refuse names that can't be a model's and could do harm in a log. Raises `InvalidInput`."""
    if len(name) > MAX_NAME or _FORBIDDEN_IN_NAMES.search(name):
        raise InvalidInput(field, "not a name: 1 to 64 letters, digits, dots, dashes or underscores")
    return name


def check_count(field: str, count: int, limits: Limits) -> None:
    """Refuse none, and more than `max_inputs`. Raises `InvalidInput`."""
    if not count:
        raise InvalidInput(field, "at least one is needed")
    if count > limits.max_inputs:
        text = f"{count} in one message; at most {limits.max_inputs} (Limits.max_inputs): split it, or use EmbedStream"
        raise InvalidInput(field, text, limit=limits.max_inputs, count=count)


def inputs(field: str, messages: Sequence[types_pb2.Input], limits: Limits) -> tuple[Input, ...]:
    """Give texts and id arrays. Raises `InvalidInput` or `TextTooLong` that names the index."""
    check_count(field, len(messages), limits)
    return tuple(one_input(f"{field}[{index}]", message, limits) for index, message in enumerate(messages))


def one_input(field: str, message: types_pb2.Input, limits: Limits) -> Input:
    """Give a text, an id array or an image file. Raises `InvalidInput` or `TextTooLong`."""
    kind = message.WhichOneof("input")
    if kind == "text":
        return bare_text(f"{field}.text", message.text, limits)
    if kind == "token_ids":
        return _ids(f"{field}.token_ids.ids", message.token_ids)
    if kind == "image":
        return image(f"{field}.image", message.image, limits)
    raise InvalidInput(field, "set text, token_ids or image")


def bare_texts(field: str, values: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """Check a list of texts, of which no more is tokenised than is needed. Raises `InvalidInput` or `TextTooLong`."""
    check_count(field, len(values), limits)
    return tuple(bare_text(f"{field}[{index}]", text, limits) for index, text in enumerate(values))


def texts(field: str, values: Sequence[str], limits: Limits) -> tuple[str, ...]:
    """Check a list of bare texts, all of which will be tokenised whole. Raises `InvalidInput` or `TextTooLong`."""
    checked = bare_texts(field, values, limits)
    # Whole texts cost a tokeniser thread their full length, so one call gets the time of four of the longest.
    if (size := sum(map(_utf8_bytes, checked))) > (limit := 4 * limits.max_text_bytes):
        raise TextTooLong(field, f"{size} bytes together; at most {limit}: send fewer at once", limit=limit)
    return checked


def bare_text(field: str, text: str, limits: Limits) -> str:
    """Check one text, which may be empty. Raises `TextTooLong`."""
    # Characters are a cheap lower bound of bytes, and a quarter of the upper one.
    if len(text) * 4 > limits.max_text_bytes and (size := _utf8_bytes(text)) > limits.max_text_bytes:
        text = f"{size} bytes; at most {limits.max_text_bytes} (Limits.max_text_bytes): cut it, or embed it in parts"
        raise TextTooLong(field, text, limit=limits.max_text_bytes, bytes=size)
    return text


def _utf8_bytes(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())


def image(field: str, data: bytes, limits: Limits) -> bytes:
    """Check an image file as far as it isn't read. Raises `InvalidInput`."""
    if not data:
        raise InvalidInput(field, "no bytes: send a JPEG, PNG or WebP file")
    if len(data) > limits.max_image_bytes:
        text = f"{len(data)} bytes; at most {limits.max_image_bytes} (Limits.max_image_bytes): make it smaller"
        raise InvalidInput(field, text, limit=limits.max_image_bytes, bytes=len(data))
    return data


def text(field: str, value: str, limits: Limits) -> str:
    """Check one bare text, which must have something in it. Raises `InvalidInput` or `TextTooLong`."""
    if not value:
        raise InvalidInput(field, "must not be empty")
    return bare_text(field, value, limits)


def positive(field: str, message: Message, default: int | None = None) -> int | None:
    """Give an optional count of a message; `default` when it is absent. Raises `InvalidInput` for 0."""
    if not message.HasField(field):
        return default
    value = int(getattr(message, field))
    if value == 0:
        raise InvalidInput(field, "must be 1 or more, or absent")
    return value


def sequences(field: str, messages: Sequence[types_pb2.TokenIds], limits: Limits) -> tuple[IdArray, ...]:
    """Give id arrays. Raises `InvalidInput` that names the index."""
    check_count(field, len(messages), limits)
    return tuple(_ids(f"{field}[{index}].ids", message) for index, message in enumerate(messages))


def _ids(field: str, message: types_pb2.TokenIds) -> IdArray:
    if not 1 <= len(message.ids) <= _MAX_IDS:
        raise InvalidInput(field, f"{len(message.ids)} ids; 1 to {_MAX_IDS} are allowed")
    return np.array(message.ids, np.int64)


def float_rows(path: str, message: types_pb2.Matrix) -> FloatRows:
    """Give float32 [rows, cols]. Raises `InvalidInput` where the bytes aren't that."""
    if message.dtype not in {types_pb2.DTYPE_UNSPECIFIED, types_pb2.DTYPE_FLOAT32}:
        raise InvalidInput(f"{path}.dtype", "must be FLOAT32")
    if not 1 <= message.cols <= _MAX_DIMENSIONS:
        raise InvalidInput(f"{path}.cols", f"{message.cols} dimensions; 1 to {_MAX_DIMENSIONS} are allowed")
    if len(message.data) != (needed := message.rows * message.cols * 4):
        text = f"{len(message.data)} bytes; {message.rows} rows of {message.cols} float32 have {needed}"
        raise InvalidInput(f"{path}.data", text)
    return np.frombuffer(message.data, "<f4").reshape(message.rows, message.cols)


def directed_rows(path: str, message: types_pb2.Matrix) -> FloatRows:
    """Give float32 [rows, cols], each with a direction. Raises `InvalidInput` for the first that is wrong."""
    rows = float_rows(path, message)
    if faults := without_direction(path, rows):
        raise faults[min(faults)]
    return rows


def without_direction(path: str, vectors: FloatRows) -> dict[int, NearfieldError]:
    """Give what is wrong with rows that have no direction, by their places."""
    finite = np.isfinite(vectors).all(axis=1)
    failures: dict[int, NearfieldError] = {
        int(row): InvalidInput(f"{path}[{row}]", "has NaN or infinite components") for row in np.flatnonzero(~finite)
    }
    for row in np.flatnonzero(finite & ~vectors.any(axis=1)):
        failures[int(row)] = InvalidInput(f"{path}[{row}]", "is all zero: it has no direction")
    return failures


def embed_options(
    message: embed_pb2.EmbedRequest | embed_pb2.EmbedStreamOptions, prefix: str = "", *, bulk: bool = False
) -> EmbedOptions:
    """Give the options of a request or a stream. Raises `InvalidInput` for unknown enum values and impossible names."""
    default = Priority.BULK if bulk else Priority.INTERACTIVE
    options = EmbedOptions(
        model=check_model_name(f"{prefix}model", message.model),
        input_type=enum_value(f"{prefix}input_type", message.input_type, INPUT_TYPES, None),
        prompt_name=check_model_name(f"{prefix}prompt_name", message.prompt_name),
        truncate=enum_value(f"{prefix}truncate", message.truncate, TRUNCATES, Truncate.END),
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        normalize=message.normalize if message.HasField("normalize") else None,
        dtype=enum_value(f"{prefix}output_dtype", message.output_dtype, DTYPES, DType.FLOAT32),
        priority=enum_value(f"{prefix}priority", message.priority, PRIORITIES, default),
        special_tokens_as_text=message.special_tokens_as_text,
        outputs=_outputs(f"{prefix}outputs", message.outputs),
        chunking=_chunking(f"{prefix}chunking", message.chunking) if message.HasField("chunking") else None,
    )
    if OutputKind.DENSE in options.outputs:
        return options
    # These are about dense vectors; the others come as the model gives them.
    return replace(options, dimensions=None, normalize=None, dtype=DType.FLOAT32)


def _outputs(field: str, numbers: Sequence[int]) -> frozenset[OutputKind]:
    found = frozenset(
        enum_value(f"{field}[{index}]", number, OUTPUTS, OutputKind.DENSE) for index, number in enumerate(numbers)
    )
    if OutputKind.SCORES in found:
        raise InvalidInput(field, "SCORES are given by Classify and Rerank")
    return found or DENSE_ONLY


def _chunking(field: str, message: types_pb2.Chunking) -> Chunking:
    return Chunking(
        max_tokens=message.max_tokens,
        overlap_tokens=message.overlap_tokens,
        pooling=enum_value(f"{field}.pooling", message.pooling, CHUNK_POOLINGS, ChunkPooling.NONE),
    )


def sparse_options(message: embed_pb2.EmbedSparseRequest) -> EmbedOptions:
    """Give the options of a call for sparse vectors. Raises `InvalidInput`."""
    return EmbedOptions(
        model=check_model_name("model", message.model),
        input_type=enum_value("input_type", message.input_type, INPUT_TYPES, None),
        prompt_name=check_model_name("prompt_name", message.prompt_name),
        truncate=enum_value("truncate", message.truncate, TRUNCATES, Truncate.END),
        priority=enum_value("priority", message.priority, PRIORITIES, Priority.INTERACTIVE),
        special_tokens_as_text=message.special_tokens_as_text,
        outputs=frozenset({OutputKind.SPARSE}),
    )


def multi_options(message: embed_pb2.EmbedMultiRequest) -> EmbedOptions:
    """Give the options of a call for vectors of tokens. Raises `InvalidInput`."""
    return EmbedOptions(
        model=check_model_name("model", message.model),
        input_type=enum_value("input_type", message.input_type, INPUT_TYPES, None),
        truncate=enum_value("truncate", message.truncate, TRUNCATES, Truncate.END),
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        normalize=message.normalize if message.HasField("normalize") else None,
        dtype=enum_value("output_dtype", message.output_dtype, DTYPES, DType.FLOAT32),
        priority=enum_value("priority", message.priority, PRIORITIES, Priority.INTERACTIVE),
        special_tokens_as_text=message.special_tokens_as_text,
        outputs=frozenset({OutputKind.MULTI}),
    )


def similarity_options(message: embed_pb2.SimilarityRequest, field: str) -> EmbedOptions:
    """Give the options for `sources` or `targets` (`field`). Raises `InvalidInput` for unknown enum values."""
    name = f"{field.removesuffix('s')}_input_type"
    return EmbedOptions(
        model=check_model_name("model", message.model),
        input_type=enum_value(name, getattr(message, name), INPUT_TYPES, None),
        truncate=enum_value("truncate", message.truncate, TRUNCATES, Truncate.END),
        dimensions=message.dimensions if message.HasField("dimensions") else None,
        priority=enum_value("priority", message.priority, PRIORITIES, Priority.INTERACTIVE),
    )


def similarity_metric(number: int) -> SimilarityMetric | None:
    """Give the metric asked for; `None`: the model's own. Raises `InvalidInput`."""
    return enum_value("metric", number, METRICS, None)
