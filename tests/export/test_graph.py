"""The graphs against the formulas in numpy, on small random encoders."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tiny import tiny_weights

from nearfield_server.export import forward, verify
from nearfield_server.export.graph import Float32, build_graph
from nearfield_server.export.rowwise import RowwiseInt8, smoothing_factors

WEIGHTS = tiny_weights(seed=7)
TEXTS = [[int(i) for i in np.random.default_rng(n).integers(1, 90, n)] for n in (1, 2, 3, 7, 8, 16, 17, 31, 5, 24)]


def unit(vectors):
    return vectors / np.linalg.norm(vectors, axis=-1, keepdims=True)


@pytest.fixture(scope="module")
def expected():
    return unit(np.stack([forward.embed(WEIGHTS, ids) for ids in TEXTS]))


@pytest.fixture(scope="module")
def float_session():
    return verify.open_session(build_graph(WEIGHTS, Float32()).SerializeToString())


@pytest.fixture(scope="module")
def int8_session():
    factors = smoothing_factors(WEIGHTS, forward.channel_peaks(WEIGHTS, TEXTS))
    return verify.open_session(build_graph(WEIGHTS, RowwiseInt8(factors)).SerializeToString())


def test_float_graph_equals_the_formulas(float_session, expected):
    np.testing.assert_allclose(verify.embed(float_session, TEXTS), expected, atol=2e-6)


def test_int8_graph_is_close_to_the_formulas(int8_session, expected):
    parity = verify.compare(verify.embed(int8_session, TEXTS), expected)
    assert parity.cosine_mean > 0.999
    assert parity.cosine_min > 0.998


def test_output_is_the_plain_mean_not_normalised(float_session):
    ids = np.array([TEXTS[3]], np.int64)
    (vector,) = float_session.run(["sentence_embedding"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
    np.testing.assert_allclose(vector[0], forward.embed(WEIGHTS, TEXTS[3]), atol=5e-6)


def test_a_row_without_tokens_gives_zeros(int8_session):
    ids = np.array([[5, 6], [7, 8]], np.int64)
    mask = np.array([[1, 1], [0, 0]], np.int64)
    (vectors,) = int8_session.run(None, {"input_ids": ids, "attention_mask": mask})
    assert not vectors[1].any()
    assert vectors[0].any()


def test_what_stands_under_the_padding_is_ignored(int8_session):
    mask = np.array([[1, 1, 0, 0]], np.int64)
    runs = [
        int8_session.run(None, {"input_ids": np.array([[5, 6, *tail]], np.int64), "attention_mask": mask})[0]
        for tail in ([0, 0], [88, 3])
    ]
    np.testing.assert_array_equal(*runs)


@settings(max_examples=25, deadline=None)
@given(texts=st.lists(st.lists(st.integers(0, 95), min_size=1, max_size=32), min_size=2, max_size=12))
def test_int8_vector_does_not_depend_on_its_batch(int8_session, texts):
    assert verify.batch_dependence(int8_session, texts) <= 1e-6


def test_same_weights_give_the_same_bytes():
    first, second = (build_graph(WEIGHTS, RowwiseInt8()).SerializeToString(deterministic=True) for _ in range(2))
    assert first == second
