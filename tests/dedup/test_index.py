"""The nearest of what was seen: against brute force, while rows come in, through several makings of cells."""

import importlib.util

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.dedup.index import NearIndex

WIDTH = 32


def unit(rows):
    return (rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32)


def near_duplicates(count, seed=0):
    """Topics, texts round them, and for every second text one that says nearly the same."""
    rng = np.random.default_rng(seed)
    topics = unit(rng.standard_normal((count // 40 + 1, WIDTH)))
    texts = unit(topics[rng.integers(0, len(topics), count // 2)] + 0.2 * rng.standard_normal((count // 2, WIDTH)))
    spread = rng.uniform(0.02, 0.17, (count // 2, 1))
    twins = unit(texts + spread * rng.standard_normal((count // 2, WIDTH)))
    return np.concatenate([texts, twins])[rng.permutation(2 * (count // 2))]


def streamed(index, rows, size):
    """Search each batch among what came before it, then add it."""
    found = []
    for start in range(0, len(rows), size):
        batch = rows[start : start + size]
        found.append(index.search(batch, 1))
        index.add(batch)
    return np.concatenate([one[0][:, 0] for one in found]), np.concatenate([one[1][:, 0] for one in found])


@pytest.mark.slow
def test_cells_find_99_percent_of_the_near_duplicates_while_they_grow():
    rows, size = near_duplicates(6000), 100
    index = NearIndex(WIDTH, exact_rows=256)
    similarities, slots = streamed(index, rows, size)
    everyone = rows @ rows.T
    for threshold in (0.7, 0.8, 0.9):
        best = np.array([everyone[row, : row // size * size].max(initial=-2.0) for row in range(len(rows))])
        wanted = best >= threshold
        assert wanted.sum() > 500
        assert (similarities[wanted] >= threshold).mean() >= 0.99
    seen = slots >= 0
    assert np.abs(everyone[np.flatnonzero(seen), slots[seen]] - similarities[seen]).max() < 1e-3


@pytest.mark.slow
@given(
    count=st.integers(1, 40), size=st.integers(1, 9), exact_rows=st.sampled_from([4, 1000]), seed=st.integers(0, 2**32)
)
def test_small_indexes_are_exact(count, size, exact_rows, seed):
    rows = unit(np.random.default_rng(seed).standard_normal((count, WIDTH)))
    index = NearIndex(WIDTH, exact_rows)
    similarities, _ = streamed(index, rows, size)
    for row, similarity in enumerate(similarities):
        before = rows[: row // size * size] @ rows[row]
        assert similarity == pytest.approx(before.max(initial=-2.0), abs=1e-5 if exact_rows > 40 else 1e-3)
    assert len(index) == count
    assert np.abs(index.rows(np.arange(count)) - rows).max() < 1e-3


def test_of_equally_near_ones_the_first_is_found():
    index = NearIndex(2)
    index.add(np.array([[1, 0], [0, 1], [0, 1]], np.float32))
    assert index.search(np.array([[0, 1]], np.float32), 2)[1].tolist() == [[1, 2]]


def test_where_there_are_fewer_there_is_none():
    index = NearIndex(2)
    index.add(np.array([[1, 0]], np.float32))
    similarities, slots = index.search(np.array([[0, 1]], np.float32), 3)
    assert slots.tolist() == [[0, -1, -1]]
    assert similarities[0].tolist() == [0, -2, -2]


@pytest.mark.parametrize("same", [1, 700])
def test_a_thousand_times_the_same_row_is_no_trouble(same):
    rows = np.repeat(near_duplicates(1000 // same + 2)[: 1000 // same], same, axis=0)
    index = NearIndex(WIDTH, exact_rows=100)
    streamed(index, rows, 50)
    assert index.search(rows[:1], 1)[0][0, 0] == pytest.approx(1.0, abs=1e-3)


def test_without_faiss_all_rows_are_compared(monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "faiss" else found(name))
    rows = near_duplicates(600)
    similarities, slots = streamed(NearIndex(WIDTH, exact_rows=64), rows, 50)
    everyone = rows @ rows.T
    for row in range(50, len(rows)):
        before = everyone[row, : row // 50 * 50]
        assert slots[row] == before.argmax()
        assert similarities[row] == pytest.approx(before.max(), abs=1e-6)
