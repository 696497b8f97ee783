"""Our filters as Qdrant's, over what `qdrant_points` stores: the answers are those of `filters.matches`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from qdrant_client import models

from nearfield_server.engines.qdrant_points import field_key, number_token, point_uuid, truth_token
from nearfield_server.errors import Unsupported
from nearfield_server.filters import path_of, split_path
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
    PointId,
    Prefix,
    TimeRange,
    Words,
)

__all__ = ["expired_by", "live_points", "live_points_of_all"]

_RADIUS = 6_371_008.8 / 6_371_000.0  # Qdrant's mean radius of the Earth over ours


def live_points(
    tenant: str, now: float, condition: Filter | None, *, excluded: Sequence[PointId] = (), after: int | None = None
) -> models.Filter:
    """Give the filter for a tenant's points that aren't past their time and meet a condition.

    `excluded`: ids left out; `after`: only points that were first stored after this one.
    """
    must = [_match("tenant", tenant)]
    if after is not None:
        must.append(models.FieldCondition(key="order", range=models.Range(gt=after)))
    if condition is not None:
        must.append(_Writer(tenant).write(condition))
    must_not: list[Any] = [_expired(now)]
    if excluded:
        must_not.append(_has_id(tenant, excluded))
    return models.Filter(must=must, must_not=must_not)


def live_points_of_all(now: float, **ranges: models.Range) -> models.Filter:
    """Give the filter for points of all tenants that aren't past their time; `ranges`: of numbers of ours."""
    must: list[Any] = [models.FieldCondition(key=key, range=one) for key, one in ranges.items()]
    return models.Filter(must=must, must_not=[_expired(now)])


def expired_by(now: float) -> models.Filter:
    """Give the filter for points past their time, of all tenants."""
    return models.Filter(must=[_expired(now)])


def _expired(now: float) -> models.FieldCondition:
    return models.FieldCondition(key="expires_at", range=models.Range(lte=now))


def _has_id(tenant: str, ids: Sequence[PointId]) -> models.HasIdCondition:
    return models.HasIdCondition(has_id=[point_uuid(tenant, id_) for id_ in ids])


def _match(key: str, value: str) -> Any:
    return models.FieldCondition(key=key, match=models.MatchValue(value=value))


def _any_of(key: str, values: Sequence[str]) -> Any:
    return models.FieldCondition(key=key, match=models.MatchAny(any=list(values)))


class _Writer:
    """Writes the conditions of one tenant's query."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    def write(self, condition: Filter) -> Any:
        match condition:
            case And(parts):
                return models.Filter(must=[self.write(one) for one in parts])
            case Or(parts):
                return models.Filter(should=[self.write(one) for one in parts])
            case Not(inner):
                return models.Filter(must_not=[self.write(inner)])
            case Ids(ids):
                return _has_id(self._tenant, ids)
            case _:
                return _on_field(condition)


def _on_field(condition: Filter) -> Any:  # noqa: C901, PLR0911 - a kind each
    match condition:
        case Equals(field, value):
            return _among(field, (value,))
        case OneOf(field, values):
            return _among(field, values)
        case NumberRange(field=field, gt=gt, gte=gte, lt=lt, lte=lte):
            numbers = models.Range(gt=gt, gte=gte, lt=lt, lte=lte)
            return models.FieldCondition(key=field_key(field, "n"), range=numbers)
        case TimeRange(field=field, gt=gt, gte=gte, lt=lt, lte=lte):
            instants = models.DatetimeRange(gt=gt, gte=gte, lt=lt, lte=lte)
            return models.FieldCondition(key=field_key(field, "t"), range=instants)
        case Exists(field):
            # The key of a field is `fields."…".kind`: what stands in the quotes is its name.
            return _match("present", field_key(path_of(split_path(field)), "")[len('fields."') : -len('".')])
        case Prefix(field, prefix):
            return models.FieldCondition(key=field_key(field, "k"), match=_prefix(prefix))
        case Words(field, words):
            if not field:
                return models.Filter(must=[_match("words", word) for word in words])
            return _nested(field, "w", [_match("t", word) for word in words])
        case GeoRadius(field, center, meters):
            place = models.GeoPoint(lat=center.latitude, lon=center.longitude)
            circle = models.GeoRadius(center=place, radius=meters * _RADIUS)
            return models.FieldCondition(key=field_key(field, "g"), geo_radius=circle)
        case GeoBox():
            return _nested(condition.field, "g", _box(condition))
        case _:  # this is a bug: all kinds are above
            raise TypeError(type(condition).__name__)


def _prefix(prefix: str) -> Any:
    if not hasattr(models, "MatchPrefix"):
        raise Unsupported("filter", "prefix: the installed qdrant-client can't ask for it; it needs 1.20 or newer")
    return models.MatchPrefix(prefix=prefix)


def _nested(field: str, kind: str, conditions: list[Any]) -> Any:
    """All conditions are met by one element."""
    nested = models.Nested(key=field_key(field, kind), filter=models.Filter(must=conditions))
    return models.NestedCondition(nested=nested)


def _box(box: GeoBox) -> list[Any]:
    """Compare degrees: Qdrant's own boxes leave their borders out."""
    latitude = models.Range(gte=box.south_east.latitude, lte=box.north_west.latitude)
    west, east = models.Range(gte=box.north_west.longitude), models.Range(lte=box.south_east.longitude)
    sides = [models.FieldCondition(key="lon", range=side) for side in (west, east)]
    if box.north_west.longitude <= box.south_east.longitude:
        return [models.FieldCondition(key="lat", range=latitude), *sides]
    return [models.FieldCondition(key="lat", range=latitude), models.Filter(should=sides)]


def _among(field: str, values: Sequence[FilterValue]) -> Any:
    strings = [one for one in values if isinstance(one, str)]
    counted = [truth_token(one) for one in values if isinstance(one, bool)]
    numbers = [number_token(one) for one in values if isinstance(one, (int, float)) and not isinstance(one, bool)]
    found = []
    if strings:
        found.append(_any_of(field_key(field, "k"), strings))
    if counted or numbers:
        found.append(_any_of(field_key(field, "c"), [*counted, *numbers]))
    if numbers:
        found.append(_any_of(field_key(field, "d"), numbers))
    return models.Filter(should=found)
