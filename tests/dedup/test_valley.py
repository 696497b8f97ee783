"""The threshold that data give by themselves."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.cli.dedup.valley import bars, valley


def humps(low, high, count=2000, share=0.3, seed=0):
    rng = np.random.default_rng(seed)
    many = int(count * share)
    made = np.concatenate([rng.normal(low, 0.06, count - many), rng.normal(high, 0.02, many)])
    return np.clip(made, 0, 1).astype(np.float32)


@pytest.mark.parametrize(("low", "high"), [(0.5, 0.95), (0.6, 0.9), (0.3, 0.97)])
def test_it_lies_between_the_two_humps(low, high):
    found = valley(humps(low, high))
    assert max(0.5, low + 0.06) < found < high - 0.02


def test_one_hump_has_none():
    assert valley(humps(0.5, 0.5)) is None
    assert valley(humps(0.95, 0.95)) is None


def test_few_rows_have_none():
    assert valley(humps(0.5, 0.95, count=99)) is None


@pytest.mark.slow
@given(st.lists(st.floats(-1, 1, width=32), max_size=300))
def test_whatever_comes_it_is_none_or_a_similarity(values):
    found = valley(np.array(values, np.float32))
    assert found is None or 0.5 <= found < 1.0


def test_the_histogram_shows_all_rows_and_marks_the_threshold():
    lines = list(bars(humps(0.5, 0.95), 0.87))
    assert sum(int(line.split()[1].replace(",", "")) for line in lines) == 2000
    (marked,) = [line for line in lines if "threshold" in line]
    assert marked.startswith("0.86-0.88")
