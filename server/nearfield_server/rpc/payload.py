"""Ids, payloads and vectors of points: from messages to values and back.

A payload is one JSON object within; which of its keys were timestamps or places is kept beside it (`Record.kinds`).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from google.protobuf import struct_pb2
from google.protobuf.timestamp_pb2 import Timestamp

from nearfield.v1 import search_pb2
from nearfield_server.errors import InvalidInput
from nearfield_server.filters import instant_of, place_of, split_path
from nearfield_server.types import Json, PayloadKind, PointId, Record, Selection, Vector

__all__ = [
    "MAX_IDS",
    "MAX_PAYLOAD_BYTES",
    "MAX_PAYLOAD_KEYS",
    "MAX_TENANT_BYTES",
    "check_instant",
    "payload_message",
    "payload_of",
    "point_id",
    "point_id_message",
    "point_ids",
    "point_message",
    "put_value",
    "selection",
    "tenant",
    "vector_of",
]

MAX_ID_BYTES = 512
MAX_IDS = 10_000
MAX_TENANT_BYTES = 128
MAX_PAYLOAD_KEYS = 1024
MAX_PAYLOAD_BYTES = 1 << 20
MAX_DEPTH = 32

_EPOCH = datetime(1970, 1, 1)  # noqa: DTZ001 - in UTC throughout
_EXACT = 2**53
_MILLION = 1_000_000
_BILLION = 1_000_000_000
_YEAR_1, _YEAR_10000 = -62_135_596_800, 253_402_300_800  # in seconds


def point_id(field: str, message: search_pb2.PointId) -> PointId:
    """Give an id. Raises `InvalidInput` where none is set, or its text isn't 1 to 512 bytes."""
    kind = message.WhichOneof("id")
    if kind == "number":
        return message.number
    if kind is None:
        raise InvalidInput(field, "set `text` or `number`")
    if not 1 <= (size := len(message.text.encode())) <= MAX_ID_BYTES:
        raise InvalidInput(f"{field}.text", f"{size} bytes; 1 to {MAX_ID_BYTES} are allowed")
    return message.text


def point_ids(field: str, messages: Sequence[search_pb2.PointId]) -> list[PointId]:
    """Give up to 10,000 ids. Raises `InvalidInput`."""
    if len(messages) > MAX_IDS:
        raise InvalidInput(field, f"{len(messages)} ids; at most {MAX_IDS}: ask in parts")
    return [point_id(f"{field}[{index}]", one) for index, one in enumerate(messages)]


def point_id_message(id_: PointId) -> search_pb2.PointId:
    """Give an id for the wire."""
    return search_pb2.PointId(text=id_) if isinstance(id_, str) else search_pb2.PointId(number=id_)


def tenant(field: str, name: str) -> str:
    """Check whose points are meant. Raises `InvalidInput`."""
    if len(name) > MAX_TENANT_BYTES or len(name.encode()) > MAX_TENANT_BYTES:
        raise InvalidInput(field, f"over {MAX_TENANT_BYTES} bytes")
    return name


def vector_of(field: str, data: bytes) -> Vector:
    """Give the float32 of a buffer; how many and which there must be, the collection says. Raises `InvalidInput`."""
    if len(data) % 4 or not data:
        raise InvalidInput(field, f"{len(data)} bytes are no float32 components of 4 bytes each")
    return np.frombuffer(data, "<f4")


def selection(field: str, message: search_pb2.PointSelection) -> Selection:
    """Give what to give of a point. Raises `InvalidInput` for what is no path."""
    return Selection(
        include=_paths(f"{field}.include_fields", message.include_fields),
        exclude=_paths(f"{field}.exclude_fields", message.exclude_fields),
        payload=not message.without_payload,
        text=not message.without_text,
        vector=message.with_vector,
    )


def _paths(field: str, paths: Sequence[str]) -> tuple[str, ...]:
    if len(paths) > MAX_PAYLOAD_KEYS:
        raise InvalidInput(field, f"{len(paths)} paths; at most {MAX_PAYLOAD_KEYS}")
    for index, path in enumerate(paths):
        try:
            split_path(path)
        except ValueError as error:
            raise InvalidInput(f"{field}[{index}]", str(error)) from None
    return tuple(paths)


def payload_of(field: str, message: search_pb2.Payload) -> tuple[dict[str, Json], dict[str, PayloadKind]]:
    """Give what a point carries as `Record.payload` and `Record.kinds`. Raises `InvalidInput`."""
    if (size := message.ByteSize()) > MAX_PAYLOAD_BYTES:
        raise InvalidInput(field, f"{size} bytes; at most {MAX_PAYLOAD_BYTES}", limit=MAX_PAYLOAD_BYTES)
    reader = _Reader(field)
    payload = reader.object(message.fields.fields, 1)
    kinds: dict[str, PayloadKind] = {}
    for key, stamp in message.timestamps.items():
        _add(field, payload, key, instant_text(f"{field}.timestamps", stamp))
        kinds[key] = PayloadKind.TIMESTAMP
    for key, place in message.geo_points.items():
        _add(field, payload, key, _place(field, place))
        kinds[key] = PayloadKind.GEO
    if (keys := reader.keys + len(kinds)) > MAX_PAYLOAD_KEYS:
        raise InvalidInput(field, f"{keys} keys, nested ones included; at most {MAX_PAYLOAD_KEYS}")
    return payload, kinds


