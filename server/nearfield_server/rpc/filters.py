"""Filters of requests, as messages or as text, to conditions. All that can be wrong with one is found here."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from nearfield.v1 import search_pb2
from nearfield_server.errors import InvalidInput
from nearfield_server.filters import (
    MAX_CONDITIONS,
    MAX_DEPTH,
    MAX_VALUES,
    parse_filter,
    split_path,
    words_of,
)
from nearfield_server.rpc import payload
from nearfield_server.types import (
    And,
    Equals,
    Exists,
    Filter,
    FilterValue,
    GeoBox,
    GeoPoint,
    GeoRadius,
    Ids,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    TimeRange,
    Words,
)

__all__ = ["filter_of", "geo_point", "instant", "path"]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS = ("gt", "gte", "lt", "lte")


def filter_of(message: search_pb2.Filter | None, expression: str) -> Filter | None:
    """Give the condition of `filter` or `filter_expression`; `None`: neither is set. Raises `InvalidInput`."""
    if message is None:
        return parse_filter(expression) if expression else None
    if expression:
        raise InvalidInput("filter_expression", "set this or filter, not both")
    return _Reader().read(message, "filter", 1)


def path(field: str, text: str) -> str:
    """Check the path of a payload field. Raises `InvalidInput`."""
    try:
        split_path(text)
    except ValueError as error:
        raise InvalidInput(field, str(error)) from None
    return text


def geo_point(field: str, message: search_pb2.GeoPoint) -> GeoPoint:
    """Give a place. Raises `InvalidInput`."""
    if not abs(message.latitude) <= 90:  # noqa: PLR2004 - degrees; true of NaN too
        raise InvalidInput(f"{field}.latitude", "must be in [-90, 90]")
    if not abs(message.longitude) <= 180:  # noqa: PLR2004
        raise InvalidInput(f"{field}.longitude", "must be in [-180, 180]")
    return GeoPoint(message.latitude, message.longitude)


def instant(field: str, message: Any) -> datetime:
    """Give the instant of a google.protobuf.Timestamp, to the microsecond. Raises `InvalidInput`."""
    payload.check_instant(field, message)
    return _EPOCH + timedelta(seconds=message.seconds, microseconds=message.nanos // 1000)


@dataclass(slots=True)
class _Reader:
    """Reads one filter, counting its conditions."""

    conditions: int = 0

    def read(self, message: search_pb2.Filter, field: str, depth: int) -> Filter:
        kind = message.WhichOneof("condition")
        if kind is None:
            raise InvalidInput(field, "set one condition, such as equals or all_of")
        self.conditions += 1
        if self.conditions > MAX_CONDITIONS:
            raise InvalidInput(field, f"at most {MAX_CONDITIONS} conditions: use one_of or ids for long lists")
        if depth > MAX_DEPTH:
            raise InvalidInput(field, f"at most {MAX_DEPTH} deep")
        inner, place = getattr(message, kind), f"{field}.{kind}"
        if kind in {"all_of", "any_of"}:
            if not inner.filters:
                raise InvalidInput(f"{place}.filters", "at least one is needed")
            parts = (self.read(one, f"{place}.filters[{at}]", depth + 1) for at, one in enumerate(inner.filters))
            return And(tuple(parts)) if kind == "all_of" else Or(tuple(parts))
        if kind == "negated":
            return Not(self.read(inner, place, depth + 1))
        return _CONDITIONS[kind](place, inner)


def _value(field: str, message: search_pb2.FilterValue) -> FilterValue:
    kind = message.WhichOneof("value")
    if kind is None:
        raise InvalidInput(field, "set text, integer, number or boolean")
    value: FilterValue = getattr(message, kind)
    if kind == "number":
        _finite(f"{field}.number", message.number)
    return value


def _finite(field: str, value: float) -> float:
    if not math.isfinite(value):
        raise InvalidInput(field, "must be finite")
    return value


def _count(field: str, count: int) -> None:
    if not 1 <= count <= MAX_VALUES:
        raise InvalidInput(field, f"{count} given; 1 to {MAX_VALUES} are allowed")


def _equals(place: str, message: search_pb2.Equals) -> Filter:
    return Equals(path(f"{place}.field", message.field), _value(f"{place}.value", message.value))


def _one_of(place: str, message: search_pb2.OneOf) -> Filter:
    field = path(f"{place}.field", message.field)
    _count(f"{place}.values", len(message.values))
    return OneOf(field, tuple(_value(f"{place}.values[{at}]", one) for at, one in enumerate(message.values)))


def _number_range(place: str, message: search_pb2.NumberRange) -> Filter:
    bounds = {name: _finite(f"{place}.{name}", getattr(message, name)) for name in _BOUNDS if message.HasField(name)}
    return NumberRange(field=path(f"{place}.field", message.field), **_some(place, bounds))


def _time_range(place: str, message: search_pb2.TimeRange) -> Filter:
    bounds = {name: instant(f"{place}.{name}", getattr(message, name)) for name in _BOUNDS if message.HasField(name)}
    return TimeRange(field=path(f"{place}.field", message.field), **_some(place, bounds))


def _some(place: str, bounds: dict[str, Any]) -> dict[str, Any]:
    if not bounds:
        raise InvalidInput(place, "set at least one of gt, gte, lt, lte")
    return bounds


def _exists(place: str, text: str) -> Filter:
    return Exists(path(place, text))


def _prefix(place: str, message: search_pb2.Prefix) -> Filter:
    if not message.prefix:
        raise InvalidInput(f"{place}.prefix", "must not be empty; use exists for any value")
    return Prefix(path(f"{place}.field", message.field), message.prefix)


def _geo_radius(place: str, message: search_pb2.GeoRadius) -> Filter:
    center = geo_point(f"{place}.center", message.center)
    if not (math.isfinite(message.meters) and message.meters > 0):
        raise InvalidInput(f"{place}.meters", "must be greater than 0")
    return GeoRadius(path(f"{place}.field", message.field), center, message.meters)


def _geo_box(place: str, message: search_pb2.GeoBox) -> Filter:
    north_west = geo_point(f"{place}.north_west", message.north_west)
    south_east = geo_point(f"{place}.south_east", message.south_east)
    if north_west.latitude < south_east.latitude:
        raise InvalidInput(f"{place}.north_west.latitude", "must not be less than south_east.latitude")
    return GeoBox(path(f"{place}.field", message.field), north_west, south_east)


def _words(place: str, message: search_pb2.Words) -> Filter:
    words = tuple(dict.fromkeys(words_of(message.words)))
    if not words:
        raise InvalidInput(f"{place}.words", "at least one word of letters or digits is needed")
    if len(words) > MAX_VALUES:
        raise InvalidInput(f"{place}.words", f"at most {MAX_VALUES} different words")
    return Words(path(f"{place}.field", message.field) if message.field else "", words)


def _ids(place: str, message: search_pb2.PointIds) -> Filter:
    _count(f"{place}.ids", len(message.ids))
    return Ids(tuple(payload.point_id(f"{place}.ids[{at}]", one) for at, one in enumerate(message.ids)))


_CONDITIONS: dict[str, Callable[[str, Any], Filter]] = {
    "equals": _equals,
    "one_of": _one_of,
    "number_range": _number_range,
    "time_range": _time_range,
    "exists": _exists,
    "prefix": _prefix,
    "geo_radius": _geo_radius,
    "geo_box": _geo_box,
    "words": _words,
    "ids": _ids,
}
