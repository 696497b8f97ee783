"""Scores from raw numbers, and of vectors of tokens."""

import numpy as np
import pytest
import scipy.special
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from nearfield_server.types import Activation
from nearfield_server.vectors.scores import activate, maxsim

ROWS = arrays.arrays(
    np.float32, st.tuples(st.integers(1, 4), st.integers(1, 5)), elements=st.floats(-1e4, 1e4, width=32)
)


@given(ROWS)
def test_as_scipy_has_them(rows):
    np.testing.assert_allclose(activate(rows, Activation.SIGMOID), scipy.special.expit(rows.astype(float)), atol=1e-7)
    np.testing.assert_allclose(
        activate(rows, Activation.SOFTMAX), scipy.special.softmax(rows.astype(float), axis=1), atol=1e-7
    )
    assert activate(rows, Activation.NONE) is rows


def test_maxsim_by_hand():
    query = np.array([[1.0, 0.0], [0.0, 1.0]], np.float32)
    document = np.array([[0.5, 0.1], [0.25, 0.75], [-1.0, -1.0]], np.float32)
    assert maxsim(query, document) == pytest.approx(0.5 + 0.75)
    assert maxsim(query, document[:0]) == 0.0
