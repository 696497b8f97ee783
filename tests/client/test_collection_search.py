"""What searches send and make of the reply, and what a lost connection does, against a servicer of our own."""
# ruff: noqa: N802 - names of rpcs

from concurrent.futures import ThreadPoolExecutor
from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from blocking import FAST

import nearfield
from nearfield._rows import iterate_rows
from nearfield.v1 import search_pb2, search_pb2_grpc


class Fake(search_pb2_grpc.SearchServiceServicer):
    """Keeps requests; answers with one hit. `failures` calls fail first, a scroll after its first part."""

    def __init__(self):
        self.requests = []
        self.failures = 0

    def _take(self, request, context):
        self.requests.append(request)
        if self.failures:
            self.failures -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    def _reply(self, request):
        vector = np.array([1, 2], "<f4").tobytes()
        hit = search_pb2.Hit(id={"number": 4}, score=0.5, text="t", vector=vector, version=3)
        hit.payload.fields["a"] = 1
        if request.explain:
            hit.scores.dense, hit.scores.dense_rank = 0.5, 1
        if request.HasField("group_by"):
            return search_pb2.SearchResponse(groups=[search_pb2.HitGroup(value={"string_value": "x"}, hits=[hit])])
        return search_pb2.SearchResponse(hits=[hit])

    def Search(self, request, context):
        self._take(request, context)
        return self._reply(request)

    def BatchSearch(self, request, context):
        self._take(request, context)
        return search_pb2.BatchSearchResponse(results=[self._reply(one) for one in request.searches])

    def Recommend(self, request, context):
        self._take(request, context)
        return search_pb2.RecommendResponse(hits=[search_pb2.Hit(id={"text": "like"}, score=1)])

    def FindDuplicates(self, request, context):
        self._take(request, context)
        yield search_pb2.FindDuplicatesResponse(kept={"text": "a"}, duplicates=[{"id": {"text": "b"}, "similarity": 1}])

    def Scroll(self, request, context):
        self.requests.append(search_pb2.ScrollRequest.FromString(request.SerializeToString()))
        for number in range(int(request.cursor or 0), 3):
            yield search_pb2.ScrollResponse(points=[{"id": {"number": number}}], cursor=str(number + 1) * (number < 2))
            if self.failures:
                self.failures -= 1
                context.abort(grpc.StatusCode.UNAVAILABLE, "gone")

    def GetPoints(self, request, context):
        self._take(request, context)
        return search_pb2.GetPointsResponse()

    def DeletePoints(self, request, context):
        self._take(request, context)
        return search_pb2.DeletePointsResponse()

    def Upsert(self, request, context):
        self._take(request, context)
        return search_pb2.UpsertResponse(stored=len(request.points), version=1)


@pytest.fixture
def fake():
    return Fake()


