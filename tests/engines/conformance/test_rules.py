"""What every engine does, case by case."""

from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest

from nearfield_server.engines.base import StreamPosition
from nearfield_server.errors import AlreadyExists, CollectionNotFound, FailedPrecondition, InvalidInput
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    EngineQuery,
    Equals,
    Exists,
    FacetCount,
    FieldType,
    Hnsw,
    KeywordOptions,
    PayloadKind,
    Record,
    Selection,
    SimilarityMetric,
    SparseRow,
    UpsertMode,
    UpsertOutcome,
    VectorQuantization,
)

ALL = Selection(vector=True)
IDS = Selection(payload=False, text=False)


def spec(**changes):
    whole = CollectionSpec(
        name="docs",
        model="",
        model_version="",
        dimensions=2,
        metric=SimilarityMetric.COSINE,
        keyword=KeywordOptions(),
        quantization=VectorQuantization.NONE,
        hnsw=Hnsw(),
        payload_indexes={},
        durability=Durability.PROCESS,
        ttl_seconds=None,
        created_at=datetime(2024, 1, 1, tzinfo=UTC),
    )
    return replace(whole, **changes)


def vector(degrees):
    return np.array([np.cos(np.radians(degrees)), np.sin(np.radians(degrees))], np.float32)


def words(**weights):
    ids = sorted(weights, key=ord)
    return SparseRow(np.array(list(map(ord, ids)), np.uint32), np.array([weights[one] for one in ids], np.float32))


def point(id_, degrees=0, **others):
    return Record(id=id_, vector=vector(degrees), **others)


async def put(store, *records, tenant="", mode=UpsertMode.UPSERT, position=None):
    return await store.upsert(tenant, records, mode, wait=True, position=position)


async def ids_of(store, tenant="", condition=None, select=IDS):
    found, cursor = [], None
    while cursor != "":
        page = await store.scroll(tenant, condition, select, limit=2, cursor=cursor or "")
        found += [one.id for one in page.records]
        cursor = page.cursor
    return found


async def found(store, *, tenant="", limit=10, **query):
    (ranked,) = await store.search([EngineQuery(tenant=tenant, limit=limit, **query)])
    return [(hit.id, pytest.approx(hit.score, abs=1e-3)) for hit in ranked.hits]


@pytest.fixture
async def store(engine):
    return await engine.create(spec())


async def test_collections_come_and_go(engine):
    one = await engine.create(spec())
    other = await engine.create(spec(name="other", metric=SimilarityMetric.DOT))
    assert engine.stores() == {"docs": one, "other": other}
    assert one.spec == spec()
    with pytest.raises(AlreadyExists):
        await engine.create(spec())
    await put(one, point("a"))
    await engine.drop("docs")
    assert list(engine.stores()) == ["other"]
    with pytest.raises(CollectionNotFound):
        await engine.drop("docs")
    with pytest.raises(FailedPrecondition):
        await put(one, point("b"))
    again = await engine.create(spec())
    assert await again.count("", None, estimate=False) == (0, True)


async def test_points_come_back_as_they_were(store):
    record = Record(
        id="a/\0😀",
        text="Some text",
        vector=vector(30),
        sparse=words(a=1.5),
        payload={
            "t": "2024-01-02T03:04:05.000000Z",
            "g": {"lat": 1, "lon": 2.5},
            "whole": 3,
            "fraction": 3.25,
            "large": 2**53,
            "nothing": None,
            "yes": True,
            "list": [1, [2, {"x": []}], "z"],
            "object": {"a.b": {"": 0}, "empty": {}},
        },
        kinds={"t": PayloadKind.TIMESTAMP, "g": PayloadKind.GEO},
        expires_at=1_900_000_000.5,
    )
    outcome = await put(store, record)
    (kept,) = await store.get("", ["a/\0😀"], ALL)
    assert kept.vector.tolist() == pytest.approx(record.vector.tolist(), abs=1e-6)
    assert replace(kept, vector=None) == replace(record, vector=None, sparse=None, version=outcome.version)
    assert list(map(type, kept.payload.values())) == list(map(type, record.payload.values()))


async def test_only_what_is_asked_for_is_given(store):
    whole = point("a", text="t", payload={"x": {"y": 1, "z": 2}, "t": "2"}, kinds={"t": PayloadKind.TIMESTAMP})
    await put(store, whole)
    (bare,) = await store.get("", ["a"], IDS)
    assert (bare.text, bare.vector, bare.payload, bare.kinds) == ("", None, {}, {})
    (part,) = await store.get("", ["a"], Selection(include=("x.y",)))
    assert (part.payload, part.kinds, part.text) == ({"x": {"y": 1}}, {}, "t")
    (part,) = await store.get("", ["a"], Selection(exclude=("x.y", "t")))
    assert part.payload == {"x": {"z": 2}}


