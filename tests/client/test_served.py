"""The client against the real server: what is cut into parts equals what is asked for at once."""

import numpy as np
import pytest
import small_models

import nearfield

pytestmark = pytest.mark.slow
TEXTS = [f"sentence {index} of many, {'and more ' * (index % 9)}." for index in range(40)]


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    return {
        "small": "builtin",
        "everything": str(small_models.everything(root / "everything")),
        "ranker": str(small_models.ranker(root / "ranker")),
    }


@pytest.fixture(scope="module")
def clients(start_server, folders):
    """Of a server that takes 6 inputs in a call, and of one that takes 512."""
    narrow, wide = start_server(models=folders, limits={"max_inputs": 6}), start_server(models=folders)
    with nearfield.Client(narrow.target) as parts, nearfield.Client(wide.target) as whole:
        yield parts, whole


def test_dense_sparse_and_multi_from_one_pass(clients):
    parts, whole = clients
    expected = small_models.table()
    for client in clients:
        result = client.embed(TEXTS, model="everything", outputs=("dense", "sparse", "multi"))
        for index, tokens in enumerate(client.tokenize(TEXTS, model="everything")):
            rows = expected[list(tokens.ids)]
            mean = rows.mean(axis=0)
            np.testing.assert_allclose(result.dense[index], mean / np.linalg.norm(mean), atol=1e-6)
            units = rows / np.linalg.norm(rows, axis=1, keepdims=True)
            np.testing.assert_allclose(result.multi[index], units, atol=1e-6)
            assert result.multi.token_ids[result.multi.offsets[index] :][: len(rows)].tolist() == list(tokens.ids)
            for number, weight in result.sparse[index].items():
                assert weight == pytest.approx(abs(expected[number, 0]), abs=1e-6)
    assert list(parts.embed_sparse(TEXTS, model="everything")) == list(whole.embed_sparse(TEXTS, model="everything"))


def test_terms_are_the_vocabularys(clients):
    for client in clients:
        vectors = client.embed_sparse(TEXTS, model="everything", return_terms=True, max_terms=3)
        known = {
            number: token for one in client.tokenize(TEXTS) for number, token in zip(one.ids, one.tokens, strict=True)
        }
        assert list(vectors.terms) == [known[number] for number in vectors.indices.tolist()]
        assert max(len(one) for one in vectors) == 3


def test_scipy_multiplies_them(clients):
    pytest.importorskip("scipy")
    vectors = clients[0].embed_sparse(TEXTS, model="everything")
    products = (vectors.to_scipy() @ vectors.to_scipy().T).toarray()
    assert products[3, 5] == pytest.approx(
        sum(weight * vectors[5].get(number, 0.0) for number, weight in vectors[3].items()), rel=1e-5
    )


def test_rerank_in_parts_is_rerank_at_once(clients):
    parts, whole = (client.rerank("a query", TEXTS, model="ranker", return_documents=True) for client in clients)
    assert [(one.index, one.document) for one in parts] == [(one.index, one.document) for one in whole]
    np.testing.assert_allclose([one.score for one in parts], [one.score for one in whole], atol=1e-6)
    assert parts[:7] == clients[0].rerank("a query", TEXTS, model="ranker", return_documents=True, top_n=7)
    assert all(one.document == TEXTS[one.index] for one in parts)


def test_late_interaction_of_the_client_is_that_of_the_server(clients):
    documents = clients[0].embed_multi(TEXTS, model="everything", input_type="document")
    query = clients[0].embed_multi("sentence 3 and more", model="everything", input_type="query")
    scores = query.maxsim(documents)[0]
    for one in clients[0].rerank("sentence 3 and more", TEXTS, model="everything"):
        assert one.score == pytest.approx(scores[one.index], abs=1e-4)


def test_classify_in_parts_is_classify_at_once(clients):
    labels = ["many sentences", "dogs", "money"]
    parts, whole = (client.classify(TEXTS, labels=labels) for client in clients)
    for one, other in zip(parts, whole, strict=True):
        assert [label.label for label in one] == [label.label for label in other]
        assert sum(label.score for label in one) == pytest.approx(1, abs=1e-5)


def test_similarity_in_blocks_is_the_product_of_the_vectors(clients):
    texts = TEXTS[:16]
    vectors = clients[1].embed(texts)
    for client in clients:
        np.testing.assert_allclose(client.similarity(texts), vectors @ vectors.T, atol=2e-5)
        np.testing.assert_allclose(client.similarity(texts, texts[:4]), vectors @ vectors[:4].T, atol=2e-5)


@pytest.mark.parametrize("pooling", ["none", "mean"])
def test_chunks_in_parts_are_chunks_at_once(clients, pooling):
    texts = [" ".join(TEXTS[:count]) for count in range(1, 15)]
    chunking = nearfield.Chunking(max_tokens=48, overlap_tokens=12, pooling=pooling)
    parts, whole = (client.embed(texts, chunking=chunking) for client in clients)
    assert parts.chunks == whole.chunks
    np.testing.assert_allclose(parts.vectors, whole.vectors, atol=2e-5)
    streamed = {one.index: one for one in clients[0].embed_stream(texts, chunking=chunking)}
    for index in range(len(texts)):
        assert streamed[index].chunks == parts.of(index)
    covered = dict.fromkeys(range(len(texts)), 0)
    for chunk in parts.chunks:
        # Nothing but blanks lies between two chunks.
        assert not texts[chunk.input_index][covered[chunk.input_index] : chunk.start].strip()
        assert chunk.token_count <= 48
        covered[chunk.input_index] = chunk.end
    assert not any(texts[index][end:].strip() for index, end in covered.items())


def test_what_a_model_cannot_do_is_told(clients):
    for call in (clients[0].embed_sparse, clients[0].embed_multi):
        with pytest.raises(nearfield.InvalidArgument, match="model"):
            call(["a"], model="small")
    with pytest.raises(nearfield.InvalidArgument):
        clients[0].rerank("q", ["a"], model="small")
    with pytest.raises(nearfield.InvalidArgument, match="labels"):
        clients[0].classify(["a"], model="small")


def test_models_tell_what_they_give(clients):
    about = {one.name: one for one in clients[0].models()}
    assert about["small"].outputs == ("dense",)
    assert set(about["everything"].outputs) == {"dense", "sparse", "multi"}
    assert about["ranker"].outputs == ("scores",)
