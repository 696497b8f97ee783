"""Searches on a real server with the real encoder, against what numpy says of the same vectors."""

import itertools

import numpy as np
import pytest

import nearfield
from nearfield.v1 import search_pb2

_NUMBERS = itertools.count()


@pytest.fixture(scope="module")
def own(server):
    with nearfield.Client(server.target) as client:
        yield client


@pytest.fixture(scope="module")
def sentences(own, golden):
    """Our own sentences as a collection: id = position, `even`, `third`."""
    made = own.create_collection("sentences", payload_indexes={"third": "integer"})
    texts = [text for text in golden.texts if text.strip()]
    rows = [{"id": n, "body": text, "even": n % 2 == 0, "third": n % 3} for n, text in enumerate(texts)]
    made.upsert(rows, text="body", wait=True)
    return made, texts, own.embed(texts, input_type="document")


@pytest.fixture
def plane(own):
    """A collection of vectors of two components."""

    def make(*vectors, **payloads):
        made = own.create_collection(f"plane{next(_NUMBERS)}", dimensions=2)
        rows = [{"id": n, "v": np.array(one, np.float32)} for n, one in enumerate(vectors)]
        for key, values in payloads.items():
            for row, value in zip(rows, values, strict=True):
                row[key] = value
        made.upsert(rows, text=None, vector="v", wait=True)
        return made

    return make


def around(*degrees):
    return [(np.cos(np.radians(one)), np.sin(np.radians(one))) for one in degrees]


def ids(hits):
    return [one.id for one in hits]


def test_the_nearest_by_meaning_come_first(own, sentences):
    made, texts, rows = sentences
    for text in texts[:20]:
        scores = rows @ own.embed([text], input_type="query")[0]
        hits = made.search(text, top_k=5)
        assert [one.score for one in hits] == pytest.approx(np.sort(scores)[::-1][:5], abs=1e-5)
        assert [scores[one.id] for one in hits] == pytest.approx([one.score for one in hits], abs=1e-5)
        assert all(texts[one.id] == one.text for one in hits)


def test_paging_goes_on_where_the_page_before_ended(sentences):
    made, texts, _ = sentences
    whole = ids(made.search(texts[3], top_k=30))
    pages = [ids(made.search(texts[3], top_k=10, offset=start)) for start in (0, 10, 20)]
    assert [one for page in pages for one in page] == whole


def test_filters_hold_for_every_mode(sentences):
    made, texts, rows = sentences
    for mode in ("dense", "keyword", "hybrid"):
        hits = made.search(texts[7], top_k=20, mode=mode, filter="third = 1 and not even = true")
        assert hits
        assert all(one.id % 3 == 1 and one.id % 2 == 1 for one in hits)
        assert made.search(texts[7], mode=mode, filter="third = 9") == []
    allowed = [n for n in range(len(texts)) if n % 3 == 1]
    best = max(allowed, key=lambda n: rows[n] @ rows[7])
    assert made.search(rows[7], top_k=1, filter="third = 1")[0].id == best


def test_keywords_find_the_rare_word(own):
    made = own.create_collection("words")
    texts = ["the quick brown fox", "a lazy dog sleeps", "the quick zeppelin landed", "quick thinking helps"]
    made.upsert([{"id": n, "body": text} for n, text in enumerate(texts)], text="body", wait=True)
    hits = made.search("quick zeppelins", mode="keyword", explain=True)
    assert hits[0].id == 2
    assert set(ids(hits)) == {0, 2, 3}
    assert hits[0].scores.keyword == pytest.approx(hits[0].score)
    assert hits[0].scores.keyword_rank == 1
    assert hits[0].scores.dense is None
    assert made.search("the of and", mode="keyword") == []


def test_hybrid_is_reciprocal_rank_fusion_of_both_lists(sentences):
    made, texts, _ = sentences
    hits = made.search(texts[11], mode="hybrid", top_k=10, explain=True)
    for one in hits:
        parts = [1 / (60 + rank) for rank in (one.scores.dense_rank, one.scores.keyword_rank) if rank]
        assert one.score == pytest.approx(sum(parts), rel=1e-5)
        assert one.scores.fused == pytest.approx(one.score)
    assert [one.score for one in hits] == sorted((one.score for one in hits), reverse=True)
    dense_only = made.search(texts[11], mode="hybrid", fusion=nearfield.Fusion(keyword_weight=0.0), top_k=5)
    assert ids(dense_only) == ids(made.search(texts[11], top_k=5))


