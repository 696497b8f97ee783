"""What filters mean: the reference that every engine agrees with.

A condition on a field is met when one of the values at its path meets it (`paths.values_at`). Values of another kind
than the condition asks for don't meet it. Numbers are compared exactly, whatever their size; 3 equals 3.0, and truth
values are no numbers. Boxes compare degrees as they are: longitudes -180 and 180 differ, and so do places at a pole.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, TypeAlias

from nearfield_server.filters.instants import instant_of, meters_between, microseconds, place_of
from nearfield_server.filters.paths import values_at
from nearfield_server.filters.words import words_of
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
    Json,
    Not,
    NumberRange,
    OneOf,
    Or,
    PointId,
    Prefix,
    TimeRange,
    Words,
)

__all__ = ["Matcher", "key_of", "matcher", "matches", "values_at"]

Matcher: TypeAlias = Callable[[PointId, str, Mapping[str, Json]], bool]
"""Tells whether a point with this id, text and payload meets a condition."""

_Test: TypeAlias = Callable[[Json], bool]


def matches(condition: Filter, *, id: PointId, text: str, payload: Mapping[str, Json]) -> bool:  # noqa: A002 - its name
    """Tell whether a point meets a condition."""
    return matcher(condition)(id, text, payload)


def matcher(condition: Filter) -> Matcher:
    """Make a test of a condition, for many points."""
    if isinstance(condition, (And, Or)):
        parts = [matcher(one) for one in condition.filters]
        join = all if isinstance(condition, And) else any
        return lambda id_, text, payload: join(one(id_, text, payload) for one in parts)
    if isinstance(condition, Not):
        inner = matcher(condition.filter)
        return lambda id_, text, payload: not inner(id_, text, payload)
    if isinstance(condition, Ids):
        ids = frozenset(condition.ids)
        return lambda id_, _, __: id_ in ids
    test, path = _TESTS[type(condition)](condition), condition.field
    if isinstance(condition, Words) and not path:
        return lambda _, text, __: test(text)
    return lambda _, __, payload: any(map(test, values_at(payload, path)))


def key_of(value: FilterValue) -> tuple[str, FilterValue]:
    """Give what is equal for equal values: numbers are equal by value, and never equal truth values."""
    if isinstance(value, bool):
        return "bool", value
    return ("text", value) if isinstance(value, str) else ("number", value)


def _equals(condition: Equals | OneOf) -> _Test:
    values = (condition.value,) if isinstance(condition, Equals) else condition.values
    wanted = frozenset(map(key_of, values))
    return lambda value: isinstance(value, (str, int, float)) and key_of(value) in wanted


def _number_range(condition: NumberRange) -> _Test:
    within = _within(condition.gt, condition.gte, condition.lt, condition.lte)
    return lambda value: isinstance(value, (int, float)) and not isinstance(value, bool) and within(value)


def _time_range(condition: TimeRange) -> _Test:
    bounds = (condition.gt, condition.gte, condition.lt, condition.lte)
    within = _within(*(microseconds(one) if isinstance(one, datetime) else None for one in bounds))

    def test(value: Json) -> bool:
        instant = instant_of(value)
        return instant is not None and within(instant)

    return test


def _within(gt: float | None, gte: float | None, lt: float | None, lte: float | None) -> Callable[[float], bool]:
    return lambda value: (
        (gt is None or value > gt)
        and (gte is None or value >= gte)
        and (lt is None or value < lt)
        and (lte is None or value <= lte)
    )


def _exists(_: Exists) -> _Test:
    return lambda value: value is not None


def _prefix(condition: Prefix) -> _Test:
    return lambda value: isinstance(value, str) and value.startswith(condition.prefix)


def _words(condition: Words) -> _Test:
    wanted = frozenset(condition.words)
    return lambda value: isinstance(value, str) and wanted.issubset(words_of(value))


def _radius(condition: GeoRadius) -> _Test:
    return _place(lambda place: meters_between(condition.center, place) <= condition.meters)


def _box(condition: GeoBox) -> _Test:
    north, south = condition.north_west.latitude, condition.south_east.latitude
    west, east = condition.north_west.longitude, condition.south_east.longitude

    def test(place: GeoPoint) -> bool:
        if not south <= place.latitude <= north:
            return False
        if west <= east:
            return west <= place.longitude <= east
        return place.longitude >= west or place.longitude <= east

    return _place(test)


def _place(test: Callable[[GeoPoint], bool]) -> _Test:
    def found(value: Json) -> bool:
        place = place_of(value)
        return place is not None and test(place)

    return found


_TESTS: dict[type, Callable[[Any], _Test]] = {
    Equals: _equals,
    OneOf: _equals,
    NumberRange: _number_range,
    TimeRange: _time_range,
    Exists: _exists,
    Prefix: _prefix,
    Words: _words,
    GeoRadius: _radius,
    GeoBox: _box,
}
