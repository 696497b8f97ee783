import threading

import grpc
import numpy as np
import pytest
from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from nearfield.v1 import embed_pb2, search_pb2
from nearfield_server.config.settings import Config

WITH_VECTOR = search_pb2.PointSelection(with_vector=True)
DOT = embed_pb2.SIMILARITY_METRIC_DOT


@pytest.fixture(scope="module")
def texts(search):
    """A collection of the default model, for tests with ids of their own."""
    return search.make()


@pytest.fixture(scope="module")
def pairs(search):
    """A collection of vectors of two components."""
    return search.make(dimensions=2)


def vector_of(message):
    return np.frombuffer(message.vector, "<f4")


def test_a_text_gets_the_models_vector(search, texts, client, wire):
    search.upsert(texts, wire.point("dog", "a dog barks", color="brown"), wire.point(7, "a cat"))
    dog, cat = search.get(texts, "dog", 7, select=WITH_VECTOR)
    assert (wire.id_of(dog.id), dog.text, dog.payload.fields["color"]) == ("dog", "a dog barks", "brown")
    expected = client.embed(["a dog barks", "a cat"], input_type="document")
    assert np.stack([vector_of(dog), vector_of(cat)]) == pytest.approx(expected, abs=1e-6)


def test_of_text_and_vector_the_vector_is_taken(search, texts, wire):
    own = np.zeros(384)
    own[5] = 3
    search.upsert(texts, wire.point("own", "some text", vector=own), wire.point("made", "other text"))
    own_point, made = search.get(texts, "own", "made", select=WITH_VECTOR)
    assert own_point.text == "some text"
    assert vector_of(own_point)[5] == 1
    assert np.linalg.norm(vector_of(made)) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("id_", ["a/b", "../x", "nul\0nul", "🙂👨‍👩‍👧", "x" * 512, 0, -1, 2**63 - 1, -(2**63), "1", 1])
def test_ids_come_back_as_they_are(search, pairs, wire, id_):
    search.upsert(pairs, wire.point(id_, vector=[1, 0]), tenant="ids")
    (found,) = search.get(pairs, id_, tenant="ids")
    assert wire.id_of(found.id) == id_
    assert type(wire.id_of(found.id)) is type(id_)


def test_payloads_come_back_as_they_are(search, pairs, wire):
    point = wire.point(
        "p", vector=[1, 0], text="x", number=3, fraction=2.5, flag=True, nothing=None, nested={"a": [1, {"b": "c"}]}
    )
    point.payload.timestamps["at"].CopyFrom(Timestamp(seconds=1_700_000_000, nanos=123_456_000))
    point.payload.geo_points["place"].latitude = 52.5
    search.upsert(pairs, point, tenant="payload")
    (found,) = search.get(pairs, "p", tenant="payload")
    assert found.payload == point.payload
    chosen = search_pb2.PointSelection(include_fields=["nested.a", "at"], without_text=True)
    (part,) = search.get(pairs, "p", tenant="payload", select=chosen)
    assert part.text == ""
    assert set(part.payload.fields) == {"nested"}
    assert set(part.payload.timestamps) == {"at"}
    (bare,) = search.get(pairs, "p", tenant="payload", select=search_pb2.PointSelection(without_payload=True))
    assert not bare.HasField("payload")


def test_two_tenants_with_equal_ids(search, pairs, wire):
    for tenant in ("a", "b"):
        search.upsert(pairs, wire.point(1, vector=[1, 0], who=tenant), tenant=tenant)
    assert [search.get(pairs, 1, tenant=one)[0].payload.fields["who"] for one in "ab"] == ["a", "b"]
    assert search.get(pairs, 1, tenant="c") == []
    assert search("Count", collection=pairs, tenant="a").count == 1
    assert search("DeletePoints", collection=pairs, tenant="a", all=True).deleted == 1
    assert search.ids(pairs, tenant="b") == [1]


def test_of_equal_ids_in_a_call_the_last_counts(search, pairs, wire):
    reply = search.upsert(pairs, wire.point(1, vector=[1, 0], n=1), wire.point(1, vector=[0, 1], n=2), tenant="equal")
    assert reply.stored == 1
    (found,) = search.get(pairs, 1, tenant="equal", select=WITH_VECTOR)
    assert (found.payload.fields["n"], vector_of(found).tolist()) == (2, [0, 1])


