"""Ranked lists made one, and hits that differ."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.vectors.diversity import mmr
from nearfield_server.vectors.fuse import rrf, weighted

SCORES = st.floats(-1e300, 1e300)
RANKED = st.dictionaries(st.integers(0, 20), SCORES, max_size=12).map(
    lambda found: sorted(found.items(), key=lambda one: -one[1])
)
LISTS = st.lists(st.tuples(RANKED, st.floats(0, 1000)), min_size=1, max_size=3)


def test_reciprocal_ranks():
    found = rrf([[("a", 9.0), ("b", 8.0)], [("b", 0.2), ("c", 0.1)]], [1, 2], 60, "abc".index)
    assert found == [
        ("b", pytest.approx(1 / 62 + 2 / 61)),
        ("c", pytest.approx(2 / 62)),
        ("a", pytest.approx(1 / 61)),
    ]


def test_scaled_scores():
    found = weighted([[("a", 9.0), ("b", 8.0), ("c", 5.0)], [("c", -1.0)]], [1, 0.5], "abc".index)
    assert found == [("a", 1.0), ("b", 0.75), ("c", 0.5)]


def test_equal_sums_stand_in_the_order_told():
    lists = [[("a", 1.0)], [("b", 1.0)]]
    assert [key for key, _ in rrf(lists, [1, 1], 60, "ba".index)] == ["b", "a"]
    assert [key for key, _ in weighted(lists, [1, 1], "ba".index)] == ["b", "a"]


@given(LISTS, st.floats(1e-3, 1e4))
def test_every_key_once_and_best_first(lists, k):
    ranked, weights = [one for one, _ in lists], [one for _, one in lists]
    for found in (rrf(ranked, weights, k, float), weighted(ranked, weights, float)):
        assert sorted(key for key, _ in found) == sorted({key for one in ranked for key, _ in one})
        assert found == sorted(found, key=lambda one: (-one[1], one[0]))
        assert all(0 <= score <= sum(weights) * max(1, 1 / (k + 1)) + 1e-9 for _, score in found)


@given(RANKED, st.floats(1e-3, 1e4))
def test_one_list_keeps_its_order(ranked, k):
    places = {key: place for place, (key, _) in enumerate(ranked)}
    assert [key for key, _ in rrf([ranked], [1], k, places.__getitem__)] == [key for key, _ in ranked]
    assert [key for key, _ in weighted([ranked], [1], places.__getitem__)] == [key for key, _ in ranked]


def naive(scores, vectors, diversity, count):
    unit = [x / np.linalg.norm(x) if x.any() else x for x in vectors.astype(np.float64)]
    chosen = []
    while len(chosen) < min(count, len(unit)):
        left = [n for n in range(len(unit)) if n not in chosen]
        near = {n: max((float(unit[n] @ unit[c]) for c in chosen), default=0.0) for n in left}
        value = {n: (1 - diversity) * float(scores[n]) - diversity * near[n] for n in left}
        chosen.append(max(left, key=lambda n: scores[n] if not chosen else value[n]))
    return chosen


@given(st.integers(0, 2**32 - 1), st.integers(1, 12), st.floats(0.05, 1), st.integers(1, 14))
def test_relevance_and_difference(seed, rows, diversity, count):
    random = np.random.default_rng(seed)
    vectors, scores = random.normal(size=(rows, 4)).astype(np.float32), random.normal(size=rows).astype(np.float32)
    found = mmr(scores, vectors, diversity, count)
    assert [position for position, _ in found] == naive(scores, vectors, diversity, count)


def test_without_diversity_it_is_the_order_of_scores():
    scores = np.array([0.1, 0.9, 0.5, 0.9], np.float32)
    assert [position for position, _ in mmr(scores, np.eye(4, dtype=np.float32), 0.0, 9)] == [1, 3, 2, 0]


def test_a_copy_comes_last_however_near_it_is():
    vectors = np.array([[1, 0], [1, 0], [0, 1], [0, 0]], np.float32)
    scores = np.array([0.9, 0.9, 0.5, 0.4], np.float32)
    assert [position for position, _ in mmr(scores, vectors, 0.7, 4)] == [0, 2, 3, 1]


def test_nothing_to_choose_from():
    assert mmr(np.zeros(0, np.float32), np.zeros((0, 3), np.float32), 0.5, 5) == []
