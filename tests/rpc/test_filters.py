"""Filters of requests."""

import math
from datetime import UTC, datetime

import pytest

from nearfield.v1 import search_pb2 as pb
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc.filters import filter_of
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

EXISTS = pb.Filter(exists="a")


def value(**of):
    return pb.FilterValue(**of)


def at(seconds, nanos=0):
    return {"seconds": seconds, "nanos": nanos}


def nested(depth):
    message = EXISTS
    for _ in range(depth - 1):
        message = pb.Filter(negated=message)
    return message


@pytest.mark.parametrize(
    ("message", "expected"),
    [
        (pb.Filter(equals={"field": "a", "value": value(text="x")}), Equals("a", "x")),
        (pb.Filter(equals={"field": "a", "value": value(integer=0)}), Equals("a", 0)),
        (pb.Filter(equals={"field": "a", "value": value(number=1.5)}), Equals("a", 1.5)),
        (
            pb.Filter(one_of={"field": "a.b", "values": [value(boolean=True), value(text="")]}),
            OneOf("a.b", (True, "")),
        ),
        (
            pb.Filter(number_range={"field": "a", "gt": 0, "lte": 2}),
            NumberRange(field="a", gt=0, lte=2),
        ),
        (
            pb.Filter(time_range={"field": "a", "gte": at(1, 1999), "lt": at(-62_135_596_800)}),
            TimeRange(field="a", gte=datetime(1970, 1, 1, 0, 0, 1, 1, UTC), lt=datetime(1, 1, 1, tzinfo=UTC)),
        ),
        (EXISTS, Exists("a")),
        (pb.Filter(prefix={"field": "a", "prefix": "x"}), Prefix("a", "x")),
        (
            pb.Filter(geo_radius={"field": "a", "center": {"latitude": 1, "longitude": 2}, "meters": 3}),
            GeoRadius("a", GeoPoint(1, 2), 3),
        ),
        (
            pb.Filter(geo_box={"field": "a", "north_west": {"latitude": 1, "longitude": 170}, "south_east": {}}),
            GeoBox("a", GeoPoint(1, 170), GeoPoint(0, 0)),
        ),
        (pb.Filter(words={"words": "One, TWO one"}), Words("", ("one", "two"))),
        (pb.Filter(words={"field": "a", "words": "x"}), Words("a", ("x",))),
        (pb.Filter(ids={"ids": [{"text": "a/\0😀"}, {"number": 0}]}), Ids(("a/\0😀", 0))),
        (pb.Filter(all_of={"filters": [EXISTS]}), And((Exists("a"),))),
        (pb.Filter(any_of={"filters": [EXISTS, EXISTS]}), Or((Exists("a"), Exists("a")))),
        (pb.Filter(negated=EXISTS), Not(Exists("a"))),
    ],
)
def test_what_messages_say(message, expected):
    assert filter_of(message, "") == expected


def test_texts_are_read_instead():
    assert filter_of(None, "") is None
    assert filter_of(None, "exists(a)") == Exists("a")
    with pytest.raises(InvalidInput, match="not both"):
        filter_of(EXISTS, "exists(a)")


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (pb.Filter(), "filter"),
        (pb.Filter(all_of={}), "filter.all_of.filters"),
        (pb.Filter(all_of={"filters": [EXISTS, EXISTS, pb.Filter()]}), "filter.all_of.filters[2]"),
        (
            pb.Filter(all_of={"filters": [EXISTS, pb.Filter(equals={"value": value(text="")})]}),
            "filter.all_of.filters[1].equals.field",
        ),
        (pb.Filter(negated=pb.Filter(any_of={})), "filter.negated.any_of.filters"),
        (pb.Filter(equals={"field": "a"}), "filter.equals.value"),
        (pb.Filter(equals={"field": "a", "value": value(number=math.nan)}), "filter.equals.value.number"),
        (pb.Filter(equals={"field": "a..b", "value": value(text="")}), "filter.equals.field"),
        (pb.Filter(equals={"field": "a" * 257, "value": value(text="")}), "filter.equals.field"),
        (pb.Filter(one_of={"field": "a"}), "filter.one_of.values"),
        (pb.Filter(one_of={"field": "a", "values": [value(text="")] * 10_001}), "filter.one_of.values"),
        (pb.Filter(one_of={"field": "a", "values": [value(text=""), value()]}), "filter.one_of.values[1]"),
        (pb.Filter(number_range={"field": "a"}), "filter.number_range"),
        (pb.Filter(number_range={"field": "a", "lt": math.inf}), "filter.number_range.lt"),
        (pb.Filter(number_range={"gt": 1}), "filter.number_range.field"),
        (pb.Filter(time_range={"field": "a"}), "filter.time_range"),
        (pb.Filter(time_range={"field": "a", "gt": at(253_402_300_800)}), "filter.time_range.gt"),
        (pb.Filter(time_range={"field": "a", "gt": at(0, -1)}), "filter.time_range.gt"),
        (pb.Filter(exists=""), "filter.exists"),
        (pb.Filter(prefix={"field": "a"}), "filter.prefix.prefix"),
        (pb.Filter(geo_radius={"field": "a", "meters": 0}), "filter.geo_radius.meters"),
        (pb.Filter(geo_radius={"field": "a", "meters": math.inf}), "filter.geo_radius.meters"),
        (
            pb.Filter(geo_radius={"field": "a", "center": {"latitude": 90.1}, "meters": 1}),
            "filter.geo_radius.center.latitude",
        ),
        (
            pb.Filter(geo_radius={"field": "a", "center": {"longitude": math.nan}, "meters": 1}),
            "filter.geo_radius.center.longitude",
        ),
        (pb.Filter(geo_box={"field": "a", "south_east": {"latitude": 1}}), "filter.geo_box.north_west.latitude"),
        (pb.Filter(words={"words": "?!"}), "filter.words.words"),
        (pb.Filter(words={"words": " ".join(map(str, range(10_001)))}), "filter.words.words"),
        (pb.Filter(ids={}), "filter.ids.ids"),
        (pb.Filter(ids={"ids": [{"number": 1}, {}]}), "filter.ids.ids[1]"),
        (pb.Filter(ids={"ids": [{"text": ""}]}), "filter.ids.ids[0].text"),
        (pb.Filter(ids={"ids": [{"text": "é" * 257}]}), "filter.ids.ids[0].text"),
        (pb.Filter(all_of={"filters": [EXISTS] * 1024}), "filter.all_of.filters[1023]"),
        (nested(17), "filter" + ".negated" * 16),
        (nested(60), "filter" + ".negated" * 16),
    ],
)
def test_what_is_wrong_is_named(message, field):
    with pytest.raises(InvalidInput) as caught:
        filter_of(message, "")
    assert [one.field for one in caught.value.violations] == [field]


def test_what_is_within_the_bounds():
    assert filter_of(nested(16), "")
    assert filter_of(pb.Filter(all_of={"filters": [EXISTS] * 1023}), "")
    assert filter_of(pb.Filter(one_of={"field": "a", "values": [value(text="")] * 10_000}), "")