def test_modes(search, pairs, wire):
    def upsert(mode, *points):
        reply = search.upsert(pairs, *points, tenant="modes", mode=mode)
        return reply.stored, reply.skipped

    def state():
        found = search.get(pairs, 1, 2, tenant="modes", select=WITH_VECTOR)
        return [(dict(one.payload.fields.items()), vector_of(one).tolist()) for one in found]

    assert upsert(search_pb2.UPSERT_MODE_UPDATE, wire.point(1, vector=[1, 0])) == (0, 1)
    assert upsert(search_pb2.UPSERT_MODE_CREATE, wire.point(1, vector=[1, 0], a=1)) == (1, 0)
    both = (wire.point(1, vector=[0, 1], b=2), wire.point(2, vector=[0, 1]))
    assert upsert(search_pb2.UPSERT_MODE_CREATE, *both) == (1, 1)
    assert state()[0] == ({"a": 1}, [1, 0])
    assert upsert(search_pb2.UPSERT_MODE_PAYLOAD, wire.point(1, b=2), wire.point(3, b=2)) == (1, 1)
    assert state()[0] == ({"a": 1, "b": 2}, [1, 0])
    assert upsert(search_pb2.UPSERT_MODE_UPDATE, wire.point(1, vector=[0, 1], c=3)) == (1, 0)
    assert state()[0] == ({"c": 3}, [0, 1])
    assert upsert(0, wire.point(1, vector=[1, 0])) == (1, 0)
    assert state()[0] == ({}, [1, 0])
    assert search.ids(pairs, tenant="modes") == [1, 2]
    for wrong, field in ((wire.point(1, "text"), "text"), (wire.point(1, vector=[1, 0]), "vector")):
        failure = search.refused(
            "Upsert", collection=pairs, points=[wire.point(1), wrong], mode=search_pb2.UPSERT_MODE_PAYLOAD
        )
        assert (failure.code, failure.field) == ("INVALID_ARGUMENT", f"points[1].{field}")


@pytest.mark.parametrize(
    ("vector", "field"),
    [
        ([float("nan"), 1], "vector"),
        ([float("inf"), 1], "vector"),
        ([-float("inf"), 1], "vector"),
        ([0, 0], "vector"),
        ([-0.0, 0], "vector"),
        ([1, 2, 3], "vector"),
        ([1], "vector"),
    ],
)
@pytest.mark.parametrize("metric", [0, DOT])
def test_vectors_that_are_none(search, wire, vector, field, metric, by_metric):
    failure = search.refused(
        "Upsert", collection=by_metric[metric], points=[wire.point(1, vector=[1, 1]), wire.point(2, vector=vector)]
    )
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", f"points[1].{field}")
    assert search("Count", collection=by_metric[metric], tenant="").count == 0


@pytest.fixture(scope="module")
def by_metric(search):
    return {metric: search.make(dimensions=2, metric=metric) for metric in (0, DOT)}


@pytest.mark.parametrize("scale", [1e38, 3.4e38, 1e-38, 1e-44, 1.0])
def test_the_greatest_and_the_smallest_numbers(search, wire, pairs, scale):
    search.upsert(pairs, wire.point("far", vector=[scale, scale]), tenant="scale")
    (found,) = search.get(pairs, "far", tenant="scale", select=WITH_VECTOR)
    assert vector_of(found) == pytest.approx([2**-0.5] * 2, rel=1e-6)


def test_vectors_whose_scores_would_overflow(search, wire, by_metric):
    far = [wire.point(1, vector=[1e38, 0])]
    assert search.refused("Upsert", collection=by_metric[DOT], points=far).field == "points[0].vector"


def test_bytes_that_are_no_floats(search, wire, pairs):
    point = search_pb2.Point(id=wire.id(1), vector=b"12345")
    assert search.refused("Upsert", collection=pairs, points=[point]).field == "points[0].vector"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"points": []}, "points"),
        ({"points": [search_pb2.Point(text="x")]}, "points[0].id"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(text=""))]}, "points[0].id.text"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(text="x" * 65536))]}, "points[0].id.text"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(number=1))]}, "points[0]"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(number=1), text="x" * 300_000)]}, "points[0].text"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(number=1), text="x")], "tenant": "x" * 129}, "tenant"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(number=1), text="x")], "mode": 99}, "mode"),
        ({"points": [search_pb2.Point(id=search_pb2.PointId(number=1), text="x")], "priority": 99}, "priority"),
        (
            {
                "points": [
                    search_pb2.Point(id=search_pb2.PointId(number=1), text="x", expires_at=Timestamp(seconds=-(2**50)))
                ]
            },
            "points[0].expires_at",
        ),
    ],
)
def test_upserts_that_are_none(search, texts, fields, field):
    failure = search.refused("Upsert", collection=texts, **fields)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


