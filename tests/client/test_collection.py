"""Collections on a real server, by both clients."""

import asyncio
import itertools
import re
import sys
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow as pa
import pytest
from blocking import FAST

import nearfield

_NAMES = (f"client{number}" for number in itertools.count())
ROWS = [
    {"id": "cat", "text": "The cat sat on the mat.", "kind": "pet", "price": 5},
    {"id": "dog", "text": "A dog barks.", "kind": "pet", "price": 25},
    {"id": 7, "text": "Interest rates rise.", "kind": "money", "price": 100},
]


class Blocking:
    """An async collection in the clothes of a blocking one."""

    def __init__(self, runner, handle):
        self._runner, self._handle = runner, handle

    def __getattr__(self, name):
        method = getattr(self._handle, name)

        def call(*args, **options):
            made = method(*args, **options)
            return self._runner.run(_listed(made) if hasattr(made, "__aiter__") else made)

        return call


async def _listed(generator):
    return [one async for one in generator]


@pytest.fixture(params=["sync", "async"])
def make(request, server):
    """Make a collection: `make(dimensions=3)`."""
    with nearfield.Client(server.target, retry=FAST) as client:
        if request.param == "sync":
            yield lambda **options: client.create_collection(next(_NAMES), **options)
            return
        with asyncio.Runner() as runner:
            other = nearfield.AsyncClient(server.target, retry=FAST)
            yield lambda **options: Blocking(runner, runner.run(other.create_collection(next(_NAMES), **options)))
            runner.run(other.close())


@pytest.fixture
def collection(make):
    return make(dimensions=3)


def rows_of(count):
    return ({"id": number, "v": [1.0, number, 0.5], "n": number} for number in range(count))


def test_texts_are_stored_and_found_again(make):
    collection = make(payload_indexes={"price": "float"})
    assert collection.upsert(ROWS) == nearfield.UpsertResult(stored=3, version=1)
    assert [(one.id, one.text, one.payload) for one in collection.get([7, "cat", "nobody"])] == [
        (7, "Interest rates rise.", {"kind": "money", "price": 100}),
        ("cat", "The cat sat on the mat.", {"kind": "pet", "price": 5}),
    ]
    assert collection.count() == 3
    assert collection.count("price < 50") == 2
    assert collection.facet("kind") == [("pet", 2), ("money", 1)]
    info = collection.info()
    assert (info.dimensions, info.metric, info.points) == (384, "cosine", 3)
    assert info.payload_indexes == {"price": "float"}


def test_a_generator_goes_in_batches_and_comes_back_in_order(collection):
    seen = []
    result = collection.upsert(rows_of(300), vector="v", batch_size=128, progress=seen.append)
    assert (result.stored, result.errors, seen) == (300, (), [128, 256, 300])
    assert [one.id for one in collection.scroll()] == list(range(300))
    assert [one.id for one in collection.scroll(filter="n >= 298", with_payload=False)] == [298, 299]


def test_payload_comes_back_as_it_went(collection):
    payload = {
        "at": datetime(2024, 5, 1, 12, 30, 0, 250, tzinfo=UTC),
        "where": nearfield.GeoPoint(52.5, 13.4),
        "tags": ["a", "b"],
        "deep": {"x": 1.5, "none": None},
        "flag": np.bool_(True),
        "count": np.int64(3),
    }
    collection.upsert([{"id": "a", "v": np.array([1, 0, 0]), **payload}], vector="v")
    (point,) = collection.get(["a"], with_vector=True)
    assert point.payload == payload
    assert point.vector is not None
    np.testing.assert_allclose(point.vector, [1, 0, 0])
    (point,) = collection.get(["a"], fields=["tags"])
    assert point.payload == {"tags": ["a", "b"]}


def test_modes(collection):
    collection.upsert([{"id": 1, "v": [1, 0, 0], "a": 1}], vector="v")
    again = [{"id": 1, "v": [0, 1, 0], "b": 2}, {"id": 2, "v": [0, 0, 1]}]
    assert collection.upsert(again[:1], vector="v", mode="create").skipped == 1
    assert collection.upsert([{"id": 1, "b": 2}], mode="payload").stored == 1
    assert collection.get([1])[0].payload == {"a": 1, "b": 2}
    assert collection.upsert(again, vector="v", mode="update").skipped == 1


