"""Filters as plain lists, as they go to the worker: conditions on the keys of `encoding`.

["and" | "or", [plan, …]]  ["not", plan]  ["rows", [row, …]]
["any", key, [keyword, …]]  ["prefix", key, text]  ["there", key]  ["nested", key, [keyword, …]]
["number" | "time", key, {"gt" | "gte" | "lt" | "lte": bound}]
["radius", key, latitude, longitude, meters]  ["box", key, north, west, south, east]
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from nearfield_server.engines.embedded.index.encoding import (
    EXACT_BELOW,
    FIRST_INSTANT,
    LAST_INSTANT,
    LONGEST,
    instant_text,
    key_of,
    keyword,
    text_token,
)
from nearfield_server.engines.embedded.index.query import IndexFilter, IndexNotReady, Rows
from nearfield_server.filters import microseconds
from nearfield_server.types import (
    And,
    Equals,
    Exists,
    FieldType,
    FilterValue,
    GeoBox,
    GeoRadius,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    TimeRange,
    Words,
)

__all__ = ["Plan", "plan_of"]

Plan = list[Any]

_EDGE_METERS = 6_371_008.8 / 6_371_000.0
"""Edge measures on a slightly larger Earth than we do."""
_LEAST_METERS = 1e-3
_POLE, _SEAM = 90.0, 180.0
_SLACK_METERS = 1e-6  # Edge leaves its borders out, we don't; nobody measures micrometres


def plan_of(condition: IndexFilter, indexes: Mapping[str, FieldType]) -> Plan:
    """Give the plan of a filter for an index with these payload indexes.

    Raises:
        IndexNotReady: the index can't tell exactly which points meet it.
    """
    if isinstance(condition, (And, Or)):
        return ["and" if isinstance(condition, And) else "or", [plan_of(one, indexes) for one in condition.filters]]
    if isinstance(condition, Not):
        return ["not", plan_of(condition.filter, indexes)]
    if isinstance(condition, Rows):
        return ["rows", list(condition.rows)]
    if isinstance(condition, Words):
        return _words(condition, indexes)
    make = _PLANS.get(type(condition))
    if make is None:  # Ids, which the store turns into rows
        raise IndexNotReady("filter")
    return make(condition)


def _equals(condition: Equals | OneOf) -> Plan:
    values = (condition.value,) if isinstance(condition, Equals) else condition.values
    numbers = [value for value in values if _is_small_number(value)]
    plans: list[Plan] = [["number", key_of("n", condition.field), {"gte": one, "lte": one}] for one in numbers]
    keywords = [keyword(value) for value in values if not _is_small_number(value)]
    if keywords:
        plans.append(["any", key_of("k", condition.field), keywords])
    return plans[0] if len(plans) == 1 else ["or", plans]


def _is_small_number(value: FilterValue) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < EXACT_BELOW


def _numbers(condition: NumberRange) -> Plan:
    bounds = _bounds(condition)
    if any(abs(bound) >= EXACT_BELOW for bound in bounds.values()):
        raise IndexNotReady("filter")
    return ["number", key_of("n", condition.field), bounds]


def _times(condition: TimeRange) -> Plan:
    bounds = {name: microseconds(bound) for name, bound in _bounds(condition).items()}
    if any(bound in {FIRST_INSTANT, LAST_INSTANT} for bound in bounds.values()):
        raise IndexNotReady("filter")  # what lies beyond stands as one of these
    return ["time", key_of("t", condition.field), {name: instant_text(bound) for name, bound in bounds.items()}]


def _bounds(condition: NumberRange | TimeRange) -> dict[str, Any]:
    bounds: dict[str, float | datetime | None] = {
        "gt": condition.gt,
        "gte": condition.gte,
        "lt": condition.lt,
        "lte": condition.lte,
    }
    return {name: bound for name, bound in bounds.items() if bound is not None}


def _exists(condition: Exists) -> Plan:
    return ["any", key_of("e", condition.field), ["y"]]


def _prefix(condition: Prefix) -> Plan:
    if len(condition.prefix) > LONGEST:
        raise IndexNotReady("filter")
    return ["prefix", key_of("k", condition.field), f"s{condition.prefix}"]


def _radius(condition: GeoRadius) -> Plan:
    if condition.meters < _LEAST_METERS:
        raise IndexNotReady("filter")
    meters = condition.meters * _EDGE_METERS * (1 + 1e-12) + _SLACK_METERS
    return ["radius", key_of("g", condition.field), condition.center.latitude, condition.center.longitude, meters]


def _box(condition: GeoBox) -> Plan:
    upper, lower = condition.north_west, condition.south_east
    if (
        max(map(abs, (upper.latitude, lower.latitude))) >= _POLE
        or max(map(abs, (upper.longitude, lower.longitude))) >= _SEAM
    ):
        raise IndexNotReady("filter")  # such a border can't be moved outwards
    up, down = math.inf, -math.inf
    return [
        "box",
        key_of("g", condition.field),
        math.nextafter(upper.latitude, up),
        math.nextafter(upper.longitude, down),
        math.nextafter(lower.latitude, down),
        math.nextafter(lower.longitude, up),
    ]


def _words(condition: Words, indexes: Mapping[str, FieldType]) -> Plan:
    """All words in one text: where a point has several texts, each is looked at by itself."""
    if indexes.get(condition.field) is not FieldType.TEXT or not condition.words:
        raise IndexNotReady("filter")
    tokens = [text_token(word) for word in dict.fromkeys(condition.words)]
    key, several = key_of("w", condition.field), key_of("m", condition.field)
    plans: list[Plan] = [["any", key, [token]] for token in tokens]
    if len(tokens) > 1:
        plans.append(["or", [["not", ["there", several]], ["nested", several, tokens]]])
    return ["and", plans]


_PLANS: dict[type, Callable[[Any], Plan]] = {
    Equals: _equals,
    OneOf: _equals,
    NumberRange: _numbers,
    TimeRange: _times,
    Exists: _exists,
    Prefix: _prefix,
    GeoRadius: _radius,
    GeoBox: _box,
}
