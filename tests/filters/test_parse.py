"""The readable form of filters."""

import importlib.util
import sys
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.errors import InvalidInput
from nearfield_server.filters import format_filter, parse_filter
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

_spec = importlib.util.spec_from_file_location("filter_strategies", Path(__file__).with_name("strategies.py"))
strategies = sys.modules.setdefault("filter_strategies", importlib.util.module_from_spec(_spec))
_spec.loader.exec_module(strategies)

A, B, C = Equals("a", 1), Equals("b", 2), Equals("c", 3)
DAY = datetime(2024, 1, 31, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            'price < 20 and brand in ("a", "b")',
            And((NumberRange(field="price", lt=20), OneOf("brand", ("a", "b")))),
        ),
        ("a = 1", A),
        ("a == 1", A),
        ("a != 1", Not(A)),
        ("a=1 or b=2 and c=3", Or((A, And((B, C))))),
        ("(a=1 or b=2) and c=3", And((Or((A, B)), C))),
        ("not a=1 and b=2", And((Not(A), B))),
        ("not (a=1 and b=2)", Not(And((A, B)))),
        ("NOT a=1 AND b=2 Or c=3", Or((And((Not(A), B)), C))),
        ("a=1 and (b=2 and c=3)", And((A, And((B, C))))),
        ("((a=1))", A),
        ("x >= -1.5e3", NumberRange(field="x", gte=-1500.0)),
        ("x between 1 and 2 and a = 1", And((NumberRange(field="x", gte=1, lte=2), A))),
        ("range(x, > 1, <= 2)", NumberRange(field="x", gt=1, lte=2)),
        ('t >= "2024-01-31"', TimeRange(field="t", gte=DAY)),
        ("t < '2024-01-31T01:00:00.000001+01:00'", TimeRange(field="t", lt=DAY.replace(microsecond=1))),
        ('t between "2024-01-31" and "2024-01-31T00:00:00Z"', TimeRange(field="t", gte=DAY, lte=DAY)),
        ('t = "2024-01-31"', Equals("t", "2024-01-31")),
        ("on = true or on = FALSE", Or((Equals("on", True), Equals("on", False)))),
        ("x not in (1, 2.5, 'a')", Not(OneOf("x", (1, 2.5, "a")))),
        ("exists(author.name)", Exists("author.name")),
        ('contains(tags, "x")', Equals("tags", "x")),
        ('name startswith "ab"', Prefix("name", "ab")),
        ('match("Two WORDS, two")', Words("", ("two", "words"))),
        ('match(body, "x")', Words("body", ("x",))),
        ("geo_radius(at, 52.5, 13.4, 500)", GeoRadius("at", GeoPoint(52.5, 13.4), 500)),
        ("geo_box(at, 10, 170, -10, -170)", GeoBox("at", GeoPoint(10, 170), GeoPoint(-10, -170))),
        ('id = "a"', Ids(("a",))),
        ("id != 5", Not(Ids((5,)))),
        ('id in (1, "1")', Ids((1, "1"))),
        ("id not in (-1)", Not(Ids((-1,)))),
        ("`id` = 1", Equals("id", 1)),
        ("`in`.`or` = 1", Equals("in.or", 1)),
        ("`a.b`.c = 1", Equals('"a.b".c', 1)),
        ("`a b``c` = 1", Equals("a b`c", 1)),
        ("exists = 1", Equals("exists", 1)),
        ("größe-2 = 1", Equals("größe-2", 1)),
        (r"""a = "\"\\\n\u00e9\U0001F600" """, Equals("a", '"\\\né\U0001f600')),
        (r"a = 'it\'s'", Equals("a", "it's")),
        ("\n a\t=\r\n1 ", A),
    ],
)
def test_what_is_read(text, expected):
    assert parse_filter(text) == expected


