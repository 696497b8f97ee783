"""Every engine against the exact one, on points, filters and operations by chance."""

import asyncio
import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.exact import ExactEngine
from nearfield_server.types import (
    And,
    CollectionSpec,
    Durability,
    EngineQuery,
    Equals,
    Exists,
    GeoBox,
    GeoPoint,
    GeoRadius,
    Hnsw,
    Ids,
    IndexState,
    KeywordOptions,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    Record,
    Selection,
    SimilarityMetric,
    SparseRow,
    TimeRange,
    UpsertMode,
    VectorQuantization,
    Words,
)

WIDTH = 4
ALL = Selection(vector=True)
START = datetime(2024, 1, 1, tzinfo=UTC)
INSTANTS = [START + timedelta(microseconds=n) for n in (0, 1, 2, 10**6)] + [START + timedelta(days=400)]

TEXTS = st.sampled_from(["", "x", "xy", "Hello World", "hello", "naïve 東京", "1", "true", "2024-01-01", "a.b"])
TIMES = st.sampled_from(INSTANTS).map(lambda one: one.isoformat().replace("+00:00", "Z"))
NUMBERS = st.sampled_from([0, 1, 2, -1, 0.5, 1.0, -0.0, 2**53, 2**53 - 1, 1e300, -2.5])
DEGREES = st.sampled_from([-90, -89.5, -10, 0, 0.5, 10, 89.5, 90])
EAST = st.sampled_from([-180, -179.5, -10, 0, 0.5, 10, 179.5, 180])
PLACES = st.builds(lambda lat, lon: {"lat": lat, "lon": lon}, DEGREES, EAST)
SCALARS = st.one_of(TEXTS, TIMES, NUMBERS, st.booleans(), st.none(), PLACES)
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.sampled_from(["a", "b", "a.b", ""]), inner, max_size=2)
    ),
    max_leaves=5,
)
PAYLOADS = st.dictionaries(st.sampled_from(["a", "b", "c", "a.b"]), VALUES, max_size=3)
IDS = st.sampled_from(["1", 1, "two", 2, -3, "a/\0😀"])
TENANTS = st.sampled_from(["", "other"])
PATHS = st.sampled_from(["a", "b", "c", "a.a", "a.b", '"a.b"', "b.a.b", 'b."a.b"', 'c.""', "none"])
SPARSE = st.dictionaries(st.integers(0, 5), st.sampled_from([0.5, 1.0, 1.5]), max_size=4)


def vector(seed):
    found = np.random.default_rng(seed).normal(size=WIDTH)
    return (found / np.linalg.norm(found)).astype(np.float32)


def sparse(weights):
    ids = sorted(weights)
    return SparseRow(np.array(ids, np.uint32), np.array([weights[one] for one in ids], np.float32))


VECTORS = st.integers(0, 30).map(vector)
RECORDS = st.builds(
    Record, id=IDS, text=TEXTS, vector=VECTORS, sparse=st.one_of(st.none(), SPARSE.map(sparse)), payload=PAYLOADS
)
QUERY_VALUES = st.one_of(TEXTS, NUMBERS, st.booleans())
PLACE = st.builds(GeoPoint, DEGREES, EAST)


def bounds(kind, values):
    found = st.dictionaries(st.sampled_from(["gt", "gte", "lt", "lte"]), values, min_size=1, max_size=2)
    return st.builds(lambda field, some: kind(field=field, **some), PATHS, found)


def box(field, one, other):
    north, south = sorted((one, other), key=lambda place: -place.latitude)
    return GeoBox(field, north, south)


WORDS = st.lists(st.sampled_from(["hello", "world", "naïve", "東", "x"]), min_size=1, max_size=2, unique=True)
SIMPLE = st.one_of(
    st.builds(Equals, PATHS, QUERY_VALUES),
    st.builds(OneOf, PATHS, st.lists(QUERY_VALUES, min_size=1, max_size=3).map(tuple)),
    bounds(NumberRange, NUMBERS.map(float)),
    bounds(TimeRange, st.sampled_from(INSTANTS)),
    st.builds(Exists, PATHS),
    st.builds(Prefix, PATHS, st.sampled_from(["x", "Hello W", "h", "2024-01-01"])),
    st.builds(GeoRadius, PATHS, PLACE, st.sampled_from([1.0, 1e5, 2e6, 1e8])),
    st.builds(box, PATHS, PLACE, PLACE),
    st.builds(Words, st.one_of(st.just(""), PATHS), WORDS.map(tuple)),
    st.builds(Ids, st.lists(IDS, min_size=1, max_size=3).map(tuple)),
)


