"""Reranking as a stage of search: order and scores are those of the Rerank rpc on the same texts."""

import pytest
import small_models

import nearfield

pytestmark = pytest.mark.slow
QUERY = "where do herons sleep"
TEXTS = [
    "herons sleep in trees",
    "a heron stands in shallow water",
    "the library opens at nine",
    "trains to the coast leave hourly",
    "bread needs flour, water, salt and time",
    "grey herons nest in colonies",
    "owls hunt at night",
    "the council met on tuesday",
]


@pytest.fixture(scope="module")
def own(start_server, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models") / "ranker"
    server = start_server(models={"small": "builtin", "ranker": str(small_models.ranker(folder))})
    with nearfield.Client(server.target) as client:
        yield client


@pytest.fixture(scope="module")
def birds(own):
    made = own.create_collection("birds", model="small")
    rows = [{"id": n, "body": text, "topic": n % 2} for n, text in enumerate(TEXTS)]
    made.upsert(rows, text="body", wait=True)
    return made


@pytest.fixture(scope="module")
def judged(own):
    """Of the Rerank rpc: ids best first, and each one's score."""
    ranked = own.rerank(QUERY, TEXTS, model="ranker", special_tokens_as_text=True)
    return [one.index for one in ranked], {one.index: one.score for one in ranked}


@pytest.mark.parametrize("mode", ["dense", "keyword", "hybrid"])
def test_order_and_scores_are_those_of_the_rerank_rpc(birds, judged, mode):
    order, scores = judged
    listed = {one.id for one in birds.search(QUERY, top_k=len(TEXTS), mode=mode)}
    hits = birds.search(QUERY, top_k=len(TEXTS), mode=mode, rerank="ranker", explain=True)
    assert [one.id for one in hits] == [one for one in order if one in listed]
    assert [one.score for one in hits] == pytest.approx([scores[one.id] for one in hits], abs=1e-6)
    assert [one.scores.rerank for one in hits] == [one.score for one in hits]


def test_explain_keeps_the_scores_of_the_stages_before(birds, judged):
    order, _ = judged
    before = {one.id: one.score for one in birds.search(QUERY, top_k=len(TEXTS))}
    hits = birds.search(QUERY, top_k=len(TEXTS), rerank="ranker", explain=True)
    assert {one.id: one.scores.dense for one in hits} == pytest.approx(before)
    assert sorted(one.scores.dense_rank for one in hits) == list(range(1, 1 + len(TEXTS)))
    # The reranker changes something, or these tests show nothing.
    assert order != list(before)


def test_a_threshold_is_one_of_the_rerankers_scores(birds, judged):
    order, scores = judged
    threshold = (scores[order[2]] + scores[order[3]]) / 2
    hits = birds.search(QUERY, top_k=len(TEXTS), rerank="ranker", score_threshold=threshold)
    assert [one.id for one in hits] == order[:3]


def test_it_sees_the_best_candidates_only_and_pages_are_of_what_it_ordered(birds, judged):
    order, _ = judged
    best = [one.id for one in birds.search(QUERY, top_k=4)]
    hits = birds.search(QUERY, top_k=2, offset=1, rerank="ranker", rerank_candidates=4)
    assert [one.id for one in hits] == [one for one in order if one in best][1:3]


def test_groups_are_led_by_the_rerankers_best(birds, judged):
    order, scores = judged
    groups = birds.search_groups(QUERY, "topic", top_k=2, rerank="ranker")
    firsts = [next(one for one in order if one % 2 == topic) for topic in dict.fromkeys(one % 2 for one in order)]
    assert [group.hits[0].id for group in groups] == firsts
    assert groups[0].hits[0].score == pytest.approx(scores[order[0]], abs=1e-6)