def test_more_points_than_allowed(search, pairs, wire):
    many = [wire.point(one, vector=[1, 0]) for one in range(513)]
    failure = search.refused("Upsert", collection=pairs, points=many)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "points")


@pytest.mark.slow
def test_payloads_over_the_limits(search, pairs, wire):
    keys = wire.point(1, vector=[1, 0], **{f"k{one}": 1 for one in range(65536)})
    assert search.refused("Upsert", collection=pairs, points=[keys]).field == "points[0].payload"
    large = wire.point(1, vector=[1, 0], blob="x" * (10 << 20))
    assert search.refused("Upsert", collection=pairs, points=[large]).field == "points[0].payload"
    assert search.get(pairs, 1) == []


def test_texts_where_there_is_no_model(search, pairs, wire):
    failure = search.refused("Upsert", collection=pairs, points=[wire.point(1, "text")])
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "points[0].vector")
    search.upsert(pairs, wire.point(1, "text", vector=[1, 0]), tenant="kept")
    assert search.get(pairs, 1, tenant="kept")[0].text == "text"


def test_points_vanish_by_their_time(search, wire):
    name = search.make(dimensions=2, ttl=Duration(seconds=1000))
    search.upsert(name, wire.point(1, vector=[1, 0], expires_at=1), wire.point(2, vector=[1, 0]))
    assert search.ids(name) == [2]
    assert search("Count", collection=name).count == 1
    (left,) = search.get(name, 1, 2)
    assert 900 < left.expires_at.seconds - search("GetCollection", collection=name).collection.created_at.seconds < 1100


def test_deleting(search, pairs, wire):
    def delete(**fields):
        return search("DeletePoints", collection=pairs, tenant="delete", **fields).deleted

    search.upsert(pairs, *[wire.point(one, vector=[1, 0], n=one) for one in range(10)], tenant="delete")
    assert delete(ids=[wire.id(0), wire.id(99), wire.id("0")]) == 1
    assert delete(filter_expression="n < 4") == 3
    equals = search_pb2.Equals(field="n", value=search_pb2.FilterValue(integer=4))
    assert delete(filter=search_pb2.Filter(equals=equals), wait=True) == 1
    assert search.ids(pairs, tenant="delete") == [5, 6, 7, 8, 9]
    assert delete(all=True) == 5
    for wrong in ({}, {"all": True, "ids": [wire.id(1)]}, {"ids": [wire.id(1)], "filter_expression": "n = 1"}):
        assert search.refused("DeletePoints", collection=pairs, **wrong).field == "ids"
    assert search.refused("DeletePoints", collection=pairs, ids=[wire.id(1)] * 10001).field == "ids"
    assert search.refused("DeletePoints", collection=pairs, filter_expression="n <").code == "INVALID_ARGUMENT"


def test_counting_and_facets(search, pairs, wire):
    points = [wire.point(one, vector=[1, 0], brand="ab"[one % 2], n=one, on=one < 3) for one in range(5)]
    search.upsert(pairs, *points, tenant="facet")
    count = search("Count", collection=pairs, tenant="facet", filter_expression='brand = "a"')
    assert (count.count, count.exact) == (3, True)
    assert search("Count", collection=pairs, tenant="facet", estimate=True).count == 5

    def facet(field, **fields):
        found = search("Facet", collection=pairs, tenant="facet", field=field, **fields).values
        return [(getattr(one.value, one.value.WhichOneof("value")), one.count) for one in found]

    assert facet("brand") == [("a", 3), ("b", 2)]
    assert facet("on", filter_expression="n > 0") == [(False, 2), (True, 2)]
    assert facet("n", limit=2) == [(0, 1), (1, 1)]
    assert facet("nothing") == []
    for wrong, field in (({"field": ""}, "field"), ({"field": "a..b"}, "field"), ({"limit": 10001}, "limit")):
        failure = search.refused("Facet", collection=pairs, **({"field": "n"} | wrong))
        assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