def joined(parts):
    some = st.lists(parts, min_size=1, max_size=3).map(tuple)
    return st.one_of(st.builds(And, some), st.builds(Or, some), st.builds(Not, parts))


FILTERS = st.recursive(SIMPLE, joined, max_leaves=4)
OPERATIONS = st.one_of(
    st.tuples(st.sampled_from(UpsertMode), TENANTS, st.lists(RECORDS, min_size=1, max_size=8)),
    st.tuples(st.just("delete"), TENANTS, st.one_of(FILTERS, st.lists(IDS, max_size=2))),
)
HISTORIES = st.tuples(
    st.lists(RECORDS, min_size=4, max_size=12),
    st.lists(RECORDS, max_size=4),
    st.lists(OPERATIONS, max_size=4),
)
METRICS = st.sampled_from(SimilarityMetric)
numbers = itertools.count()


def spec(metric):
    return CollectionSpec(
        name=f"c{next(numbers)}",
        model="",
        model_version="",
        dimensions=WIDTH,
        metric=metric,
        keyword=KeywordOptions(),
        quantization=VectorQuantization.NONE,
        hnsw=Hnsw(),
        payload_indexes={},
        durability=Durability.PROCESS,
        ttl_seconds=None,
        created_at=START,
    )


async def apply(store, history):
    """Do the same to a store; give what it answered."""
    first, others, operations = history
    answers = []
    for records, tenant in ((first, ""), (others, "other")):
        answers.append(await store.upsert(tenant, records, UpsertMode.UPSERT, wait=True, position=None))
    for kind, tenant, what in operations:
        if kind == "delete":
            answers.append(await store.delete(tenant, what, wait=True))
            continue
        records = what
        if kind is UpsertMode.PAYLOAD:
            records = [replace(one, vector=None, sparse=None, text="") for one in what]
        outcome = await store.upsert(tenant, records, kind, wait=True, position=None)
        answers.append((outcome.stored, outcome.skipped))
    return answers[2:]


async def listed(store, tenant, condition):
    found, cursor = [], None
    while cursor != "":
        page = await store.scroll(tenant, condition, ALL, limit=3, cursor=cursor or "")
        assert len(page.records) <= 3
        cursor = page.cursor
        found += [(one.id, one.text, one.payload, one.vector.round(5).tolist()) for one in page.records]
    return found


def same_hits(found, expected, limit):
    """Equal scores to 1e-3, and the same ids but for those that tie."""
    assert [hit.score for hit in found] == pytest.approx([hit.score for hit in expected[:limit]], abs=1e-3, rel=1e-5)
    allowed = {hit.id: hit.score for hit in expected}
    for hit in found:
        assert hit.score == pytest.approx(allowed[hit.id], abs=1e-3, rel=1e-5)
    assert len({hit.id for hit in found}) == len(found)


async def compare(engine, oracle, history, metric, filters, query):
    made = spec(metric)
    store, expected = await engine.create(made), await oracle.create(made)
    assert await apply(store, history) == await apply(expected, history)
    for tenant, condition in itertools.product(["", "other", "none"], [None, *filters]):
        assert await listed(store, tenant, condition) == await listed(expected, tenant, condition), condition
        counted = await expected.count(tenant, condition, estimate=False)
        assert await store.count(tenant, condition, estimate=False) == counted
        facets = [await one.facet(tenant, "a", condition, limit=3) for one in (store, expected)]
        assert [(type(x.value), x.value, x.count) for x in facets[0]] == [
            (type(x.value), x.value, x.count) for x in facets[1]
        ]
    conditions = [None, *filters]
    dense = [EngineQuery(tenant="", limit=5, dense=query[0], filter=one) for one in conditions]
    keyword = [EngineQuery(tenant="", limit=5, sparse=sparse(query[1]), filter=one) for one in conditions]
    asked = dense + (keyword if query[1] else [])
    whole = [replace(one, limit=100) for one in asked]
    for found, best in zip(await store.search(asked), await expected.search(whole), strict=True):
        same_hits(found.hits, best.hits, 5)
    await engine.drop(made.name)
    await oracle.drop(made.name)


