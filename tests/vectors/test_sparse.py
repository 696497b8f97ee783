"""Sparse vectors: what a graph says of the vocabulary, without its padding."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from sentence_transformers.sparse_encoder.modules import SpladePooling

from nearfield_server.errors import BackendFailure
from nearfield_server.types import SparseHead, SparseRow, SparseSource
from nearfield_server.vectors.sparse import greatest, sparse_rows

VOCABULARY = 11


def dense(rows):
    found = np.zeros((len(rows), VOCABULARY), np.float32)
    for row, one in zip(found, rows, strict=True):
        assert (one.weights != 0).all()
        assert (np.diff(one.ids.astype(int)) > 0).all()
        row[one.ids] = one.weights
    return found


@st.composite
def batches(draw):
    rows, longest = draw(st.integers(1, 4)), draw(st.integers(1, 6))
    logits = draw(arrays.arrays(np.float32, (rows, longest, VOCABULARY), elements=st.floats(-8, 8, width=32)))
    lengths = draw(st.lists(st.integers(1, longest), min_size=rows, max_size=rows))
    mask = (np.arange(longest) < np.array(lengths)[:, None]).astype(np.int64)
    return logits, mask


@pytest.mark.slow
@given(batch=batches(), strategy=st.sampled_from(["max", "sum"]), activation=st.sampled_from(["relu", "log1p_relu"]))
def test_pooled_as_the_reference_pools(batch, strategy, activation):
    logits, mask = batch
    head = SparseHead(
        output_name="logits",
        source=SparseSource.LOGITS,
        sum_tokens=strategy == "sum",
        saturations=1 if activation == "relu" else 2,
    )
    pooling = SpladePooling(pooling_strategy=strategy, activation_function=activation).eval()
    features = {"token_embeddings": torch.tensor(logits.copy()), "attention_mask": torch.tensor(mask)}
    expected = pooling(features)["sentence_embedding"].numpy()
    found = dense(sparse_rows(logits, np.zeros_like(mask), mask, head))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_rows_over_the_vocabulary_are_taken_as_they_are():
    head = SparseHead(output_name="x", source=SparseSource.VOCABULARY)
    given_rows = np.array([[0.0, 2.0, 0.0], [0.5, 0.0, -1.0]], np.float32)
    ids = np.zeros((2, 5), np.int64)
    first, second = sparse_rows(given_rows, ids, np.ones_like(ids), head)
    assert (first.ids.tolist(), first.weights.tolist()) == ([1], [2.0])
    assert (second.ids.tolist(), second.weights.tolist()) == ([0, 2], [0.5, -1.0])


@pytest.mark.parametrize("extra", [(), (1,)])
def test_weights_of_tokens_go_to_their_ids(extra):
    head = SparseHead(output_name="x", source=SparseSource.TOKEN_WEIGHTS, ignored_ids=frozenset({2, 3}))
    ids, mask = np.array([[2, 7, 5, 7, 3, 9]]), np.array([[1, 1, 1, 1, 1, 0]])
    weights = np.array([[9.0, 0.25, -1.0, 0.5, 9.0, 9.0]], np.float32).reshape(1, 6, *extra)
    (row,) = sparse_rows(weights, ids, mask, head)
    assert (row.ids.tolist(), row.weights.tolist()) == ([7], [0.5])


@pytest.mark.parametrize(
    ("source", "shape"),
    [
        (SparseSource.LOGITS, (2, 5)),
        (SparseSource.LOGITS, (2, 4, 9)),
        (SparseSource.VOCABULARY, (3, 9)),
        (SparseSource.TOKEN_WEIGHTS, (2, 4)),
    ],
)
def test_another_shape_than_the_files_say(source, shape):
    ids = np.ones((2, 5), np.int64)
    with pytest.raises(BackendFailure, match="can't be read as sparse vectors"):
        sparse_rows(np.zeros(shape, np.float32), ids, ids, SparseHead(output_name="x", source=source))


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_number_is_no_weight(value):
    head = SparseHead(output_name="x", source=SparseSource.LOGITS)
    logits = np.zeros((1, 2, 4), np.float32)
    logits[0, 1, 2] = value
    with pytest.raises(BackendFailure, match="not finite"):
        sparse_rows(logits, np.zeros((1, 2), np.int64), np.ones((1, 2), np.int64), head)


def test_the_greatest_weights_stay_and_equal_ones_by_id():
    row = SparseRow(np.array([2, 4, 6, 8], np.uint32), np.array([1.0, 3.0, 3.0, 2.0], np.float32))
    assert greatest(row, 1).ids.tolist() == [4]
    assert greatest(row, 3).ids.tolist() == [4, 6, 8]
    assert greatest(row, None) is row
    assert greatest(row, 9) is row
