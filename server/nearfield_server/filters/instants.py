"""Instants and places in payloads, and what lies between two places."""

from __future__ import annotations

import math
import re
from datetime import UTC, datetime, timedelta
from typing import TypeGuard

from nearfield_server.types import GeoPoint, Json

__all__ = ["instant_of", "meters_between", "microseconds", "place_of"]

EARTH_METERS = 6_371_000.0
"""Mean radius of the Earth."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_RFC_3339 = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2})[Tt ]([0-9]{2}:[0-9]{2}):([0-9]{2})(?:\.([0-9]+))?"
    r"(?:[Zz]|([+-])([01][0-9]|2[0-3]):([0-5][0-9]))"
)


def instant_of(value: Json) -> int | None:
    """Give the microseconds since the epoch of a string as in RFC 3339, finer ones cut off; `None` for all else.

    A blank may stand for the T. The leap second 60 is the first second of the next minute.
    """
    found = _RFC_3339.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        return None
    day, minute, second, fraction, sign, hours, minutes = found.groups()
    try:
        start = datetime.fromisoformat(f"{day}T{minute}:00+00:00")
    except ValueError:
        return None
    if int(second) > 60:  # noqa: PLR2004 - the leap second
        return None
    offset = 0 if sign is None else (int(hours) * 60 + int(minutes)) * (60 if sign == "+" else -60)
    return microseconds(start) + (int(second) - offset) * 1_000_000 + int(((fraction or "") + "000000")[:6])


def microseconds(instant: datetime) -> int:
    """Give the microseconds since the epoch of an aware datetime."""
    return (instant - _EPOCH) // timedelta(microseconds=1)


def place_of(value: Json) -> GeoPoint | None:
    """Give the place that an object with `lat` and `lon` in their ranges is; `None` for all else."""
    if not isinstance(value, dict):
        return None
    latitude, longitude = value.get("lat"), value.get("lon")
    if not (_is_number(latitude) and _is_number(longitude)):
        return None
    if abs(latitude) <= 90 and abs(longitude) <= 180:  # noqa: PLR2004 - degrees; False for NaN
        return GeoPoint(float(latitude), float(longitude))
    return None


def _is_number(value: Json) -> TypeGuard[float]:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def meters_between(one: GeoPoint, other: GeoPoint) -> float:
    """Give the length of the great circle between two places, by the haversine formula (Sinnott, 1984)."""
    first, second = math.radians(one.latitude), math.radians(other.latitude)
    across = math.radians(other.longitude - one.longitude)
    h = math.sin((second - first) / 2) ** 2 + math.cos(first) * math.cos(second) * math.sin(across / 2) ** 2
    return 2 * EARTH_METERS * math.asin(math.sqrt(min(1.0, h)))
