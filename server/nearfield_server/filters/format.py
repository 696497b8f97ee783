"""Filters in their readable form, written: `parse_filter(format_filter(x)) == x`.

Joins of one part are written as that part. Paths come back as `path_of` writes them, words as `words_of` gives them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from nearfield_server.filters.paths import split_path
from nearfield_server.filters.tokens import PLAIN_KEY, RESERVED
from nearfield_server.types import (
    And,
    Equals,
    Exists,
    Filter,
    FilterValue,
    GeoBox,
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

__all__ = ["format_filter"]

_SIGNS = {"gt": ">", "gte": ">=", "lt": "<", "lte": "<="}


def format_filter(condition: Filter) -> str:  # noqa: PLR0911 - a kind each
    """Write a filter as text."""
    match condition:
        case And(parts) | Or(parts):
            word = " and " if isinstance(condition, And) else " or "
            return word.join(map(_part, parts)) if len(parts) > 1 else format_filter(parts[0])
        case Not(Equals(field, value)):
            return f"{_field(field)} != {_value(value)}"
        case Not(OneOf(field, values)):
            return f"{_field(field)} not in {_values(values)}"
        case Not(Ids(ids)):
            return f"id != {_value(ids[0])}" if len(ids) == 1 else f"id not in {_values(ids)}"
        case Not(inner):
            return f"not {_part(inner)}"
        case Ids(ids):
            return f"id = {_value(ids[0])}" if len(ids) == 1 else f"id in {_values(ids)}"
        case NumberRange() | TimeRange():
            return _range(condition)
        case _:
            return _simple(condition)


def _simple(condition: Filter) -> str:  # noqa: PLR0911 - a kind each
    match condition:
        case Equals(field, value):
            return f"{_field(field)} = {_value(value)}"
        case OneOf(field, values):
            return f"{_field(field)} in {_values(values)}"
        case Exists(field):
            return f"exists({_field(field)})"
        case Prefix(field, prefix):
            return f"{_field(field)} startswith {_value(prefix)}"
        case Words(field, words):
            text = _value(" ".join(words))
            return f"match({_field(field)}, {text})" if field else f"match({text})"
        case GeoRadius(field, center, meters):
            return f"geo_radius({_field(field)}, {center.latitude!r}, {center.longitude!r}, {meters!r})"
        case GeoBox(field, north_west, south_east):
            places = (north_west.latitude, north_west.longitude, south_east.latitude, south_east.longitude)
            return f"geo_box({_field(field)}, {', '.join(map(repr, places))})"
        case _:  # this is a bug: all kinds are above
            raise TypeError(type(condition).__name__)


def _part(condition: Filter) -> str:
    """Write what stands within another condition."""
    text = format_filter(condition)
    while isinstance(condition, (And, Or)) and len(condition.filters) == 1:
        condition = condition.filters[0]
    return f"({text})" if isinstance(condition, (And, Or)) else text


def _range(condition: NumberRange | TimeRange) -> str:
    field = _field(condition.field)
    bounds = {name: getattr(condition, name) for name in _SIGNS if getattr(condition, name) is not None}
    shown = {name: _bound(bound) for name, bound in bounds.items()}
    if len(shown) == 1:
        ((name, bound),) = shown.items()
        return f"{field} {_SIGNS[name]} {bound}"
    if set(shown) == {"gte", "lte"}:
        return f"{field} between {shown['gte']} and {shown['lte']}"
    return f"range({', '.join([field, *(f'{_SIGNS[name]} {bound}' for name, bound in shown.items())])})"


def _bound(bound: float | datetime) -> str:
    return _value(bound.isoformat() if isinstance(bound, datetime) else bound)


def _values(values: Sequence[FilterValue]) -> str:
    return f"({', '.join(map(_value, values))})"


def _value(value: FilterValue) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return json.dumps(value, ensure_ascii=False) if isinstance(value, str) else repr(value)


def _field(path: str) -> str:
    return ".".join(_key(key) for key in split_path(path))


def _key(key: str) -> str:
    plain = PLAIN_KEY.fullmatch(key) and key.lower() not in RESERVED
    return key if plain else f"`{key.replace('`', '``')}`"