def test_deletes(collection):
    collection.upsert(rows_of(10), vector="v")
    assert collection.delete([0, 1, 99]) == 2
    assert collection.delete(filter="n < 5") == 3
    with pytest.raises(nearfield.InvalidArgument):
        collection.delete()
    assert collection.delete(all=True) == 5


@pytest.mark.parametrize("shape", ["table", "batch", "reader", "stream"])
def test_arrow(collection, shape):
    vectors = pa.FixedSizeListArray.from_arrays(pa.array(np.ones(3000, "f4")), 3)
    table = pa.table({"id": pa.array(range(1000)), "v": vectors, "name": ["x"] * 1000})
    batches = table.to_batches(max_chunksize=400)
    rows = {
        "table": table,
        "batch": table.combine_chunks().to_batches()[0],
        "reader": pa.RecordBatchReader.from_batches(table.schema, batches),
        "stream": iter(batches),
    }[shape]
    assert collection.upsert(rows, vector="v", batch_size=500).stored == 1000
    assert collection.get([999])[0].payload == {"name": "x"}


def test_points_as_a_table(collection):
    where = nearfield.GeoPoint(1.0, 2.0)
    collection.upsert([{"id": 1, "v": [1, 0, 0], "a": 1, "where": where}, {"id": 2, "v": [0, 1, 0]}], vector="v")
    table = collection.to_arrow(with_vector=True)
    assert table.select(["id", "a", "where"]).to_pylist() == [
        {"id": 1, "a": 1, "where": {"lat": 1.0, "lon": 2.0}},
        {"id": 2, "a": None, "where": None},
    ]
    assert table["vector"].to_pylist() == [[1, 0, 0], [0, 1, 0]]
    collection.upsert([{"id": "b", "v": [0, 0, 1]}], vector="v")
    with pytest.raises(TypeError, match="'id' aren't all of one type"):
        collection.to_arrow()


def test_points_as_a_data_frame(collection, monkeypatch):
    monkeypatch.setitem(sys.modules, "pandas", SimpleNamespace(DataFrame=dict))
    collection.upsert([{"id": 1, "v": [1, 0, 0], "a": 1}], vector="v")
    assert collection.to_pandas() == {"id": [1], "text": [""], "a": [1]}
    collection.upsert([{"key": 2, "v": [1, 0, 0], "id": 1}], id="key", vector="v")
    with pytest.raises(TypeError, match="but_fields"):
        collection.to_pandas()


def test_a_wrong_row_is_named(collection):
    rows = [*rows_of(3), {"id": 3, "v": [1.0, 2.0]}, {"id": 4, "v": [0, 0, 1]}]
    with pytest.raises(nearfield.InvalidArgument, match=r"rows\[3\]\.vector"):
        collection.upsert(rows, vector="v", batch_size=2)
    rows += [{"id": None, "v": [1, 1, 1]}, {"v": [1, 1, 1]}, {"id": 5, "v": "x"}, {"id": 6, "v": [1, 1, 1], "p": 2**60}]
    result = collection.upsert(rows, vector="v", on_error="collect")
    assert result.stored == 4
    assert sorted((one.row, one.id) for one in result.errors if one.row != 5) == [(3, 3), (6, None), (7, 5), (8, 6)]
    assert all(f"rows[{one.row}]" in str(one.error) for one in result.errors)


def test_what_may_change_of_a_collection(make):
    collection = make(dimensions=3, payload_indexes={"n": "integer"})
    changed = collection.update(
        add_payload_indexes={"kind": "keyword"},
        drop_payload_indexes=["n"],
        ttl=60,
        quantization="none",
        durability="disk",
    )
    assert (changed.payload_indexes, changed.ttl.total_seconds(), changed.durability) == (
        {"kind": "keyword"},
        60,
        "disk",
    )
    assert collection.update(ttl=0).ttl is None
    assert collection.update().payload_indexes == {"kind": "keyword"}
    with pytest.raises(nearfield.InvalidArgument, match="no field of that path"):
        collection.update(drop_payload_indexes=["n"])
    with pytest.raises(TypeError, match="give a list"):
        collection.update(drop_payload_indexes="kind")
    with pytest.raises(TypeError, match="dimensions"):
        collection.update(dimensions=4)


