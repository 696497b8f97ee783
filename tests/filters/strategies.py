"""Filters by chance."""

from datetime import UTC, datetime

from hypothesis import strategies as st

from nearfield_server.filters import path_of, words_of
from nearfield_server.types import (
    And,
    Equals,
    Exists,
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

TEXT = st.text(st.characters(codec="utf-8"), max_size=8)
KEYS = st.one_of(st.sampled_from(["a", "id", "not", "In", "x-y", "größe"]), TEXT.filter(lambda x: '"' not in x))
PATHS = st.lists(KEYS, min_size=1, max_size=3).map(path_of)
NUMBERS = st.floats(allow_nan=False, allow_infinity=False)
VALUES = st.one_of(TEXT, st.booleans(), st.integers(-(2**63), 2**63 - 1), NUMBERS)
WORDS = TEXT.map(words_of).filter(bool).map(lambda x: tuple(dict.fromkeys(x)))
IDS = st.one_of(TEXT.filter(bool), st.integers(-(2**63), 2**63 - 1))
INSTANTS = st.datetimes(datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC))  # noqa: DTZ001 - naive bounds
PLACES = st.builds(GeoPoint, st.floats(-90, 90), st.floats(-180, 180))


def bounds(one):
    names = st.sets(st.sampled_from(["gt", "gte", "lt", "lte"]), min_size=1)
    return names.flatmap(lambda found: st.fixed_dictionaries(dict.fromkeys(found, one)))


def boxes(field, one, other):
    north, south = sorted((one, other), key=lambda x: -x.latitude)
    return GeoBox(field, north, south)


SIMPLE = st.one_of(
    st.builds(Equals, PATHS, VALUES),
    st.builds(OneOf, PATHS, st.lists(VALUES, min_size=1, max_size=4).map(tuple)),
    st.builds(lambda field, found: NumberRange(field=field, **found), PATHS, bounds(NUMBERS)),
    st.builds(lambda field, found: TimeRange(field=field, **found), PATHS, bounds(INSTANTS)),
    st.builds(Exists, PATHS),
    st.builds(Prefix, PATHS, TEXT.filter(bool)),
    st.builds(GeoRadius, PATHS, PLACES, st.floats(1e-3, 1e9)),
    st.builds(boxes, PATHS, PLACES, PLACES),
    st.builds(Words, st.one_of(st.just(""), PATHS), WORDS),
    st.builds(Ids, st.lists(IDS, min_size=1, max_size=4).map(tuple)),
)


def joined(parts):
    some = st.lists(parts, min_size=2, max_size=3).map(tuple)
    return st.one_of(st.builds(And, some), st.builds(Or, some), st.builds(Not, parts))


FILTERS = st.recursive(SIMPLE, joined, max_leaves=8)