@pytest.fixture
def docs(fake):
    server = grpc.server(ThreadPoolExecutor(4))
    search_pb2_grpc.add_SearchServiceServicer_to_server(fake, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    with nearfield.Client(f"127.0.0.1:{port}", retry=FAST, timeout=10) as client:
        yield client.collection("docs", tenant="me")
    server.stop(0).wait()


def test_search_sends_what_was_chosen(docs, fake):
    (hit,) = docs.search(
        "words",
        top_k=3,
        filter="price < 20",
        mode="hybrid",
        fusion=nearfield.Fusion(method="weighted", dense_weight=2.0),
        rerank="judge",
        diversity=0.25,
        score_threshold=0.0,
        fields=["a"],
        with_vector=True,
        explain=True,
    )
    expected = search_pb2.SearchRequest(
        collection="docs",
        tenant="me",
        query={"text": "words"},
        top_k=3,
        filter_expression="price < 20",
        mode="SEARCH_MODE_HYBRID",
        fusion={"method": "FUSION_METHOD_WEIGHTED", "dense_weight": 2},
        rerank={"model": "judge"},
        diversity={"diversity": 0.25},
        score_threshold=0,
        select={"include_fields": ["a"], "with_vector": True},
        explain=True,
    )
    assert fake.requests == [expected]
    assert (hit.id, hit.score, hit.payload, hit.text, hit.version) == (4, 0.5, {"a": 1}, "t", 3)
    assert hit.scores == nearfield.HitScores(dense=0.5, dense_rank=1)
    np.testing.assert_array_equal(hit.vector, [1, 2])


@pytest.mark.parametrize(
    ("query", "kind", "value"),
    [
        (nearfield.PointId(3), "id", search_pb2.PointId(number=3)),
        (nearfield.PointId("a"), "id", search_pb2.PointId(text="a")),
        (np.array([1.0, 2.0]), "vector", np.array([1, 2], "<f4").tobytes()),
        (b"\x89PNG", "image", b"\x89PNG"),
        (nearfield.Image(b"\xff\xd8"), "image", b"\xff\xd8"),
    ],
)
def test_queries_of_every_kind(docs, fake, query, kind, value):
    docs.search(query)
    assert getattr(fake.requests[0].query, kind) == value


def test_wrong_queries(docs):
    with pytest.raises(TypeError, match=r"nearfield\.PointId\(3\)"):
        docs.search(3)
    with pytest.raises(nearfield.InvalidArgument, match="is no vector"):
        docs.search([[1.0]])
    with pytest.raises(TypeError, match="filter is a dict"):
        docs.search("a", filter={"price": 3})
    with pytest.raises(TypeError, match="give a list"):
        docs.recommend("a")


def test_groups_batches_recommendations_and_duplicates(docs, fake):
    (group,) = docs.search_groups("a", "kind", 2)
    assert (group.value, [one.id for one in group.hits]) == ("x", [4])
    assert [[one.id for one in hits] for hits in docs.search_many(["a", nearfield.PointId(1)], top_k=1)] == [[4], [4]]
    assert docs.search_many([]) == []
    assert docs.recommend(["a"], [nearfield.PointId("b")], strategy="best_score")[0].id == "like"
    assert fake.requests[-1].negative[0].id.text == "b"
    (found,) = docs.find_duplicates(0.9, filter="a = 1")
    assert found == nearfield.DuplicateGroup(kept="a", duplicates=(("b", 1.0),))


def test_a_scroll_goes_on_where_it_was_cut_off(docs, fake):
    fake.failures = 3
    assert [one.id for one in docs.scroll()] == [0, 1, 2]
    assert [one.cursor for one in fake.requests] == ["", "1", "2"]


def test_consistency_and_ordering_go_with_each_call(docs, fake):
    docs.search("a", consistency="quorum")
    docs.recommend(["a"], consistency="all")
    list(docs.scroll(consistency="majority"))
    docs.get(["a"], consistency="one")
    assert [one.consistency for one in fake.requests] == [3, 4, 2, 1]
    docs.upsert([{"id": 1, "text": "a"}], ordering="strong")
    docs.delete([1], ordering="weak")
    assert [one.ordering for one in fake.requests[-2:]] == [3, 1]
    with pytest.raises(ValueError, match="known: 'one', 'majority'"):
        docs.search("a", consistency="most")


def test_an_upsert_is_sent_again(docs, fake):
    fake.failures = 2
    assert docs.upsert([{"id": 1, "text": "a"}]).stored == 1
    assert fake.requests[0] == fake.requests[1] == fake.requests[2]


def test_rows_of_frames_that_look_like_pandas_and_polars():
    records = [{"id": 1, "a": float("nan")}, {"id": 2, "a": 0.5}]

    class Pandas:
        iloc = property(lambda self: self)

        def __len__(self):
            return len(records)

        def __getitem__(self, part):
            return SimpleNamespace(to_dict=lambda orient: {"records": records[part]}[orient])

        def to_dict(self):
            raise AssertionError("the whole frame at once")

    polars = SimpleNamespace(iter_rows=lambda named: iter(records) if named else None)
    assert list(iterate_rows(Pandas())) == [{"id": 1}, {"id": 2, "a": 0.5}]
    assert list(iterate_rows(polars)) == records