def test_a_point_finds_others_and_not_itself(sentences):
    made, _, rows = sentences
    hits = made.search(nearfield.PointId(5), top_k=3)
    assert 5 not in ids(hits)
    scores = rows @ rows[5]
    assert hits[0].score == pytest.approx(np.sort(scores)[-2], abs=1e-5)
    with pytest.raises(nearfield.NotFound, match="no point of that id"):
        made.search(nearfield.PointId("nobody"))


def test_a_threshold_and_a_selection(sentences):
    made, _, rows = sentences
    hits = made.search(rows[2], top_k=50, score_threshold=0.5, with_text=False, with_vector=True, fields=["even"])
    assert all(one.score >= 0.5 for one in hits)
    assert all(one.text == "" and set(one.payload) == {"even"} for one in hits)
    assert hits[0].vector == pytest.approx(rows[hits[0].id], abs=1e-6)


def test_diversity_passes_over_near_copies(plane):
    made = plane(*around(0, 1, 2, 40))
    (query,) = around(0)
    assert ids(made.search(np.array(query, np.float32), top_k=2)) == [0, 1]
    hits = made.search(np.array(query, np.float32), top_k=2, diversity=0.6, explain=True)
    assert ids(hits) == [0, 3]
    assert hits[1].scores.diversity is not None


def test_groups_hold_the_best_of_each_value(plane):
    made = plane(*around(0, 5, 10, 15, 20, 25), color=["red", "red", "blue", ["green", "blue"], None, "red"])
    query = np.array(around(0)[0], np.float32)
    groups = made.search_groups(query, "color", 2, top_k=2)
    assert [(one.value, ids(one.hits)) for one in groups] == [("red", [0, 1]), ("blue", [2, 3])]
    rest = made.search_groups(query, "color", 2, top_k=5, offset=2)
    assert [(one.value, ids(one.hits)) for one in rest] == [("green", [3])]


def test_many_searches_at_once_are_the_same_searches(sentences):
    made, texts, rows = sentences
    many = made.search_many([texts[1], rows[2], nearfield.PointId(3)], top_k=4)
    assert [ids(one) for one in many] == [
        ids(made.search(q, top_k=4)) for q in (texts[1], rows[2], nearfield.PointId(3))
    ]


def test_a_failed_search_of_a_stream_touches_no_other(search, sentences):
    made, texts, _ = sentences

    def message(name, **fields):
        return search_pb2.SearchStreamRequest(id=name, search=search_pb2.SearchRequest(**fields))

    good = {"collection": made.name, "query": search_pb2.SearchQuery(text=texts[0])}
    asked = [
        message("a", **good),
        message("b", collection=made.name),
        message("c", collection="none", query=good["query"]),
    ]
    asked.append(message("d", **good, filter_expression="third ="))
    replies = {one.id: one for one in search.stub.SearchStream(iter([*asked, message("e", **good)]), timeout=60)}
    assert replies["a"].result.hits[0].id.number == 0
    assert replies["a"].result.hits == replies["e"].result.hits
    assert [replies[one].error.code for one in "bcd"] == [3, 5, 3]


def test_recommendations_are_like_the_positives(plane):
    made = plane(*around(0, 10, 20, 90, 100, 180))
    assert ids(made.recommend([nearfield.PointId(0)], top_k=2)) == [1, 2]
    # Two tastes: the mean of both lies between them, the best score is near either.
    both = [nearfield.PointId(0), nearfield.PointId(3)]
    assert set(ids(made.recommend(both, top_k=2, strategy="best_score"))) == {1, 4}
    away = made.recommend([nearfield.PointId(1)], [nearfield.PointId(0)], top_k=1)
    assert ids(away) == [2]
    with pytest.raises(nearfield.InvalidArgument, match="cancel each other out"):
        made.recommend([np.array([1, 0], np.float32), np.array([-1, 0], np.float32)])


