"""The computing of maps: coordinates that don't depend on the input's order, whatever the input."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors

from nearfield_server.core.projection.estimate import MAX_ITEMS, check_size, estimated_bytes
from nearfield_server.core.projection.fit.fitting import MapJob, fit
from nearfield_server.core.projection.fit.neighbors import nearest
from nearfield_server.core.projection.fit.rows import distinct
from nearfield_server.core.projection.nouns import ProjectOptions, Way
from nearfield_server.core.projection.placing import place
from nearfield_server.errors import InvalidInput, TooLarge

SLOW = [Way.PACMAP, Way.UMAP, Way.TSNE]


def options(method=Way.PCA, **others):
    return ProjectOptions(method=method, **others)


@given(st.data(), st.booleans())
def test_rows_are_told_apart_whatever_their_order(data, keyed):
    kinds = data.draw(st.lists(st.integers(0, 5), min_size=1, max_size=30))
    order = data.draw(st.permutations(range(len(kinds))))
    rows = np.eye(6, dtype=np.float32)[kinds]
    keys = [str(kind) for kind in kinds] if keyed else []
    found = distinct(rows, keys)
    np.testing.assert_array_equal(found.rows[found.of], rows)
    assert len(found.rows) == len(set(kinds))
    assert found.counts.tolist() == [int((found.of == one).sum()) for one in range(len(found.rows))]
    again = distinct(rows[list(order)], [keys[one] for one in order] if keyed else [])
    np.testing.assert_array_equal(again.rows, found.rows)
    np.testing.assert_array_equal(again.of, found.of[list(order)])


def test_pca_is_that_of_scikit_learn(make_groups):
    rows, _ = make_groups(200)
    projected, arrays = fit(MapJob(rows=rows, options=options(components=3)))
    expected = PCA(3).fit_transform(rows)
    expected /= np.abs(expected).max()
    np.testing.assert_allclose(np.abs(arrays.coordinates), np.abs(expected), atol=1e-4)
    np.testing.assert_allclose(arrays.coordinates.mean(axis=0), 0, atol=1e-5)
    assert np.abs(arrays.coordinates).max() == pytest.approx(1.0)
    assert projected.trustworthiness > 0.8
    assert set(projected.stage_seconds) == {"order", "fit", "quality"}


def test_the_order_of_the_input_does_not_matter(make_groups):
    rows, _ = make_groups(100)
    order = np.random.default_rng(1).permutation(100)
    _, first = fit(MapJob(rows=rows, options=options()))
    _, second = fit(MapJob(rows=rows[order], options=options()))
    np.testing.assert_array_equal(second.coordinates, first.coordinates[order])


@pytest.mark.parametrize("method", Way)
@pytest.mark.parametrize("count", [1, 2, 3])
def test_a_handful_of_items_is_answered(method, count, make_groups):
    rows, _ = make_groups(count)
    projected, arrays = fit(MapJob(rows=rows, options=options(method, components=3)))
    assert arrays.coordinates.shape == (count, 3)
    assert np.isfinite(arrays.coordinates).all()
    assert projected.trustworthiness is None
    assert projected.warnings


@pytest.mark.parametrize("method", Way)
def test_equal_items_lie_on_one_point(method):
    rows = np.full((500, 4), 0.5, np.float32)
    projected, arrays = fit(MapJob(rows=rows, options=options(method)))
    assert not arrays.coordinates.any()
    assert projected.warnings == ("all items are the same: they lie on one point",)


def test_duplicates_lie_where_their_likes_do(make_groups):
    rows, _ = make_groups(20)
    _, arrays = fit(MapJob(rows=np.repeat(rows, 3, axis=0), options=options()))
    np.testing.assert_array_equal(arrays.coordinates[0::3], arrays.coordinates[2::3])


def test_a_row_of_one_dimension_has_zeros_for_the_others():
    _, arrays = fit(MapJob(rows=np.array([[1], [-1], [1]], np.float32), options=options()))
    np.testing.assert_allclose(arrays.coordinates[:, 1], 0)
    assert arrays.coordinates[0, 0] == arrays.coordinates[2, 0] != arrays.coordinates[1, 0]


def test_neighbors_are_those_of_scikit_learn(make_groups):
    rows, _ = make_groups(300)
    told = []
    near, distances = nearest(rows, 7, told.append)
    expected, wanted = NearestNeighbors(n_neighbors=8, algorithm="brute").fit(rows).kneighbors(rows)
    np.testing.assert_allclose(distances, expected[:, 1:], atol=2e-3)
    assert np.mean(near == wanted[:, 1:]) > 0.99
    assert told[-1] == 1.0
    assert not (near == np.arange(300)[:, None]).any()


def test_neighbors_in_cells_are_nearly_the_same_and_repeatable(make_groups):
    rows, _ = make_groups(1500)
    exact, _ = nearest(rows, 10, lambda _: None)
    first, distances = nearest(rows, 10, lambda _: None, exact_rows=1000)
    second, _ = nearest(rows, 10, lambda _: None, exact_rows=1000)
    np.testing.assert_array_equal(first, second)
    found = np.mean([len(set(one) & set(other)) for one, other in zip(first, exact, strict=True)]) / 10
    assert found > 0.9
    assert np.isfinite(distances).all()


def test_new_items_are_placed_exactly_by_pca(make_groups):
    rows, _ = make_groups(100)
    _, arrays = fit(MapJob(rows=rows, options=options(), anchors=True))
    np.testing.assert_allclose(place(rows, arrays), arrays.coordinates, atol=1e-5)
    assert not len(arrays.anchors)


@given(st.integers(1, 30), st.integers(1, 6))
@settings(max_examples=30)
def test_new_items_are_placed_among_their_neighbors(anchors, seed):
    random = np.random.default_rng(seed)
    rows = random.normal(size=(anchors, 8)).astype(np.float32)
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    _, arrays = fit(MapJob(rows=rows, options=options(components=2)))
    places = random.uniform(-1, 1, (anchors, 2)).astype(np.float32)
    arrays = dataclasses.replace(
        arrays, anchors=rows.astype(np.float16), places=places, matrix=np.empty((0, 2), np.float32)
    )
    found = place(rows, arrays)
    np.testing.assert_allclose(found, places, atol=0.02)  # an item that is there goes to its place
    among = place(-rows, arrays)
    assert (among >= places.min(axis=0) - 1e-5).all()
    assert (among <= places.max(axis=0) + 1e-5).all()


@pytest.mark.parametrize("method", SLOW)
def test_too_many_items_for_a_method_are_refused_with_what_to_do(method):
    with pytest.raises(InvalidInput, match=r"use .*PCA") as caught:
        check_size(options(method), 2**50, "items", MAX_ITEMS[method] + 1, 8, 0)
    assert caught.value.violations[0].field == "items"


@pytest.mark.parametrize("method", Way)
def test_what_takes_too_much_memory_is_refused_with_the_estimate(method):
    needed = estimated_bytes(options(method), 10_000, 384)
    check_size(options(method), needed, "items", 10_000, 384, 0)
    with pytest.raises(TooLarge, match=r"cluster\.memory_bytes") as caught:
        check_size(options(method), needed - 1, "items", 10_000, 384, 0)
    assert caught.value.metadata["estimate"] == str(needed)


@pytest.mark.long
@pytest.mark.parametrize("method", SLOW)
def test_slow_methods_are_repeatable_and_keep_groups_apart(method, make_groups):
    rows, of = make_groups(300)
    order = np.random.default_rng(1).permutation(300)
    job = MapJob(rows=rows, options=options(method, seed=2**32 - 1), anchors=True)
    projected, first = fit(job)
    _, second = fit(dataclasses.replace(job, rows=rows[order]))
    np.testing.assert_array_equal(second.coordinates, first.coordinates[order])
    near = NearestNeighbors(n_neighbors=6).fit(first.coordinates).kneighbors(return_distance=False)
    assert np.mean(of[near[:, 1:]] == of[:, None]) > 0.95
    assert projected.trustworthiness > 0.8
    assert np.abs(first.coordinates).max() == pytest.approx(1.0)
    np.testing.assert_allclose(place(rows, first), first.coordinates, atol=0.05)


@pytest.mark.long
@pytest.mark.parametrize("method", SLOW)
@pytest.mark.parametrize("count", [10, 11, 14])
def test_slow_methods_answer_few_items(method, count, make_groups):
    rows, _ = make_groups(count)
    projected, arrays = fit(MapJob(rows=rows, options=options(method, components=3)))
    assert np.isfinite(arrays.coordinates).all()
    assert projected.options.neighbors < count
    assert "too few" in projected.warnings[0]
