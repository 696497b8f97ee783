"""Density, in layers. Where nothing is in numba's cache, the first test waits for its compiling."""

from itertools import pairwise
from pathlib import Path

import numba
import numpy as np
import pytest
from sklearn.metrics import adjusted_rand_score

from nearfield_server.core.clustering.fit import compiling
from nearfield_server.core.clustering.nouns import Method

pytestmark = pytest.mark.long


@pytest.fixture(scope="module")
def rows(blobs):
    return blobs(8, 600, width=32, noise=0.6)


@pytest.fixture(scope="module")
def dense(fitted, rows):
    return fitted(rows[0], method=Method.DENSITY)


def test_groups_are_found(dense, rows, sound):
    sound(dense, 600)
    told, arrays = dense
    assert adjusted_rand_score(rows[1], arrays.clusters) > 0.8
    assert told.layers[told.layer].clusters == len(told.clusters)


def test_the_order_of_rows_does_not_matter(fitted, rows, dense):
    other = np.random.default_rng(1).permutation(600)
    keys = [f"{at:03}" for at in range(600)]
    again = fitted(rows[0][other], keys=keys, method=Method.DENSITY)
    for name in ("clusters", "strengths", "nearest"):
        np.testing.assert_array_equal(getattr(dense[1], name)[other], getattr(again[1], name))
    np.testing.assert_array_equal(dense[1].layers[:, other], again[1].layers)
    assert dense[0].layers == again[0].layers


def test_equal_rows_stay_together(fitted, sound, blobs, unit):
    some = blobs(6, 120, width=32, noise=0.6)[0]
    rows = unit(np.concatenate([np.repeat(some, 3, axis=0), np.repeat(some[:1], 500, axis=0)]))
    result = fitted(rows, method=Method.DENSITY)
    sound(result, 860)
    for at in range(120):
        assert len(set(result[1].clusters[3 * at : 3 * at + 3].tolist())) == 1
    assert set(result[1].clusters[360:].tolist()) == {result[1].clusters[0]}


def test_the_layer_nearest_to_a_target_is_shown(fitted, rows):
    told, _ = fitted(rows[0], method=Method.DENSITY, target_clusters=8)
    nearest = min(abs(one.clusters - 8) for one in told.layers)
    assert abs(len(told.clusters) - 8) == nearest


def test_parents_are_places_in_the_next_layer(dense):
    layers = dense[0].layers
    for finer, coarser in pairwise(layers):
        assert len(finer.parents) == finer.clusters
        assert set(finer.parents) <= set(range(-1, coarser.clusters))
    assert layers[-1].parents == ()


def test_noise_may_be_assigned(fitted, blobs):
    rows, _ = blobs(6, 300, width=48, noise=1.4)
    left, _ = fitted(rows, method=Method.DENSITY)
    told, arrays = fitted(rows, method=Method.DENSITY, assign_noise=True)
    assert told.noise == 0 <= left.noise
    assert (arrays.clusters >= 0).all()


def test_compiling_makes_all_that_a_fit_needs(fitted, rows):
    """The cache of numba holds no more after another fit."""
    compiling.main()
    cache = Path(numba.config.CACHE_DIR)
    before = {one for one in cache.rglob("*.nbc") if "evoc" in one.parent.name}
    assert before
    fitted(rows[0], method=Method.DENSITY, min_cluster_size=8, noise_level=0.3)
    assert {one for one in cache.rglob("*.nbc") if "evoc" in one.parent.name} == before
