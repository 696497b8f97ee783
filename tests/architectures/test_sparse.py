"""Sparse vectors are those of sentence-transformers' SparseEncoder."""

import numpy as np
import pytest
from foreign import unwarned

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4
NAMES = ["splade", "splade-sum", "splade-double-log"]


@pytest.fixture(scope="session")
def reference(zoo, texts):
    """Give what SparseEncoder gives for each text alone, `[n, vocabulary]`."""
    known = {}

    def rows(name):
        if name not in known:
            with unwarned():
                from sentence_transformers import SparseEncoder  # noqa: PLC0415 - seconds

                model = SparseEncoder(str(zoo[name]), device="cpu", local_files_only=True)
                known[name] = model.encode(texts, batch_size=1, convert_to_sparse_tensor=False).numpy()
        return known[name]

    return rows


def dense(vectors):
    rows = np.zeros(vectors.shape, np.float32)
    for row, (ids, weights) in zip(rows, vectors.rows(), strict=True):
        assert (np.diff(ids) > 0).all()
        assert (weights != 0).all()
        row[ids] = weights
    return rows


@pytest.mark.parametrize("name", NAMES)
def test_alone_and_in_a_mixed_batch(served, reference, texts, name):
    expected = reference(name)
    together = dense(served.client.embed_sparse(texts, model=name))
    alone = np.concatenate([dense(served.client.embed_sparse([text], model=name)) for text in texts])
    for rows in (together, alone):
        print(f"greatest difference {np.abs(rows - expected).max():.1e}")
        assert np.abs(rows - expected).max() <= TOLERANCE


@pytest.mark.parametrize("name", NAMES)
def test_streamed(served, reference, texts, name):
    expected = reference(name)
    seen = 0
    for result in served.client.embed_stream(texts, model=name, outputs=["sparse"]):
        assert np.abs(dense(result.sparse)[0] - expected[result.index]).max() <= TOLERANCE
        seen += 1
    assert seen == len(texts)


def test_the_greatest_weights_only(served, reference, texts):
    vectors = served.client.embed_sparse(texts, model="splade", max_terms=16)
    for expected, (_, weights) in zip(reference("splade"), vectors.rows(), strict=True):
        assert len(weights) == 16
        assert np.sort(weights) == pytest.approx(np.sort(expected)[-16:], abs=TOLERANCE)


def test_terms_are_the_vocabulary_of_the_ids(served, zoo, texts):
    with unwarned():
        from transformers import AutoTokenizer  # noqa: PLC0415 - seconds
    tokenizer = AutoTokenizer.from_pretrained(zoo["splade"])
    vectors = served.client.embed_sparse(texts[:10], model="splade", return_terms=True)
    assert list(vectors.terms) == tokenizer.convert_ids_to_tokens(vectors.indices.tolist())


def test_what_the_model_is_said_to_give(states):
    for name in NAMES:
        assert states[name].outputs == ("sparse",)