def test_searches_over_one_call(collection):
    collection.upsert(rows_of(50), vector="v")
    queries = [[1.0, number, 0.5] if number != 7 else [0.0, 0.0, 0.0] for number in range(300)]
    found = {one.index: one for one in collection.search_stream(iter(queries), top_k=2)}
    assert sorted(found) == list(range(300))
    assert [hit.id for hit in found[3].hits] == [hit.id for hit in collection.search(queries[3], top_k=2)]
    assert (found[7].hits, type(found[7].error)) == ([], nearfield.InvalidArgument)
    assert not any(one.error for index, one in found.items() if index != 7)
    assert list(collection.search_stream([])) == []


def test_a_stream_of_searches_that_ends_early(collection):
    def broken():
        yield [1.0, 0.0, 0.5]
        raise KeyError("of the caller")

    with pytest.raises(KeyError, match="of the caller"):
        list(collection.search_stream(broken()))
    with pytest.raises(TypeError, match="PointId"):
        list(collection.search_stream([4]))
    with pytest.raises(nearfield.DeadlineExceeded):
        list(collection.search_stream(itertools.repeat([1.0, 0.0, 0.5]), timeout=0.2))


def test_a_stream_of_searches_may_be_left(server):
    with nearfield.Client(server.target, retry=FAST) as client:
        collection = client.create_collection(next(_NAMES), dimensions=3)
        stream = collection.search_stream([1.0, number, 0.5] for number in itertools.count())
        assert next(stream).hits == []
        stream.close()

    async def leave():
        async with nearfield.AsyncClient(server.target, retry=FAST) as client:
            stream = client.collection(collection.name).search_stream([1.0, one, 0.5] for one in itertools.count())
            assert (await anext(stream)).hits == []
            await stream.aclose()

    asyncio.run(leave())


def test_a_tenant_sees_its_own(server):
    with nearfield.Client(server.target) as client:
        mine = client.create_collection(next(_NAMES), dimensions=3)
        mine.upsert(rows_of(2), vector="v")
        theirs = client.collection(mine.name, tenant="b")
        assert (mine.count(), theirs.count()) == (2, 0)


def test_collections_as_a_whole(server):
    with nearfield.Client(server.target) as client:
        name, other = next(_NAMES), next(_NAMES)
        client.create_collection(name, dimensions=3, ttl=60, durability="disk", metric="euclidean")
        with pytest.raises(nearfield.AlreadyExists):
            client.create_collection(name, dimensions=3)
        (info,) = [one for one in client.collections() if one.name == name]
        assert (info.durability, info.ttl.total_seconds(), info.metric) == ("disk", 60, "euclidean")
        assert client.set_collection_alias(other, name) == ""
        assert client.collection(other).info().name == name
        assert client.set_collection_alias(other, "") == name
        client.delete_collection(name)
        with pytest.raises(nearfield.NotFound):
            client.collection(name).info()


def test_wrong_arguments(collection):
    with pytest.raises(TypeError, match="unknown option 'texts'"):
        collection.upsert(ROWS, texts="body")
    with pytest.raises(TypeError, match="a str isn't rows"):
        collection.upsert("row")
    with pytest.raises(ValueError, match="mode is 'merge'; known: 'upsert'"):
        collection.upsert(ROWS, mode="merge")
    with pytest.raises(TypeError, match="give a list"):
        collection.get("cat")


def test_async_iterables(server):
    async def rows():
        for row in rows_of(5):
            yield row

    async def store():
        async with nearfield.AsyncClient(server.target) as client:
            collection = await client.create_collection(next(_NAMES), dimensions=3)
            return await collection.upsert(rows(), vector="v", batch_size=2)

    assert asyncio.run(store()).stored == 5


def test_the_example_of_the_ingest_page_runs(server):
    page = (Path(__file__).parents[2] / "docs" / "ingest.md").read_text("utf-8")
    (block,) = re.findall(r"^```python\n(.*?)^```", page, re.DOTALL | re.MULTILINE)
    exec(block.replace("localhost:50051", server.target), {})
    with nearfield.Client(server.target) as client:
        assert [one.id for one in client.collection("notes").scroll()] == ["lamp"]
        client.delete_collection("notes")