async def test_ids_of_two_kinds_and_two_tenants(store):
    await put(store, point("1", payload={"n": 1}), point(1, payload={"n": 2}), point(-(2**63)), point(2**63 - 1))
    await put(store, point("1", payload={"n": 3}), tenant="other")
    assert [one.payload for one in await store.get("", [1, "1", "none"], ALL)] == [{"n": 2}, {"n": 1}]
    assert [one.payload for one in await store.get("other", [1, "1"], ALL)] == [{"n": 3}]
    assert await ids_of(store) == ["1", 1, -(2**63), 2**63 - 1]
    assert await store.delete("other", None, wait=True) == 1
    assert await store.count("", None, estimate=False) == (4, True)
    assert (await store.stats()).points == 4


async def test_what_upserts_do(store):
    first = await put(store, point("a", text="1", payload={"x": 1, "y": 1}), point("b", text="1"))
    assert (first.stored, first.skipped) == (2, 0)
    made = await put(store, point("b", text="2"), point("c", text="2"), mode=UpsertMode.CREATE)
    assert (made.stored, made.skipped) == (1, 1)
    changed = await put(store, point("b", text="3"), point("d", text="3"), mode=UpsertMode.UPDATE)
    assert (changed.stored, changed.skipped) == (1, 1)
    merged = await put(
        store, Record(id="a", payload={"y": 2, "z": [3]}), Record(id="e", payload={}), mode=UpsertMode.PAYLOAD
    )
    assert (merged.stored, merged.skipped) == (1, 1)
    last = await put(store, point("c", text="4"), point("c", text="5"))
    assert last.stored == 1
    assert first.version < made.version < changed.version < merged.version < last.version
    kept = await store.get("", ["a", "b", "c", "d", "e"], ALL)
    assert [(one.id, one.text, one.version) for one in kept] == [
        ("a", "1", merged.version),
        ("b", "3", changed.version),
        ("c", "5", last.version),
    ]
    assert kept[0].payload == {"x": 1, "y": 2, "z": [3]}
    assert kept[0].vector is not None
    assert await ids_of(store) == ["a", "b", "c"], "in the order of first storing"
    assert await ids_of(store, condition=Equals("z", 3)) == ["a"], "filters see what was put in later"
    assert await store.count("", Equals("y", 1), estimate=False) == (0, True)


async def test_payload_and_words_stay_together(store):
    await put(store, point("a", sparse=words(x=1.0)))
    await put(store, Record(id="a", payload={"n": 1}), mode=UpsertMode.PAYLOAD)
    assert await found(store, sparse=words(x=1.0), filter=Equals("n", 1))
    await put(store, point("a", sparse=None))
    assert not await found(store, sparse=words(x=1.0))


async def test_streams_go_on_where_they_were(store):
    async def send(number, id_, tenant="", token="s"):
        return await put(store, point(id_), tenant=tenant, position=StreamPosition(token, number))

    first = await send(1, "a")
    assert await send(1, "b") == UpsertOutcome(1, 0, first.version)
    assert await ids_of(store) == ["a"]
    await send(3, "c")
    await send(2, "d")
    assert await ids_of(store) == ["a", "c"]
    await send(1, "e", token="other")
    await send(1, "f", tenant="t")
    assert await ids_of(store) == ["a", "c", "e"]
    assert await ids_of(store, "t") == ["f"]


async def test_points_past_their_time_are_gone(store, clock):
    await put(store, point("a", expires_at=clock.now + 10), point("b"), point("c", expires_at=clock.now - 1))
    assert await ids_of(store) == ["a", "b"]
    clock.now += 10
    assert await ids_of(store) == ["b"]
    assert await store.get("", ["a", "c"], IDS) == []
    assert await store.count("", None, estimate=False) == (1, True)
    assert await found(store, dense=vector(0)) == [("b", 1.0)]
    assert await store.facet("", "x", None, limit=5) == []
    assert (await put(store, point("a"), mode=UpsertMode.UPDATE)).skipped == 1
    assert (await put(store, point("c"), mode=UpsertMode.CREATE)).stored == 1
    assert await ids_of(store) == ["b", "c"]


async def test_deleting(store):
    await put(store, *[point(n, payload={"even": n % 2 == 0}) for n in range(6)])
    assert await store.delete("", Equals("even", True), wait=True) == 3
    assert await store.delete("", [1, 1, 99, "3"], wait=True) == 1
    assert await store.delete("", [], wait=True) == 0
    assert await ids_of(store) == [3, 5]
    assert await found(store, dense=vector(0)) == [(3, 1.0), (5, 1.0)]
    assert await store.delete("", None, wait=True) == 2
    assert await ids_of(store) == []


