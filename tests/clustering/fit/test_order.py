"""The same items give the same clusters, whatever order they come in and whatever is known of them."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from nearfield_server.core.clustering.fit import kmeans
from nearfield_server.core.clustering.fit.order import Ordered
from nearfield_server.core.clustering.nouns import Method

SAME = ("clusters", "strengths", "nearest")


@st.composite
def shuffled(draw):
    """Few rows, some of them twice, and another order of them."""
    count = draw(st.integers(4, 24))
    random = np.random.default_rng(draw(st.integers(0, 2**32)))
    rows = random.standard_normal((count, 6)).astype(np.float32)
    rows = rows[random.integers(0, count, count)]
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows, random.permutation(count), draw(st.integers(1, 4))


@pytest.mark.slow
@pytest.mark.parametrize("method", [Method.KMEANS, Method.AGGLOMERATIVE])
@settings(max_examples=20)
@given(drawn=shuffled(), with_keys=st.booleans())
def test_the_order_of_rows_does_not_matter(fitted, method, drawn, with_keys):
    rows, other, k = drawn
    keys = [f"{at:02}" for at in np.random.default_rng(k).permutation(len(rows))] if with_keys else []
    told, before = fitted(rows, method=method, k=k)
    again, after = fitted(rows[other], keys=keys, method=method, k=k)
    for name in SAME:
        np.testing.assert_array_equal(getattr(before, name)[other], getattr(after, name))
    np.testing.assert_array_equal(before.centroids, after.centroids)
    np.testing.assert_array_equal(before.deciles, after.deciles)
    assert told.quality == again.quality
    assert [one.size for one in told.clusters] == [one.size for one in again.clusters]


@given(drawn=shuffled())
def test_equal_rows_stand_together(drawn):
    rows, _, _ = drawn
    found = Ordered.of(rows, [])
    assert found.distinct == len(np.unique(rows, axis=0))
    np.testing.assert_array_equal(found.rows, rows[found.order])
    np.testing.assert_array_equal(found.rows, found.rows[found.first])
    np.testing.assert_array_equal(found.rows[found.back()], rows)


def test_keys_order_equal_rows(unit):
    rows = unit(np.ones((4, 3)))
    assert Ordered.of(rows, ["d", "a", "c", "b"]).order.tolist() == [1, 3, 2, 0]


def test_a_seed_gives_the_same_and_another_may_not(fitted, unit):
    rows = unit(np.random.default_rng(5).standard_normal((200, 12)))
    one, again, other = (fitted(rows, k=8, seed=seed)[1].clusters for seed in (3, 3, 4))
    np.testing.assert_array_equal(one, again)
    assert (one != other).any()


@pytest.mark.slow
def test_threads_do_not_matter(blobs):
    rows, _ = blobs(10, 1000, width=32, noise=0.9)
    found = []
    for threads in (1, 2):
        with threadpool_limits(threads):
            found.append(kmeans.fit_kmeans(rows, 10, 0))
    np.testing.assert_allclose(found[0], found[1], atol=1e-5)
