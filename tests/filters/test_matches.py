"""The reference semantics of filters."""

import math
from datetime import UTC, datetime

import pytest

from nearfield_server.filters import instant_of, matches, meters_between, place_of
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

PAYLOAD = {
    "brand": "acme",
    "price": 3,
    "rate": 3.5,
    "on": True,
    "off": False,
    "one": 1,
    "big": 2**53 + 1,
    "tags": ["red", "blue", 7, None],
    "deep": {"list": [{"x": 1}, {"x": [2, [3]]}, 5], "empty": [], "null": None, "nothing": {}},
    "a.b": 10,
    "a": {"b": 20},
    "when": "2024-01-02T03:04:05.000006Z",
    "text": "The Quick-brown naïve fox",
    "texts": ["quick fox", "brown dog"],
    "berlin": {"lat": 52.52, "lon": 13.405},
    "places": [{"lat": 1, "lon": 2}, "no", {"lat": 90, "lon": 0}],
}


def met(condition):
    return matches(condition, id="a", text="Some WORDS here", payload=PAYLOAD)


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("brand", "acme", True),
        ("brand", "Acme", False),
        ("price", 3.0, True),
        ("price", "3", False),
        ("on", True, True),
        ("on", 1, False),
        ("one", True, False),
        ("off", 0, False),
        ("big", 2**53 + 1, True),
        ("big", float(2**53), False),
        ("tags", "blue", True),
        ("tags", 7, True),
        ("tags", "green", False),
        ("deep.list.x", 1, True),
        ("deep.list.x", 3, True),
        ("deep.list", 5, True),
        ("a.b", 20, True),
        ("a.b", 10, False),
        ('"a.b"', 10, True),
        ("none", "x", False),
        ("brand.x", "acme", False),
    ],
)
def test_equality(field, value, expected):
    assert met(Equals(field, value)) is expected
    assert met(OneOf(field, ("other", value))) is expected
    assert met(Not(Equals(field, value))) is not expected


@pytest.mark.parametrize(
    ("condition", "expected"),
    [
        (NumberRange(field="price", gte=3, lte=3), True),
        (NumberRange(field="price", gt=3), False),
        (NumberRange(field="price", lt=3), False),
        (NumberRange(field="rate", gt=3, lt=4), True),
        (NumberRange(field="on", gte=0), False),
        (NumberRange(field="brand", gte=0), False),
        (NumberRange(field="big", gt=float(2**53)), True),
        (NumberRange(field="deep.list.x", gt=2), True),
    ],
)
def test_numbers(condition, expected):
    assert met(condition) is expected


def test_bounds_of_a_range_are_met_by_one_element_together():
    within = NumberRange(field="x", gt=1, lt=3)
    assert not matches(within, id=1, text="", payload={"x": [1, 3]})
    assert matches(within, id=1, text="", payload={"x": [1, 2]})


def test_instants():
    exact = datetime(2024, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
    assert met(TimeRange(field="when", gte=exact, lte=exact))
    assert not met(TimeRange(field="when", gt=exact))
    assert not met(TimeRange(field="when", lt=exact))
    assert not met(TimeRange(field="brand", lte=exact))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("1970-01-01T00:00:00Z", 0),
        ("1970-01-01t00:00:01.5z", 1_500_000),
        ("1970-01-01 01:00:00+01:00", 0),
        ("1969-12-31T23:30:00-00:30", 0),
        ("1970-01-01T00:00:00.0000019Z", 1),
        ("1969-12-31T23:59:60Z", 0),
        ("9999-12-31T23:59:59-23:59", 253402300799_000_000 + (23 * 60 + 59) * 60_000_000),
    ],
)
def test_rfc_3339(text, expected):
    assert instant_of(text) == expected


@pytest.mark.parametrize(
    "value",
    [
        "2024-01-02",
        "2024-01-02T03:04:05",
        "2024-02-30T00:00:00Z",
        "2024-01-01T24:00:00Z",
        "2024-01-01T00:00:61Z",
        "2024-01-01T00:00:00+24:00",
        "2024-01-01T00:00:00Z ",
        "٢٠٢٤-01-01T00:00:00Z",
        "0000-01-01T00:00:00Z",
        "",
        5,
        None,
    ],
)
def test_what_is_no_instant(value):
    assert instant_of(value) is None


@pytest.mark.parametrize(
    ("field", "expected"),
    [
        ("brand", True),
        ("off", True),
        ("tags", True),
        ("deep.empty", False),
        ("deep.null", False),
        ("deep.nothing", True),
        ("deep", True),
        ("none", False),
        ("deep.list.y", False),
    ],
)
def test_existence(field, expected):
    assert met(Exists(field)) is expected


def test_prefix():
    assert met(Prefix("brand", "ac"))
    assert met(Prefix("tags", "bl"))
    assert not met(Prefix("brand", "AC"))
    assert not met(Prefix("price", "3"))


def test_words():
    assert met(Words("text", ("brown", "naïve")))
    assert met(Words("", ("words",)))
    assert not met(Words("", ("word",)))
    assert met(Words("texts", ("fox", "quick")))
    assert not met(Words("texts", ("fox", "brown"))), "one text must have all words"


def test_ids_are_of_two_kinds():
    assert met(Ids(("a", 2)))
    assert not met(Ids(("b",)))
    assert not matches(Ids((1,)), id="1", text="", payload={})


def test_joining():
    yes, no = Exists("brand"), Exists("none")
    assert met(And((yes, yes)))
    assert not met(And((yes, no)))
    assert met(Or((no, yes)))
    assert not met(Or((no, no)))


def test_distances():
    berlin, paris = GeoPoint(52.52, 13.405), GeoPoint(48.8566, 2.3522)
    assert meters_between(berlin, paris) == pytest.approx(877_460, rel=1e-4)
    assert meters_between(GeoPoint(90, 0), GeoPoint(90, 123)) == pytest.approx(0, abs=1e-6)
    assert meters_between(GeoPoint(0, 180), GeoPoint(0, -180)) == pytest.approx(0, abs=1e-6)
    assert meters_between(GeoPoint(0, 0), GeoPoint(0, 180)) == pytest.approx(math.pi * 6_371_000)
    assert met(GeoRadius("berlin", paris, 878_000))
    assert not met(GeoRadius("berlin", paris, 877_000))
    assert met(GeoRadius("places", GeoPoint(89.9999, 179), 100))
    assert not met(GeoRadius("brand", paris, 1e9))


@pytest.mark.parametrize(
    ("north", "west", "south", "east", "place", "expected"),
    [
        (10, 0, 0, 10, (5, 5), True),
        (10, 0, 0, 10, (10, 0), True),
        (10, 0, 0, 10, (10.01, 5), False),
        (10, 0, 0, 10, (5, 11), False),
        (10, 170, -10, -170, (0, 179), True),
        (10, 170, -10, -170, (0, -179), True),
        (10, 170, -10, -170, (0, 0), False),
        (90, -180, 80, 180, (90, 45), True),
    ],
)
def test_boxes(north, west, south, east, place, expected):
    box = GeoBox("p", GeoPoint(north, west), GeoPoint(south, east))
    assert matches(box, id=1, text="", payload={"p": {"lat": place[0], "lon": place[1]}}) is expected


@pytest.mark.parametrize(
    "value",
    [
        {"lat": 91, "lon": 0},
        {"lat": 0, "lon": 181},
        {"lat": True, "lon": 0},
        {"lat": 1},
        {"lon": "1", "lat": 1},
        [1, 2],
    ],
)
def test_what_is_no_place(value):
    assert place_of(value) is None
