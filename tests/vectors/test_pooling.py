import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from nearfield_server.types import Pooling
from nearfield_server.vectors.pooling import pool

VECTORS = np.array([[[1, -4], [3, -2], [100, 100]], [[5, 6], [7, 8], [9, -1]]], np.float32)
MASK = np.array([[1, 1, 0], [1, 1, 1]], np.int64)


@pytest.mark.parametrize(
    ("pooling", "expected"),
    [
        (Pooling.MEAN, [[2, -3], [7, 13 / 3]]),
        (Pooling.CLS, [[1, -4], [5, 6]]),
        (Pooling.LAST_TOKEN, [[3, -2], [9, -1]]),
        (Pooling.MAX, [[3, -2], [9, 8]]),
    ],
)
def test_each_kind(pooling, expected):
    assert pool(VECTORS, MASK, pooling) == pytest.approx(np.array(expected))


def test_every_kind_is_offered():
    for pooling in Pooling:
        rows = pool(VECTORS, MASK, pooling)
        assert (rows.shape, rows.dtype) == ((2, 2), np.float32)


@st.composite
def batches(draw):
    rows, seq, width = draw(st.integers(1, 4)), draw(st.integers(1, 6)), draw(st.integers(1, 4))
    numbers = st.floats(-100, 100, width=32)
    vectors = draw(arrays(np.float32, (rows, seq, width), elements=numbers))
    lengths = draw(st.lists(st.integers(1, seq), min_size=rows, max_size=rows))
    return vectors, (np.arange(seq) < np.array(lengths)[:, None]).astype(np.int64)


@settings(deadline=None)
@given(batch=batches(), pooling=st.sampled_from(Pooling), padding=st.sampled_from([0.0, 1e30, -1e30, 1e-30]))
def test_padding_and_company_have_no_part(batch, pooling, padding):
    vectors, mask = batch
    filled = np.where(mask[:, :, None] == 1, vectors, np.float32(padding)).astype(np.float32)
    rows = pool(filled, mask, pooling)
    for index, length in enumerate(mask.sum(axis=1)):
        alone = pool(vectors[index : index + 1, :length], np.ones((1, length), np.int64), pooling)
        assert np.allclose(rows[index], alone[0], rtol=1e-5, atol=1e-4)
