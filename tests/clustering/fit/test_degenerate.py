"""Inputs at the edge: each has an answer."""

import numpy as np
import pytest

from nearfield_server.core.clustering.nouns import Linkage, Method

METHODS = [Method.KMEANS, Method.AGGLOMERATIVE, Method.DENSITY]
WITH_K = [Method.KMEANS, Method.AGGLOMERATIVE]
HUGE = 10_000


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("count", [1, 2, 3, 5])
def test_few_items(fitted, sound, unit, method, count):
    rows = unit(np.random.default_rng(0).standard_normal((count, 8)))
    sound(fitted(rows, method=method), count)


@pytest.mark.parametrize("method", METHODS)
def test_equal_items_are_one_cluster(fitted, sound, unit, method):
    rows = unit(np.ones((40, 8)))
    result = fitted(rows, ["the same"] * 40, method=method)
    sound(result, 40)
    assert [one.size for one in result[0].clusters] == [40]
    assert [one.text for one in result[0].clusters[0].nearest] == ["the same"]


@pytest.mark.parametrize("method", WITH_K)
@pytest.mark.parametrize("k", [1, 2, 7, 12])
def test_k_clusters_of_few_items(fitted, sound, unit, method, k):
    rows = unit(np.random.default_rng(1).standard_normal((12, 8)))
    result = fitted(rows, method=method, k=k)
    sound(result, 12)
    assert len(result[0].clusters) == k


@pytest.mark.parametrize("method", WITH_K)
def test_more_clusters_than_differ(fitted, sound, unit, method):
    rows = unit(np.repeat(np.eye(4), 5, axis=0))
    result = fitted(rows, method=method, k=9)
    sound(result, 20)
    assert [one.size for one in result[0].clusters] == [5, 5, 5, 5]
    assert result[0].warnings == ("only 4 items differ: there are no 9 clusters",)
    assert result[0].options.k == 4


@pytest.mark.parametrize("method", WITH_K)
def test_opposite_vectors(fitted, sound, unit, method):
    one = np.random.default_rng(2).standard_normal((1, 8))
    rows = unit(np.concatenate([np.repeat(one, 6, axis=0), np.repeat(-one, 6, axis=0)]))
    two = fitted(rows, method=method, k=2)
    sound(two, 12)
    assert [one.size for one in two[0].clusters] == [6, 6]
    sound(fitted(rows, method=method, k=1), 12)  # their mean has no direction


@pytest.mark.parametrize("method", WITH_K)
def test_a_constant_dimension(fitted, sound, blobs, unit, method):
    rows, truth = blobs(3, 60)
    rows = unit(np.concatenate([rows, np.ones((60, 1))], axis=1))
    result = fitted(rows, method=method, k=3)
    sound(result, 60)
    assert len({*zip(truth.tolist(), result[1].clusters.tolist(), strict=True)}) == 3


def test_one_dimension(fitted, sound, unit):
    sound(fitted(unit([[1.0], [-2.0], [3.0]]), k=2), 3)


@pytest.mark.slow
def test_one_text_ten_thousand_times(fitted, sound, unit):
    rows = unit(np.ones((HUGE, 32)))
    result = fitted(rows, ["again and again"] * HUGE)
    sound(result, HUGE)
    assert [one.size for one in result[0].clusters] == [HUGE]


@pytest.mark.slow
def test_one_text_very_often_among_others(fitted, sound, unit, blobs):
    rows = unit(np.concatenate([np.tile(np.eye(16)[:1], (2000, 1)), blobs(4, 40)[0]]))
    result = fitted(rows)
    sound(result, 2040)
    assert result[0].clusters[0].size >= 2000


def test_density_with_too_few_items_tells_so(fitted, sound, unit):
    rows = unit(np.random.default_rng(3).standard_normal((12, 8)))
    result = fitted(rows, method=Method.DENSITY)
    sound(result, 12)
    assert result[0].noise == 12
    assert "too few for density" in result[0].warnings[0]


@pytest.mark.parametrize("linkage", list(Linkage))
def test_every_linkage(fitted, sound, blobs, linkage):
    rows, _ = blobs(3, 45)
    result = fitted(rows, method=Method.AGGLOMERATIVE, linkage=linkage)
    sound(result, 45)
    assert [one.size for one in result[0].clusters] == [15, 15, 15]
    assert len(result[0].merges) == 2


def test_items_that_all_differ_need_no_clusters_of_their_own(fitted, sound, unit):
    rows = unit(np.random.default_rng(4).standard_normal((50, 48)))
    result = fitted(rows)
    sound(result, 50)
    assert 1 <= len(result[0].clusters) <= 5