def test_scrolling(search, pairs, wire):
    search.upsert(pairs, *[wire.point(one, vector=[1, 0], n=one) for one in range(300)], tenant="scroll")

    def parts(**fields):
        return list(search("Scroll", collection=pairs, tenant="scroll", **fields))

    assert [len(one.points) for one in parts(page_size=120)] == [120, 120, 60]
    assert [bool(one.cursor) for one in parts(page_size=120)] == [True, True, False]
    assert search.ids(pairs, tenant="scroll") == list(range(300))
    assert search.ids(pairs, tenant="scroll", filter_expression="n >= 290") == list(range(290, 300))
    (first,) = parts(limit=7, page_size=100)
    assert len(first.points) == 7
    rest = search.ids(pairs, tenant="scroll", cursor=first.cursor)
    assert rest == list(range(7, 300))
    (empty,) = search("Scroll", collection=pairs, tenant="nobody")
    assert (len(empty.points), empty.cursor) == (0, "")
    assert search.refused("Scroll", collection=pairs, cursor="nonsense").code == "INVALID_ARGUMENT"
    assert search.refused("Scroll", collection=pairs, page_size=10001).field == "page_size"
    other = search.make(dimensions=2)
    assert search.refused("Scroll", collection=other, cursor=first.cursor).code == "INVALID_ARGUMENT"


@pytest.mark.slow
def test_replies_stay_under_their_limit(run_server, open_search, tmp_path, wire):
    limit = 50_000
    config = Config(
        listen="127.0.0.1:0", http="", data_dir=tmp_path, search={"engine": "memory"},
        limits={"max_response_bytes": limit},
    )  # fmt: skip
    sizes = [1, 9_000, 20_000, 45_000, 10, 45_000, 45_000, *[100] * 200]
    with run_server(config) as server:
        search = open_search(server.target)
        search("CreateCollection", name="c", dimensions=2)
        points = [wire.point(index, vector=[1, 0], blob="x" * size) for index, size in enumerate(sizes)]
        search.upsert("c", *points)
        parts = list(search("Scroll", collection="c", page_size=10_000))
        assert max(one.ByteSize() for one in parts) <= limit
        assert [wire.id_of(one.id) for part in parts for one in part.points] == list(range(len(sizes)))
        for part in parts[:-1]:
            last = wire.id_of(part.points[-1].id)
            assert search.ids("c", cursor=part.cursor)[0] == last + 1
        assert search.refused("GetPoints", collection="c", ids=[wire.id(3), wire.id(5)]).field == "ids"
        search.upsert("c", wire.point("large", vector=[1, 0], blob="x" * 60_000))
        assert search.refused("Scroll", collection="c").field == "select"
        none = search_pb2.PointSelection(without_payload=True)
        assert len(search.ids("c", select=none)) == len(sizes) + 1


def test_getting(search, pairs, wire):
    search.upsert(pairs, *[wire.point(one, vector=[1, 0]) for one in (1, 2, 3)], tenant="get")
    found = search.get(pairs, 3, 99, 1, tenant="get")
    assert [one.id.number for one in found] == [3, 1]
    assert found[0].version == found[1].version > 0
    assert search.refused("GetPoints", collection=pairs).field == "ids"
    assert search.refused("GetPoints", collection=pairs, ids=[search_pb2.PointId()]).field == "ids[0]"
    wrong = search_pb2.PointSelection(exclude_fields=["a."])
    failure = search.refused("GetPoints", collection=pairs, ids=[wire.id(1)], select=wrong)
    assert failure.field == "select.exclude_fields[0]"


def upserts(collection, points, **fields):
    for number, one in enumerate(points, 1):
        sequence = {"sequence": number} if "client_token" in fields else {}
        upsert = search_pb2.UpsertRequest(collection=collection, points=[one], tenant="stream")
        yield search_pb2.UpsertStreamRequest(id=str(number), upsert=upsert, **fields, **sequence)


def test_a_stream_answers_each_message_once(search, texts, wire):
    messages = list(upserts(texts, [wire.point(one, f"text {one}") for one in range(40)]))
    messages[5].upsert.collection = "nobody"
    messages[6].upsert.points[0].id.ClearField("number")
    messages[7].upsert.points[0].text = ""
    messages[8].id = "x" * 600
    messages[9].sequence = 3
    replies = search.stream(messages)
    by_id = {one.id: one for one in replies}
    assert len(replies) == len(by_id) == 40
    failures = {id_: wire.failure(one.error) for id_, one in by_id.items() if one.WhichOneof("outcome") == "error"}
    assert {id_: one.field or one.code for id_, one in failures.items()} == {
        "6": "NOT_FOUND",
        "7": "upsert.points[0].id",
        "8": "upsert.points[0]",
        "x" * 512: "id",
        "10": "sequence",
    }
    stored = [one.stored.version for one in replies if one.WhichOneof("outcome") == "stored"]
    assert stored == sorted(stored)
    assert len(search.ids(texts, tenant="stream")) == 35