async def test_cursors(store):
    await put(store, *[point(n) for n in range(5)])
    page = await store.scroll("", None, IDS, limit=3, cursor="")
    await store.delete("", [2, 3], wait=True)
    await put(store, point(9))
    rest = await store.scroll("", None, IDS, limit=3, cursor=page.cursor)
    assert [one.id for one in rest.records] == [4, 9]
    assert rest.cursor == ""
    for wrong in ("nonsense", page.cursor[:-1], "ü", "A" * 500):
        with pytest.raises(InvalidInput) as caught:
            await store.scroll("", None, IDS, limit=3, cursor=wrong)
        assert caught.value.violations[0].field == "cursor"


@pytest.mark.parametrize(
    ("metric", "expected"),
    [
        (SimilarityMetric.COSINE, [("x", 1.0), ("y", 0.0), ("z", -1.0)]),
        (SimilarityMetric.DOT, [("x", 1.0), ("y", 0.0), ("z", -1.0)]),
        (SimilarityMetric.EUCLIDEAN, [("x", 0.0), ("y", -(2**0.5)), ("z", -2.0)]),
    ],
)
async def test_nearest(engine, metric, expected):
    store = await engine.create(spec(metric=metric))
    await put(store, point("z", 180), point("y", 90), point("x", 0))
    await put(store, point("x", 0), tenant="other")
    assert await found(store, dense=vector(0)) == expected
    assert await found(store, dense=vector(0), limit=1) == expected[:1]
    assert await found(store, dense=vector(0), exclude=("x",)) == expected[1:]
    assert await found(store, dense=vector(0), exact=True, ef=50) == expected


async def test_ties_are_in_the_order_of_first_storing(store):
    await put(store, *[point(n) for n in (5, 3, 9)])
    await put(store, point(5))
    assert [id_ for id_, _ in await found(store, dense=vector(0))] == [5, 3, 9]


async def test_words_are_weighed_by_how_rare_they_are(store):
    await put(
        store,
        point("a", sparse=words(x=1.0, y=1.0)),
        point("b", sparse=words(x=2.0)),
        point("c", sparse=words(z=1.0)),
        point("d", sparse=SparseRow(np.zeros(0, np.uint32), np.zeros(0, np.float32))),
        point("e"),
    )
    idf = {n: np.log(1 + (5 - n + 0.5) / (n + 0.5)) for n in (1, 2)}
    assert await found(store, sparse=words(x=1.0, y=1.0)) == [("a", idf[2] + idf[1]), ("b", 2 * idf[2])]
    assert await found(store, sparse=words(q=1.0)) == []
    assert await found(store, sparse=words(x=1.0), exclude=("b",)) == [("a", idf[2])]


async def test_several_queries_at_once(store):
    await put(store, point("a", 0, sparse=words(x=1.0)), point("b", 90))
    queries = [
        EngineQuery(tenant="", limit=1, dense=vector(80)),
        EngineQuery(tenant="", limit=1, sparse=words(x=1.0)),
        EngineQuery(tenant="none", limit=1, dense=vector(80)),
    ]
    assert [[hit.id for hit in one.hits] for one in await store.search(queries)] == [["b"], ["a"], []]
    assert await store.search([]) == []


async def test_facets(store):
    values = ["x", "y", ["x", "z", "x"], True, 1, "1", 1.5, None, {"a": 1}, ["y", [2]], "True"]
    await put(store, *[point(n, payload={"f": value}) for n, value in enumerate(values)])
    counts = await store.facet("", "f", None, limit=100)
    assert counts[:2] == [FacetCount("x", 2), FacetCount("y", 2)]
    rest = {(type(one.value), one.value): one.count for one in counts[2:]}
    assert rest == {(str, "z"): 1, (bool, True): 1, (int, 1): 1, (str, "1"): 1, (int, 2): 1, (str, "True"): 1}
    assert [str(one.value) for one in counts[2:]] == sorted(str(one.value) for one in counts[2:])
    assert await store.facet("", "f", None, limit=1) == counts[:1]
    assert await store.facet("", "f", Equals("f", "z"), limit=9) == [FacetCount("x", 1), FacetCount("z", 1)]
    assert await store.facet("other", "f", None, limit=9) == []


async def test_what_can_be_changed(store):
    await put(store, point("a", payload={"k": "v"}))
    wanted = spec(payload_indexes={"k": FieldType.KEYWORD}, ttl_seconds=60.0, durability=Durability.DISK)
    await store.update(replace(wanted, model="other"))
    assert store.spec == wanted
    await put(store, point("b", payload={"k": "w"}))
    assert await ids_of(store, condition=Exists("k")) == ["a", "b"]
    assert await ids_of(store, condition=Equals("k", "w")) == ["b"]
    assert await store.facet("", "k", None, limit=5) == [FacetCount("v", 1), FacetCount("w", 1)]