def _add(field: str, payload: dict[str, Json], key: str, value: Json) -> None:
    if key in payload:
        raise InvalidInput(field, "a key stands in two of fields, timestamps and geo_points")
    payload[key] = value


def _place(field: str, message: search_pb2.GeoPoint) -> Json:
    place = {"lat": message.latitude, "lon": message.longitude}
    if place_of(place) is None:
        raise InvalidInput(f"{field}.geo_points", "latitude must be in [-90, 90] and longitude in [-180, 180]")
    return place


class _Reader:
    """Reads google.protobuf values, and counts keys."""

    def __init__(self, field: str) -> None:
        self.field = field
        self.keys = 0

    def object(self, fields: Any, depth: int) -> dict[str, Json]:
        self.keys += len(fields)
        found: dict[str, Json] = {}
        for key, value in fields.items():
            kind = value.WhichOneof("kind")
            # The two frequent kinds without a call.
            if kind == "string_value":
                found[key] = value.string_value
            elif kind == "number_value":
                number = value.number_value
                found[key] = (
                    int(number) if number.is_integer() and -_EXACT <= number <= _EXACT else self._number(number)
                )
            else:
                found[key] = self._other(value, kind, depth)
        return found

    def _number(self, number: float) -> Json:
        if number.is_integer() and -_EXACT <= number <= _EXACT:
            return int(number)
        if not math.isfinite(number):
            raise InvalidInput(f"{self.field}.fields", "numbers must be finite: NaN and infinities are no JSON")
        return number

    def _other(self, value: Any, kind: str | None, depth: int) -> Json:
        if kind == "string_value":
            return value.string_value
        if kind == "number_value":
            return self._number(value.number_value)
        if kind == "bool_value":
            return value.bool_value
        if kind == "null_value":
            return None
        if kind is None:
            raise InvalidInput(f"{self.field}.fields", "a value has no kind: use null_value")
        if depth >= MAX_DEPTH:
            raise InvalidInput(f"{self.field}.fields", f"nested over {MAX_DEPTH} deep")
        if kind == "struct_value":
            return self.object(value.struct_value.fields, depth + 1)
        return [self._other(one, one.WhichOneof("kind"), depth + 1) for one in value.list_value.values]


def instant_text(field: str, message: Timestamp) -> str:
    """Give an instant as `Record.payload` holds it. Raises `InvalidInput` outside of the years 1 to 9999."""
    check_instant(field, message)
    instant = _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)
    return f"{instant.isoformat(timespec='microseconds')}Z"


def epoch_seconds(field: str, message: Timestamp) -> float:
    """Give an instant in seconds since the epoch. Raises `InvalidInput` outside of the years 1 to 9999."""
    check_instant(field, message)
    return float(message.seconds + message.nanos / 1e9)


def check_instant(field: str, message: Timestamp) -> None:
    """Check an instant. Raises `InvalidInput` outside of the years 1 to 9999."""
    if not (_YEAR_1 <= message.seconds < _YEAR_10000 and 0 <= message.nanos < _BILLION):
        raise InvalidInput(field, "no instant of the years 1 to 9999")


def payload_message(record: Record) -> search_pb2.Payload:
    """Give what a point carries for the wire: `payload_of` gives it back."""
    message = search_pb2.Payload()
    fields = message.fields.fields
    for key, value in record.payload.items():
        kind = record.kinds.get(key)
        # A part of what was sent as a place is one no longer.
        if kind is PayloadKind.TIMESTAMP and (instant := instant_of(value)) is not None:
            seconds, microseconds = divmod(instant, _MILLION)
            message.timestamps[key].seconds = seconds
            message.timestamps[key].nanos = microseconds * 1000
        elif kind is PayloadKind.GEO and (place := place_of(value)) is not None:
            message.geo_points[key].latitude = place.latitude
            message.geo_points[key].longitude = place.longitude
        else:
            put_value(fields[key], value)
    return message


def put_value(message: struct_pb2.Value, value: Json) -> None:
    """Put a value into a message."""
    if isinstance(value, str):
        message.string_value = value
    elif isinstance(value, bool):
        message.bool_value = value
    elif isinstance(value, (int, float)):
        message.number_value = value
    elif value is None:
        message.null_value = struct_pb2.NULL_VALUE
    elif isinstance(value, dict):
        message.struct_value.SetInParent()
        for key, one in value.items():
            put_value(message.struct_value.fields[key], one)
    else:
        message.list_value.SetInParent()
        for one in value:
            put_value(message.list_value.values.add(), one)


def point_message(record: Record) -> search_pb2.Point:
    """Give a point for the wire; what the record left out is left out."""
    message = search_pb2.Point(id=point_id_message(record.id), text=record.text, version=record.version)
    if record.payload:
        message.payload.CopyFrom(payload_message(record))
    if record.vector is not None:
        message.vector = record.vector.astype("<f4", copy=False).tobytes()
    if record.expires_at is not None:
        message.expires_at.FromMicroseconds(round(record.expires_at * 1e6))
    return message