def run(make_engine, clock, examples, filters):
    """Compare an engine with the oracle on so many histories."""
    query = st.tuples(VECTORS, SPARSE.map(lambda found: dict.fromkeys(found, 1.0)))
    with asyncio.Runner() as runner:
        engine, oracle = make_engine(), ExactEngine(clock)
        runner.run(engine.start())

        @settings(max_examples=examples, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
        @given(HISTORIES, METRICS, st.lists(FILTERS, min_size=filters, max_size=filters), query)
        def check(history, metric, chosen, asked):
            runner.run(compare(engine, oracle, history, metric, chosen, asked))

        try:
            check()
        finally:
            runner.run(engine.close())


@pytest.mark.slow
def test_answers_are_those_of_the_exact_engine(make_engine, clock):
    run(make_engine, clock, examples=25, filters=3)


@pytest.mark.slow
@pytest.mark.long
def test_answers_to_500_filters_are_those_of_the_exact_engine(make_engine, clock):
    run(make_engine, clock, examples=100, filters=5)


SAMPLES = ["x", "xy", "Hello World", 1, 0.5, True, None, [1, "x"], {"a": "x", "b": [2]}, {"lat": 10, "lon": 0.5}]


def some_points(count):
    random = np.random.default_rng(7)
    for n in range(count):
        chosen = {key: SAMPLES[random.integers(len(SAMPLES))] for key in "abc" if random.random() < 0.7}
        weights = {int(word): 1.0 for word in random.integers(0, 6, 3)}
        yield Record(id=n, text="Hello" if n % 3 else "x", vector=vector(n), sparse=sparse(weights), payload=chosen)


async def indexed(engine, oracle):
    """Fill the same collection in both; give it when the one's index answers."""
    made = spec(SimilarityMetric.COSINE)
    stores = [await one.create(made) for one in (engine, oracle)]
    for store in stores:
        await store.upsert("", list(some_points(600)), UpsertMode.UPSERT, wait=True, position=None)
    while (await stores[0].stats()).index_state is not IndexState.READY:  # noqa: ASYNC110 - the Protocol tells states only when asked
        await asyncio.sleep(0.02)
    return stores


async def compare_searches(store, expected, condition, query):
    asked = [EngineQuery(tenant="", limit=10, dense=query, filter=condition)]
    asked += [EngineQuery(tenant="", limit=10, sparse=sparse({1: 1.0, 4: 1.0}), filter=condition)]
    whole = [replace(one, limit=1000) for one in asked]
    for found, best in zip(await store.search(asked), await expected.search(whole), strict=True):
        same_hits(found.hits, best.hits, 10)


@pytest.mark.slow
@pytest.mark.long
def test_an_index_answers_500_filters_as_the_exact_engine_does(tmp_path, clock):
    with asyncio.Runner() as runner:
        engine, oracle = EmbeddedEngine(tmp_path, EmbeddedSettings(exact_below=0), clock), ExactEngine(clock)
        runner.run(engine.start())
        store, expected = runner.run(asyncio.wait_for(indexed(engine, oracle), 120))

        @settings(max_examples=500, suppress_health_check=list(HealthCheck), deadline=None, derandomize=True)
        @given(FILTERS, VECTORS)
        def check(condition, query):
            runner.run(compare_searches(store, expected, condition, query))

        try:
            check()
            (ranked,) = runner.run(store.search([EngineQuery(tenant="", limit=10, dense=vector(1))]))
            assert not ranked.exact, "it was the index that answered"
        finally:
            runner.run(engine.close())