def test_writes_of_a_stream_are_in_the_order_of_its_messages(search, texts, wire):
    # A long text takes longer to embed than the short one behind it.
    points = [wire.point("one", "word " * (200 if one % 2 == 0 else 1), n=one) for one in range(20)]
    search.stream(upserts(texts, points))
    (found,) = search.get(texts, "one", tenant="stream")
    assert found.payload.fields["n"] == 19


def test_a_named_stream_is_stored_once(search, pairs, wire):
    points = [wire.point("count", vector=[1, 0], n=one) for one in range(5)]
    first = search.stream(upserts(pairs, points, client_token="job"))
    again = search.stream(upserts(pairs, [*points, wire.point("new", vector=[1, 0])], client_token="job"))
    assert [one.stored.stored for one in again] == [1] * 6
    (found,) = search.get(pairs, "count", tenant="stream")
    assert found.version == first[-1].stored.version
    assert again[-1].stored.version > found.version
    (wrong,) = search.stream([search_pb2.UpsertStreamRequest(
        client_token="job", upsert=search_pb2.UpsertRequest(collection=pairs, points=[points[0]])
    )])  # fmt: skip
    assert wire.failure(wrong.error).field == "sequence"


def test_a_cancelled_stream_leaves_nothing_behind(search, server, pairs, wire):
    go_on = threading.Event()

    def messages():
        yield from upserts(pairs, [wire.point("first", vector=[1, 0])])
        go_on.wait(30)

    call = search.stub.UpsertStream(messages(), timeout=60)
    assert next(call).stored.stored == 1
    call.cancel()
    go_on.set()
    assert len(search.get(pairs, "first", tenant="stream")) == 1
    assert search.stream(upserts(pairs, [wire.point("next", vector=[1, 0])]))[0].stored.stored == 1


@pytest.mark.slow
def test_streams_that_stand_still_and_servers_that_stop(run_server, open_search, tmp_path, wire):
    config = Config(
        listen="127.0.0.1:0", http="", data_dir=tmp_path, search={"engine": "memory"}, stream={"idle_seconds": 0.2}
    )
    with run_server(config) as server:
        search = open_search(server.target)
        search("CreateCollection", name="c", dimensions=2)
        held = threading.Event()

        def messages():
            yield from upserts("c", [wire.point(1, vector=[1, 0])])
            held.wait(30)

        replies = search.stub.UpsertStream(messages(), timeout=60)
        assert next(replies).stored.stored == 1
        with pytest.raises(grpc.RpcError, match="the stream is closed") as caught:
            next(replies)
        assert caught.value.code().name == "DEADLINE_EXCEEDED"
        held.set()


@pytest.mark.slow
def test_a_server_that_stops_answers_what_it_has_read(run_server, open_search, tmp_path, wire):
    config = Config(listen="127.0.0.1:0", http="", data_dir=tmp_path, search={"engine": "memory"})
    with run_server(config) as server:
        search = open_search(server.target)
        search("CreateCollection", name="c", dimensions=2)
        held = threading.Event()

        def messages():
            yield from upserts("c", [wire.point(1, vector=[1, 0])])
            held.wait(30)

        replies = search.stub.UpsertStream(messages(), timeout=60)
        assert next(replies).stored.stored == 1
        server.loop.call_soon_threadsafe(server.server.registry.drain)
        with pytest.raises(grpc.RpcError, match="the server is stopping") as caught:
            next(replies)
        assert caught.value.code().name == "UNAVAILABLE"
        held.set()


@pytest.mark.slow
def test_a_version_that_isnt_served_is_refused(run_server, open_search, tmp_path, wire, fp32_folder):
    def config(folder):
        return Config(listen="127.0.0.1:0", http="", data_dir=tmp_path, models={"m": str(folder)})

    with run_server(config("builtin")) as server:
        search = open_search(server.target)
        search("CreateCollection", name="c")
        search.upsert("c", wire.point(1, "a dog"))
    with run_server(config(fp32_folder)) as server:
        search = open_search(server.target)
        failure = search.refused("Upsert", collection="c", points=[wire.point(2, "a cat")])
        assert failure.code == "FAILED_PRECONDITION"
        assert "version" in failure.message
        # What needs no model goes on.
        own = np.ones(384)
        search.upsert("c", wire.point(2, "a cat", vector=own))
        assert search.ids("c") == [1, 2]