@pytest.mark.parametrize("grouping", ["star", "connected"])
def test_duplicates_are_grouped_and_one_is_kept(plane, grouping):
    made = plane(*around(0, 1, 2, 60, 61, 120))
    groups = list(made.find_duplicates(threshold=0.999, grouping=grouping))
    assert [(one.kept, sorted(other for other, _ in one.duplicates)) for one in groups] == [(0, [1, 2]), (3, [4])]
    newest = list(made.find_duplicates(threshold=0.999, grouping=grouping, keep="newest"))
    assert len(newest) == 2
    chain = plane(*around(0, 10, 20))
    star = list(chain.find_duplicates(threshold=0.98, grouping="star"))
    assert [len(one.duplicates) for one in star] == [1]
    joined = list(chain.find_duplicates(threshold=0.98, grouping="connected"))
    assert [len(one.duplicates) for one in joined] == [2]


@pytest.mark.slow
def test_many_equal_points_are_groups_of_bounded_size(own):
    made = own.create_collection("equal", dimensions=2)
    made.upsert(({"id": n, "v": np.array([1, 0], np.float32)} for n in range(2000)), text=None, vector="v", wait=True)
    groups = list(made.find_duplicates(max_group=100))
    assert [1 + len(one.duplicates) for one in groups] == [100] * 20
    assert len({one.kept for one in groups}) == 20


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({}, "query"),
        ({"query": {"text": ""}}, "query.text"),
        ({"query": {"vector": b"123"}}, "query.vector"),
        ({"query": {"vector": b"\0" * 8}}, "query"),
        ({"query": {"vector": np.array([np.nan, 1], "<f4").tobytes()}}, "query"),
        ({"query": {"vector": np.array([1, 2, 3], "<f4").tobytes()}}, "query"),
        ({"query": {"number": 1}, "top_k": 0}, "top_k"),
        ({"query": {"number": 1}, "top_k": 1_000_000_000}, "top_k"),
        ({"query": {"number": 1}, "top_k": 10_000, "offset": 1}, "top_k"),
        ({"query": {"number": 1}, "mode": 2}, "query"),
        ({"query": {"number": 1}, "mode": 99}, "mode"),
        ({"query": {"number": 1}, "rerank": {"model": "x"}}, "rerank"),
        ({"query": {"number": 1}, "diversity": {"diversity": 1.5}}, "diversity.diversity"),
        ({"query": {"number": 1}, "diversity": {"candidates": 3}}, "diversity.candidates"),
        ({"query": {"number": 1}, "group_by": {"field": ""}}, "group_by.field"),
        ({"query": {"number": 1}, "fusion": {"rrf_k": 0}}, "fusion.rrf_k"),
        ({"query": {"number": 1}, "score_threshold": float("nan")}, "score_threshold"),
        ({"query": {"number": 1}, "ef": 10_001}, "ef"),
        ({"query": {"number": 1}, "filter_expression": "price <"}, "filter_expression"),
    ],
)
def test_what_is_wrong_is_named(search, plane, fields, field):
    made = plane((1, 0), (0, 1))
    if fields.get("query") == {"number": 1}:
        fields = fields | {"query": {"id": {"number": 1}}}
    failure = search.refused("Search", collection=made.name, **fields)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)
    batch = search.refused("BatchSearch", searches=[search_pb2.SearchRequest(collection=made.name, **fields)])
    assert batch.field == f"searches[0].{field}"


def test_a_text_needs_a_model_and_words_need_to_be_kept(own, plane):
    made = plane((1, 0))
    with pytest.raises(nearfield.FailedPrecondition):
        made.search("anything")
    with pytest.raises(nearfield.NotFound, match="sentences"):
        own.collection("sentenses").search("anything")


def test_tenants_never_see_each_other(own):
    made = own.create_collection("tenants", dimensions=2)
    for tenant, vector in (("a", (1, 0)), ("b", (0.9, 0.1))):
        rows = [{"id": 1, "v": np.array(vector, np.float32)}]
        own.collection("tenants", tenant).upsert(rows, text=None, vector="v", wait=True)
    query = np.array([1, 0], np.float32)
    assert made.search(query) == []
    (a,), (b,) = (own.collection("tenants", one).search(query) for one in "ab")
    assert (a.id, b.id) == (1, 1)
    assert a.score > b.score
    assert list(own.collection("tenants", "a").find_duplicates(threshold=0.5)) == []
