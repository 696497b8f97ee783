"""Figures of quality, against scikit-learn and cases whose sign is known."""

import numpy as np
import pytest
from sklearn.metrics import silhouette_samples, silhouette_score

from nearfield_server.core.clustering.fit.quality import SilhouetteSample, dbcv


def test_the_silhouette_is_scikit_learns(blobs):
    rows, truth = blobs(4, 120, noise=0.8)
    found = SilhouetteSample(rows, 0).of(truth.astype(np.int32))
    assert found.mean == pytest.approx(silhouette_score(rows, truth, metric="cosine"), abs=1e-5)
    assert found.sample == 120
    each = silhouette_samples(rows, truth, metric="cosine")
    assert found.by_label == pytest.approx({one: each[truth == one].mean() for one in range(4)}, abs=1e-5)


@pytest.mark.slow
def test_a_sample_is_near_the_whole(blobs):
    rows, truth = blobs(6, 4200, noise=0.8)
    found = SilhouetteSample(rows, 0).of(truth.astype(np.int32))
    assert found.sample == 4000
    assert found.mean == pytest.approx(silhouette_score(rows, truth, metric="cosine"), abs=0.01)


@pytest.mark.parametrize("labels", [np.zeros(6), np.arange(6)], ids=["one", "each its own"])
def test_no_silhouette_where_none_is_defined(blobs, labels):
    assert SilhouetteSample(blobs(2, 6)[0], 0).of(labels.astype(np.int32)).mean is None


def test_dbcv_is_high_for_dense_groups_far_apart_and_low_for_mixed_ones(blobs):
    rows, truth = blobs(4, 200, width=8, noise=0.1)
    good = dbcv(rows, truth.astype(np.int32), 0)
    mixed = dbcv(rows, np.random.default_rng(0).permutation(truth).astype(np.int32), 0)
    assert good > 0.5
    assert mixed < -0.5


def test_dbcv_counts_noise_against_it(blobs):
    rows, truth = blobs(4, 200, width=8, noise=0.1)
    labels = truth.astype(np.int32)
    labels[::2][labels[::2] < 2] = -1
    assert dbcv(rows, labels, 0) < dbcv(rows, truth.astype(np.int32), 0)


def test_dbcv_of_two_pairs_by_hand(unit):
    """Two pairs, each the angle a apart, opposite each other: 1 - sparseness / separation of chords."""
    angle = 0.1
    turns = np.array([0.0, angle, np.pi, np.pi + angle])
    rows = unit(np.stack([np.cos(turns), np.sin(turns)], axis=1))
    inner, between = 2 * np.sin(angle / 2), 2 * np.sin((np.pi - angle) / 2)
    assert dbcv(rows, np.array([0, 0, 1, 1], np.int32), 0) == pytest.approx(1 - inner / between, abs=1e-3)


@pytest.mark.parametrize("labels", [[0, 0, 0, 0], [0, 1, 2, 3], [-1, -1, -1, -1], [0, 0, 1, -1]])
def test_no_dbcv_with_fewer_than_two_groups(blobs, labels):
    assert dbcv(blobs(2, 4)[0], np.array(labels, np.int32), 0) is None


def test_dbcv_of_equal_rows(unit):
    rows = unit(np.repeat(np.eye(3), 4, axis=0))
    assert dbcv(rows, np.repeat(np.arange(3), 4).astype(np.int32), 0) == pytest.approx(1.0)
