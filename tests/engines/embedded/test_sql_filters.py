"""Filters in SQL give what the reference gives, whatever is indexed."""

import asyncio
import sqlite3
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield_server.engines.embedded import schema
from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.embedded.payload_index import change_fields
from nearfield_server.engines.embedded.reads import matching_rows
from nearfield_server.engines.embedded.sql_filters import add_functions, matching
from nearfield_server.engines.embedded.writes import Upsert, upsert
from nearfield_server.filters import matches
from nearfield_server.types import (
    And,
    Equals,
    Exists,
    FieldType,
    GeoBox,
    GeoPoint,
    GeoRadius,
    Ids,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    Record,
    TimeRange,
    UpsertMode,
    Words,
)

FIELDS = ("a", "b.c", '"d"', "e")
START = datetime(2024, 1, 1, tzinfo=UTC)
TEXTS = st.sampled_from(
    ["", "a", "ab", "A", "\x00", "a\x00b", "😀", "\U0010ffff", "\ud7ff", "one two", "Two, three!", "1"]
)
NUMBERS = st.one_of(
    st.integers(-2, 2), st.sampled_from([0.5, -0.0, 1e308, 2**53, 2**53 + 1, 2**63 - 1, -(2**63), 2.0**63])
)
VALUES = st.one_of(TEXTS, st.booleans(), NUMBERS)
DEGREES = st.sampled_from([-90.0, -1.0, 0.0, 0.5, 90.0])
PLACES = st.builds(GeoPoint, DEGREES, st.sampled_from([-180.0, -1.0, 0.0, 0.5, 179.0, 180.0]))
INSTANTS = st.integers(0, 5).map(lambda n: START + timedelta(microseconds=n))
LEAVES = st.one_of(
    VALUES,
    st.none(),
    INSTANTS.map(lambda at: at.isoformat(timespec="microseconds").replace("+00:00", "Z")),
    PLACES.map(lambda at: {"lat": at.latitude, "lon": at.longitude}),
)
JSON = st.one_of(LEAVES, st.lists(LEAVES, max_size=3), st.fixed_dictionaries({"c": LEAVES}))
PAYLOADS = st.dictionaries(st.sampled_from(["a", "b", "d", "e"]), JSON, max_size=4)
POINT_IDS = st.sampled_from([0, 1, "1", "\x00", "a"])
PATHS = st.sampled_from(FIELDS)
BOUND = st.none() | st.floats(-2, 2) | st.sampled_from([2.0**53, 2.0**63, -(2.0**63)])
MOMENT = st.none() | INSTANTS


@st.composite
def circles(draw):
    return GeoRadius(draw(PATHS), draw(PLACES), draw(st.sampled_from([0.1, 1e5, 1.2e5, 1e7, 2.1e7])))


CONDITIONS = st.recursive(
    st.one_of(
        st.builds(Equals, PATHS, VALUES),
        st.builds(OneOf, PATHS, st.lists(VALUES, min_size=1, max_size=3).map(tuple)),
        st.builds(OneOf, PATHS, VALUES.map(lambda one: (one, *(str(n) for n in range(100))))),
        st.builds(NumberRange, field=PATHS, gt=BOUND, gte=BOUND, lt=BOUND, lte=BOUND),
        st.builds(TimeRange, field=PATHS, gt=MOMENT, gte=MOMENT, lt=MOMENT, lte=MOMENT),
        st.builds(Exists, PATHS),
        st.builds(Prefix, PATHS, TEXTS.filter(bool)),
        circles(),
        st.builds(GeoBox, PATHS, PLACES, PLACES),
        st.builds(Words, st.sampled_from([*FIELDS, ""]), st.sampled_from([("one",), ("two", "one"), ("1",)])),
        st.builds(Ids, st.lists(POINT_IDS, min_size=1, max_size=3).map(tuple)),
    ),
    lambda inner: st.one_of(
        st.builds(And, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Or, st.lists(inner, min_size=1, max_size=3).map(tuple)),
        st.builds(Not, inner),
    ),
    max_leaves=5,
)
INDEXES = st.dictionaries(st.sampled_from(["a", "b.c", "d", "e", ""]), st.sampled_from(FieldType), max_size=4)


