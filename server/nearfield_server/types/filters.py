"""Conditions on points, as values. docs/filters.md tells what each means; every engine gives the same answers.

A path has dots (`author.name`). A condition on a field that holds a list is met when one of its elements meets it, and
a path goes through lists likewise. `Not` is plain negation: it is met by points that lack the field.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TypeAlias

__all__ = [
    "And",
    "Equals",
    "Exists",
    "Filter",
    "FilterValue",
    "GeoBox",
    "GeoPoint",
    "GeoRadius",
    "Ids",
    "Not",
    "NumberRange",
    "OneOf",
    "Or",
    "PointId",
    "Prefix",
    "TimeRange",
    "Words",
    "walk",
]

PointId: TypeAlias = str | int
"""A caller's name for a point. The string "1" and the integer 1 are two ids."""

FilterValue: TypeAlias = str | bool | int | float
"""A string, truth value, integer or finite number. `True` never equals 1; 3 equals 3.0."""


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """Degrees north, in [-90, 90], and east, in [-180, 180] (WGS 84)."""

    latitude: float
    longitude: float


@dataclass(frozen=True, slots=True)
class And:
    """All are met; there is at least one."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Or:
    """At least one is met; there is at least one."""

    filters: tuple[Filter, ...]


@dataclass(frozen=True, slots=True)
class Not:
    """It isn't met."""

    filter: Filter


@dataclass(frozen=True, slots=True)
class Equals:
    """The field has this value."""

    field: str
    value: FilterValue


@dataclass(frozen=True, slots=True)
class OneOf:
    """The field has one of these values; there is at least one."""

    field: str
    values: tuple[FilterValue, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRange:
    """A number within bounds, of which at least one is set. Truth values are no numbers."""

    field: str
    gt: float | None = None
    gte: float | None = None
    lt: float | None = None
    lte: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TimeRange:
    """An instant within bounds (aware datetimes, microseconds), of which at least one is set.

    Instants are Payload.timestamps, or strings as in RFC 3339; other strings never match.
    """

    field: str
    gt: datetime | None = None
    gte: datetime | None = None
    lt: datetime | None = None
    lte: datetime | None = None


@dataclass(frozen=True, slots=True)
class Exists:
    """The field is there, and is neither null nor an empty list."""

    field: str


@dataclass(frozen=True, slots=True)
class Prefix:
    """A string that begins with `prefix`, which isn't empty; case matters."""

    field: str
    prefix: str


@dataclass(frozen=True, slots=True)
class GeoRadius:
    """A place within `meters` of `center` along the great circle (haversine, mean radius 6,371,000 m)."""

    field: str
    center: GeoPoint
    meters: float


@dataclass(frozen=True, slots=True)
class GeoBox:
    """A place within a box, borders included; it crosses the 180th meridian where its west is greater than its east."""

    field: str
    north_west: GeoPoint
    south_east: GeoPoint


@dataclass(frozen=True, slots=True)
class Words:
    """A text that has all these words, in lower case, split at what isn't a letter or digit.

    Field "": the point's text.
    """

    field: str
    words: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Ids:
    """Points of these ids."""

    ids: tuple[PointId, ...]


Filter: TypeAlias = (
    And | Or | Not | Equals | OneOf | NumberRange | TimeRange | Exists | Prefix | GeoRadius | GeoBox | Words | Ids
)
"""Any condition."""


def walk(condition: Filter) -> Iterator[Filter]:
    """Give a condition and all within it, outermost first."""
    yield condition
    if isinstance(condition, (And, Or)):
        for one in condition.filters:
            yield from walk(one)
    elif isinstance(condition, Not):
        yield from walk(condition.filter)
