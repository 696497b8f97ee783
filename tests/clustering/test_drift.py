"""How unlike new items are: the index of population stability against what chance gives."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.clustering.assigner import Watched, psi

DECILES = np.arange(0.1, 0.95, 0.1, dtype=np.float32)


def watched():
    centroids = np.eye(2, dtype=np.float32)
    return Watched(np.array([4, 7], np.int32), centroids, np.array([0.9, 0.9], np.float32), DECILES)


@given(st.integers(100, 1000), st.integers(0, 2**32 - 1))
def test_chance_alone_is_rarely_over_the_quantile(count, seed):
    chance = np.random.default_rng(seed)
    ratios = [psi(chance.uniform(size=count), DECILES) * count / 21.666 for _ in range(40)]
    assert np.mean(np.array(ratios) > 1.0) < 0.15
    assert min(ratios) >= 0


@pytest.mark.parametrize("share", [0.2, 0.5, 1.0])
def test_a_shift_is_noticed(share):
    chance = np.random.default_rng(1)
    distances = chance.uniform(size=1000)
    distances[: int(1000 * share)] = 1.2
    assert psi(distances, DECILES) * 1000 / 21.666 > 1.0


def test_the_window_holds_the_latest():
    seen = watched()
    far = np.zeros(700, np.bool_)
    seen.see(np.full(700, 0.5, np.float32), far)
    seen.see(np.full(700, 0.95, np.float32), ~far)
    assert (seen.drift.assigned, seen.drift.far, seen.drift.window) == (1400, 700, 1000)
    assert seen.drift.far_share == pytest.approx(0.7)
    assert seen.drift.recluster_due


def test_few_items_tell_nothing():
    seen = watched()
    seen.see(np.full(99, 1.5, np.float32), np.ones(99, np.bool_))
    assert (seen.drift.drift_ratio, seen.drift.recluster_due) == (0.0, False)


def test_items_that_differ_but_belong_are_no_reason_to_cluster_anew():
    seen = watched()
    seen.see(np.full(500, 0.05, np.float32), np.zeros(500, np.bool_))
    assert seen.drift.drift_ratio > 1.0
    assert not seen.drift.recluster_due


def test_the_nearest_centroid_is_looked_up():
    seen = watched()
    nearest, strengths, distances = seen.look_up(np.array([[1, 0], [0.6, 0.8]], np.float32))
    assert nearest.tolist() == [0, 1]
    np.testing.assert_allclose(distances, [0.0, 0.2], atol=1e-6)
    np.testing.assert_allclose(strengths, [1.0, 0.5], atol=1e-6)


def test_one_cluster_leaves_no_doubt():
    seen = Watched(np.array([0], np.int32), np.eye(2, dtype=np.float32)[:1], np.ones(1, np.float32), DECILES)
    assert seen.look_up(np.array([[0, 1]], np.float32))[1].tolist() == [1.0]
