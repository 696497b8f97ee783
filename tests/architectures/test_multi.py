"""Vectors of tokens are PyLate's; see `late_interaction`."""

import numpy as np
import pytest
from foreign import unwarned

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4
NAMES = ["colbert", "colbert-modern", "colbert-attending", "colbert-stanford", "colbert-native"]


@pytest.fixture(scope="session")
def reference(zoo, texts):
    """Give vectors and token ids of each text: `reference(name, query)`."""
    known = {}

    def both(name, query):
        if (name, query) not in known:
            with unwarned():
                import late_interaction  # noqa: PLC0415 - seconds

                known[name, query] = late_interaction.reference(name, zoo[name], texts, query=query)
        return known[name, query]

    return both


def assert_same(vectors, token_ids, expected, expected_ids):
    assert token_ids == expected_ids
    assert vectors.shape == expected.shape
    if len(expected):
        assert np.abs(vectors - expected).max() <= TOLERANCE


def ids_of(vectors, index):
    return vectors.token_ids[vectors.offsets[index] : vectors.offsets[index + 1]].tolist()


@pytest.mark.parametrize("name", NAMES)
def test_queries(served, reference, texts, name):
    check(served, texts, name, "query", *reference(name, query=True))


@pytest.mark.parametrize("name", NAMES)
def test_documents(served, reference, texts, name):
    check(served, texts, name, "document", *reference(name, query=False))


def check(served, texts, name, input_type, rows, ids):
    """Compare vectors alone, in a mixed batch and streamed."""
    together = served.client.embed_multi(texts, model=name, input_type=input_type)
    for index, text in enumerate(texts):
        assert_same(together[index], ids_of(together, index), rows[index], ids[index])
        alone = served.client.embed_multi([text], model=name, input_type=input_type)
        assert_same(alone[0], ids_of(alone, 0), rows[index], ids[index])
    for result in served.client.embed_stream(texts, model=name, input_type=input_type, outputs=["multi"]):
        assert_same(result.multi[0], ids_of(result.multi, 0), rows[result.index], ids[result.index])


def test_documents_are_meant_where_nothing_is_said(served, reference, texts):
    rows, ids = reference("colbert", query=False)
    vectors = served.client.embed_multi(texts[:20], model="colbert")
    for index in range(20):
        assert_same(vectors[index], ids_of(vectors, index), rows[index], ids[index])


@pytest.mark.parametrize("name", NAMES)
def test_reranking_sums_the_best_match_of_each_token_of_the_query(served, reference, texts, name):
    queries, documents = reference(name, query=True)[0], reference(name, query=False)[0]
    chosen = [at for at, rows in enumerate(documents) if len(rows)]
    for at in (2, 10, 104):
        expected = np.array([(queries[at] @ documents[one].T).max(axis=1).sum() for one in chosen])
        ranked = served.client.rerank(texts[at], [texts[one] for one in chosen], model=name)
        assert {one.index for one in ranked} == set(range(len(chosen)))
        assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)
        for one in ranked:
            assert one.score == pytest.approx(expected[one.index], abs=TOLERANCE * len(queries[at]))


def test_a_projection_that_the_graph_lacks_is_not_left_out_quietly(states):
    model = states["colbert-unprojected"]
    assert model.state == "failed"
    assert "model.onnx: the graph gives 32 components a token, the model 16: its projection" in model.state_message


def test_what_the_models_are_said_to_give(states):
    for name in NAMES:
        assert states[name].outputs == ("multi",)
        assert states[name].dimensions == 16
    assert states["colbert"].max_query_tokens == 32
    assert states["colbert-attending"].max_query_tokens == 24
