"""Payload between Python's values and the protocol's: JSON values, instants and places."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime, time
from typing import Any

import numpy as np
from google.protobuf.struct_pb2 import ListValue, Struct, Value
from google.protobuf.timestamp_pb2 import Timestamp

from nearfield._errors import invalid
from nearfield._search_types import GeoPoint, Id
from nearfield.v1 import search_pb2

__all__ = ["id_message", "id_of", "instant_message", "instant_of", "payload_message", "payload_of", "value_of"]

_EXACT = 2**53
_INT64 = 2**63


def id_message(value: object, field: str = "id") -> search_pb2.PointId:
    """Give an id as the protocol has it. Raises InvalidArgument that names `field`."""
    if isinstance(value, str):
        return search_pb2.PointId(text=value)
    if isinstance(value, (int, np.integer)) and not isinstance(value, bool):
        if not -_INT64 <= int(value) < _INT64:
            raise invalid(field, "a number outside of 64 bits: use a string")
        return search_pb2.PointId(number=int(value))
    raise invalid(field, f"a {type(value).__name__}, neither a string nor an integer")


def id_of(message: search_pb2.PointId) -> Id:
    """Give an id as a str or int."""
    return message.number if message.WhichOneof("id") == "number" else message.text


def payload_message(payload: Mapping[str, Any], field: str) -> search_pb2.Payload:
    """Give a payload as the protocol has it; datetimes without a zone are taken as UTC.

    Raises InvalidArgument that names `field` and the key.
    """
    made = search_pb2.Payload()
    for key, value in payload.items():
        place = f"{field}.{key}"
        if not isinstance(key, str):
            raise invalid(field, f"has a key that is a {type(key).__name__}, not a string")
        if isinstance(value, datetime):
            made.timestamps[key].CopyFrom(instant_message(value))
        elif isinstance(value, GeoPoint):
            made.geo_points[key].latitude, made.geo_points[key].longitude = value.lat, value.lon
        else:
            made.fields.fields[key].CopyFrom(_value(value, place))
    return made


def payload_of(message: search_pb2.Payload) -> dict[str, Any]:
    """Give a payload as plain values, with datetimes in UTC."""
    found: dict[str, Any] = {key: value_of(value) for key, value in message.fields.fields.items()}
    found.update((key, instant_of(value)) for key, value in message.timestamps.items())
    found.update((key, GeoPoint(one.latitude, one.longitude)) for key, one in message.geo_points.items())
    return found


def value_of(message: Value) -> Any:
    """Give a JSON value; numbers without a fraction within 2^53 are ints, as the server keeps them."""
    kind = message.WhichOneof("kind")
    if kind == "number_value":
        number = message.number_value
        return int(number) if number.is_integer() and abs(number) <= _EXACT else number
    if kind == "struct_value":
        return {key: value_of(value) for key, value in message.struct_value.fields.items()}
    if kind == "list_value":
        return [value_of(value) for value in message.list_value.values]
    return None if kind in {None, "null_value"} else getattr(message, str(kind))


def instant_message(value: datetime) -> Timestamp:
    """Give an instant as the protocol has it; without a zone it is taken as UTC."""
    made = Timestamp()
    made.FromDatetime(value if value.tzinfo is not None else value.replace(tzinfo=UTC))
    return made


def instant_of(message: Timestamp) -> datetime:
    """Give an instant, in UTC."""
    return message.ToDatetime(UTC)


def _value(value: object, place: str) -> Value:  # noqa: PLR0911 - a kind of value each
    if isinstance(value, np.generic):
        value = value.item()
    if value is None:
        return Value(null_value=0)  # type: ignore[arg-type]
    if isinstance(value, bool):
        return Value(bool_value=value)
    if isinstance(value, (int, float)):
        return _number(value, place)
    if isinstance(value, str):
        return Value(string_value=value)
    if isinstance(value, (datetime, date, time)):
        return Value(string_value=value.isoformat())
    if isinstance(value, Mapping):
        members = {str(key): _value(one, f"{place}.{key}") for key, one in value.items()}
        return Value(struct_value=Struct(fields=members))
    if isinstance(value, np.ndarray):
        value = value.tolist()
    if isinstance(value, (Sequence, set, frozenset)) and not isinstance(value, (bytes, bytearray, memoryview)):
        return Value(list_value=ListValue(values=_values(value, place)))
    raise invalid(place, f"a {type(value).__name__} can't be payload: use JSON values, a datetime or a GeoPoint")


def _values(values: Iterable[object], place: str) -> list[Value]:
    return [_value(one, place) for one in values]


def _number(value: float, place: str) -> Value:
    if isinstance(value, int) and abs(value) > _EXACT:
        raise invalid(place, "a whole number beyond 2^53 would lose digits: keep it as a string")
    if not math.isfinite(value):
        raise invalid(place, "not a finite number: leave it out, or use None")
    return Value(number_value=value)