def opened(kit, indexes):
    connection = sqlite3.connect(":memory:", isolation_level=None)
    schema.create_tables(connection, pack_spec(kit.spec()))
    add_functions(connection)
    change_fields(connection, indexes)
    return connection


def store(connection, kit, points, mode=UpsertMode.UPSERT):
    records = [Record(id=id_, text=text, payload=payload, vector=kit.vector(0)) for id_, text, payload in points]
    return upsert(connection, Upsert("", records, mode, None, 0.0))


def found(connection, condition):
    with matching(connection, condition) as where:
        rows = matching_rows(connection, "", where, 0.0).tolist()
    return {id_ for row in rows for (id_,) in connection.execute("SELECT id FROM points WHERE row = ?", (row,))}


@pytest.mark.slow
@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    indexes=INDEXES,
    points=st.lists(st.tuples(POINT_IDS, TEXTS, PAYLOADS), max_size=8),
    conditions=st.lists(CONDITIONS, min_size=1, max_size=4),
)
def test_sql_agrees_with_the_reference(kit, indexes, points, conditions):
    connection = opened(kit, indexes)
    try:
        for point in points:  # the later of equal ids replaces what the indexes hold of the earlier
            store(connection, kit, [point])
        last = {id_: (text, payload) for id_, text, payload in points}
        for condition in conditions:
            wanted = {
                id_ for id_, (text, payload) in last.items() if matches(condition, id=id_, text=text, payload=payload)
            }
            assert found(connection, condition) == wanted
        held = connection.execute("SELECT count(*) FROM entries WHERE row NOT IN (SELECT row FROM points)").fetchone()
        assert held == (0,)
    finally:
        connection.close()


@pytest.mark.parametrize("indexes", [{}, {"a": FieldType.KEYWORD}])
def test_long_lists_and_many_conditions(kit, indexes):
    connection = opened(kit, indexes)
    store(connection, kit, [(n, "", {"a": f"v{n}"}) for n in range(20)])
    many = OneOf("a", tuple(f"v{n}" for n in range(5, 10_005)))
    assert found(connection, And((many, Not(OneOf("a", ("v7", *map(str, range(10_000)))))))) == set(range(5, 20)) - {7}
    wide = Or(tuple(Or((Equals("a", f"v{n}"), Exists("none"))) for n in range(340)))
    assert found(connection, wide) == set(range(20))
    connection.close()


@pytest.mark.parametrize("text", ["' OR 1=1 --", '"; DROP TABLE points; --', "%", "*", "\\"])
def test_text_is_never_sql(kit, text):
    connection = opened(kit, {text.replace('"', ""): FieldType.KEYWORD, "a": FieldType.KEYWORD})
    store(connection, kit, [(1, "", {"a": text}), (2, "", {"a": "else"})])
    assert found(connection, Equals("a", text)) == {1}
    assert found(connection, Prefix("a", text)) == {1}
    assert found(connection, Exists("x'y")) == set()
    connection.close()


@pytest.mark.slow
async def test_an_estimate_looks_at_a_sample(running, kit):
    async with running(exact_below=10) as engine:
        store_ = await engine.create(kit.spec())
        vector = kit.vector(0)
        records = [Record(id=n, vector=vector, payload={"half": n % 2}) for n in range(60_000)]
        await asyncio.gather(
            *[
                store_.upsert("", records[at : at + 10_000], UpsertMode.UPSERT, wait=False, position=None)
                for at in range(0, 60_000, 10_000)
            ]
        )
        count, exact = await store_.count("", NumberRange(field="half", gte=0), estimate=True)
        assert not exact
        assert abs(count - 60_000) < 600
        assert await store_.count("", Equals("half", 1), estimate=False) == (30_000, True)