@pytest.mark.parametrize(
    ("text", "column", "what"),
    [
        ("", 1, "expected a field"),
        ("price <", 8, "a number or a date after <"),
        ("price < and", 9, "a number or a date"),
        ("price 20", 7, "one of = =="),
        ("price not 20", 11, "expected in"),
        ("price = brand", 9, "expected a value"),
        ('brand < "abc"', 9, "no date"),
        ('t < "2024-02-30"', 5, "no date"),
        ('t < "9999-12-31T23:59:59-01:00"', 5, "no date"),
        ('x between 1 and "2024-01-01"', 29, "of one kind"),
        ("x between 1, 2", 12, "expected and"),
        ("a = 1 b = 2", 7, "and, or, or the end"),
        ("(a = 1", 7, r"expected \)"),
        ("a in 1", 6, r"expected \("),
        ("a in ()", 7, "expected a value"),
        ("a in (1 2)", 9, r"expected \)"),
        ("a = 'x", 5, "isn't closed"),
        ("`a = 1", 1, "isn't closed"),
        ("a = 5x", 5, "no number"),
        ("a # 1", 3, "expected a field, a value"),
        (r"a = '\q'", 6, "unknown escape"),
        (r"a = '\ud800'", 6, "no character"),
        ("a = 9223372036854775808", 5, "no 64-bit integer"),
        ("a = 1e999", 5, "too great"),
        ("a = " + "1" * 500, 5, "at most 400"),
        ("near(a)", 1, "known are contains"),
        ("exists()", 8, "expected a field"),
        ("match(a, '!')", 10, "words of letters"),
        ("match(a, 1)", 10, "a text in quotes"),
        ("name startswith ''", 17, "a text in quotes"),
        ("geo_radius(a, 91, 0, 1)", 15, "latitude must be"),
        ("geo_radius(a, 0, 181, 1)", 18, "longitude must be"),
        ("geo_radius(a, 0, 0, 0)", 21, "greater than 0"),
        ("geo_radius(a, 0, 'x', 0)", 18, "expected longitude"),
        ("geo_box(a, 0, 0, 1, 0)", 18, "not be north"),
        ("range(a)", 8, "a bound"),
        ("range(a, < 1, < 2)", 15, "each at most once"),
        ("id < 5", 4, "backticks"),
        ("id not 5", 8, "expected in"),
        ("id = 1.5", 6, "an id"),
        ("id = ''", 6, "1 to 512 bytes"),
        ("id.x = 1", 3, "backticks"),
        ("not = 1", 5, "expected a field"),
        ('`"a` = 1', 1, "quotes"),
        ("a" * 257 + " = 1", 1, "256"),
    ],
)
def test_errors_point_at_the_column(text, column, what):
    with pytest.raises(InvalidInput, match=what) as caught:
        parse_filter(text)
    message = caught.value.violations[0].description
    assert caught.value.violations[0].field == "filter_expression"
    assert message.startswith(f"column {column}: ")
    assert all(len(line) <= 62 for line in message.split("\n")[1:2])


def test_the_excerpt_is_short_and_the_caret_under_the_place():
    text = " and ".join(f"field{n} = {n}" for n in range(100)).replace("= 50 ", "# 50 ")
    with pytest.raises(InvalidInput) as caught:
        parse_filter(text)
    _, shown, caret = caught.value.violations[0].description.split("\n")
    assert len(shown) <= 62
    assert shown[caret.index("^")] == "#"


@pytest.mark.parametrize(
    "text",
    [
        "(" * 100_00 + "a = 1" + ")" * 100_00,
        "not " * 10_000 + "a = 1",
        "not (" * 100 + "a = 1" + ")" * 100,
        " and ".join(["a = 1"] * 1024),
        f"a in ({', '.join(['1'] * 10_001)})",
        "a = '" + "x" * 65_536 + "'",
        "not (a=1 or " * 8 + "a = 1" + ")" * 8,
        "a = '\ud800" + "x" * 70_000,
    ],
)
def test_bounds(text):
    with pytest.raises(InvalidInput, match="at most"):
        parse_filter(text)


def test_what_is_within_the_bounds():
    assert len(parse_filter(" and ".join(["a = 1"] * 1023)).filters) == 1023
    assert len(parse_filter(f"a in ({', '.join(['1'] * 10_000)})").values) == 10_000
    assert parse_filter("not " * 15 + "a = 1")


@pytest.mark.slow
@given(strategies.FILTERS)
def test_what_is_written_is_read_again(condition):
    assert parse_filter(format_filter(condition)) == condition


def test_joins_of_one_are_written_as_that_one():
    assert format_filter(And((Or((A, B)),))) == "a = 1 or b = 2"
    assert format_filter(Or((And((A,)), And((Or((A, B)),))))) == "a = 1 or (a = 1 or b = 2)"


PIECES = ["a", "(", ")", "and", "or", "not", "in", "=", "<", "1", "'x'", ",", "id", "match", ".", "`", '"', "2.5"]


@given(st.one_of(st.text(), st.lists(st.sampled_from(PIECES)).map(" ".join)))
def test_nonsense_gives_an_error_or_a_filter(text):
    try:
        found = parse_filter(text)
    except InvalidInput:
        return
    assert parse_filter(format_filter(found)) == found
