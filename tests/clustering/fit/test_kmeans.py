"""k-means against scikit-learn, and the choice of k."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.cluster import KMeans
from sklearn.metrics import adjusted_rand_score

from nearfield_server.core.clustering.fit.centres import Centres, centroids_of, left_out_distances
from nearfield_server.core.clustering.fit.kmeans import fit_kmeans, nearest_of_kmeans, sweep_of


def cohesion(rows, labels):
    centroids = centroids_of(rows, labels.astype(np.int32), int(labels.max()) + 1)
    return float((rows * centroids[labels]).sum())


@pytest.mark.slow
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_no_worse_than_scikit_learn(blobs, seed):
    rows, _ = blobs(12, 600, width=24, noise=1.0)
    ours = nearest_of_kmeans(rows, 12, seed, lambda _: None)
    theirs = KMeans(12, n_init=3, random_state=seed).fit_predict(rows)
    assert cohesion(rows, ours) >= cohesion(rows, theirs)


@pytest.mark.slow
@pytest.mark.parametrize("clusters", [2, 4, 9])
def test_k_is_found(fitted, blobs, clusters):
    rows, truth = blobs(clusters, 270, width=24)
    told, arrays = fitted(rows)
    assert told.options.k == clusters
    assert adjusted_rand_score(truth, arrays.clusters) == 1.0
    assert max(told.trials, key=lambda one: one.silhouette).k == clusters


def test_k_stays_between_its_bounds(fitted, blobs):
    rows, _ = blobs(4, 80)
    told, _ = fitted(rows, min_k=6, max_k=8)
    assert 6 <= told.options.k <= 8
    assert all(6 <= one.k <= 8 for one in told.trials)


@given(
    count=st.integers(1, 100_000), bounds=st.tuples(st.none() | st.integers(1, 500), st.none() | st.integers(1, 500))
)
def test_sweeps(count, bounds):
    least, most = bounds
    found = sweep_of(count, least, most)
    assert found == sorted(set(found))
    assert 1 <= found[0] <= found[-1] <= count
    assert len(found) <= 30
    if least is not None:
        assert found[0] == min(least, count)


def test_all_centroids_have_an_item(unit):
    random = np.random.default_rng(0)
    rows = unit(np.repeat(random.standard_normal((9, 4)), [50, 1, 1, 1, 1, 1, 1, 1, 1], axis=0))
    for k in range(1, 10):
        centroids = fit_kmeans(rows, k, 0)
        assert len(np.unique(Centres.of(rows, centroids).nearest)) == k


def test_left_out_distances_are_those_to_the_others(unit):
    rows = unit(np.random.default_rng(1).standard_normal((7, 5)) + 1.0)
    centroid = unit(rows.sum(axis=0, keepdims=True))[0]
    found = left_out_distances(rows, centroid)
    for at, one in enumerate(rows):
        others = np.delete(rows, at, axis=0).sum(axis=0)
        assert found[at] == pytest.approx(1.0 - one @ others / np.linalg.norm(others), abs=1e-5)
