"""Learning from labelled rows: what is chosen, how sure it is, and input that is odd."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from threadpoolctl import threadpool_limits

from nearfield_server.core.classifiers.fit.choosing import folds_of
from nearfield_server.core.classifiers.fit.figures import figures_of, least_similarity, scale_of, without_itself
from nearfield_server.core.classifiers.fit.linear import Examples, fit_centroid, fit_logistic, fit_ridge
from nearfield_server.core.classifiers.fit.training import TrainJob, train
from nearfield_server.core.classifiers.nouns import Method


@pytest.fixture(scope="module", autouse=True)
def one_thread():
    """As the worker does: threads that wait for each other cost more than they give to small matrices."""
    with threadpool_limits(1):
        yield


def silent(stage, share):
    del stage, share


def clouds(labels, each, width=16, noise=0.6, seed=0):
    """Rows around a direction for each label."""
    random = np.random.default_rng(seed)
    centres = random.standard_normal((labels, width))
    rows = centres.repeat(each, axis=0) + noise * random.standard_normal((labels * each, width))
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    return rows.astype(np.float32), np.arange(labels).repeat(each)


def job(rows, labels, **options):
    names = [f"label {place:05}" for place in range(int(labels.max()) + 1)]
    return TrainJob(rows=np.asarray(rows, np.float32), labels=np.asarray(labels, np.int64), names=names, **options)


def values(weights, rows):
    return rows @ weights.coefficients.T + weights.intercepts


def probabilities(weights, rows):
    powers = np.exp(values(weights, rows) - values(weights, rows).max(axis=1, keepdims=True))
    return powers / powers.sum(axis=1, keepdims=True)


@pytest.mark.parametrize("method", [None, *Method])
def test_clouds_are_told_apart(method):
    rows, labels = clouds(4, 20)
    trained, weights = train(job(rows[::2], labels[::2], method=method), silent)
    assert (values(weights, rows[1::2]).argmax(axis=1) == labels[1::2]).mean() > 0.9
    assert trained.accuracy > 0.9
    assert trained.macro_f1 == max(one.macro_f1 for one in trained.trials)
    assert {one.method for one in trained.trials} == ({method} if method else set(Method))
    assert all(one.precision > 0.8 and one.recall > 0.8 for one in trained.labels)


def test_progress_is_told_in_order():
    told = []
    train(job(*clouds(3, 6)), lambda stage, share: told.append((stage, share)))
    assert list(dict.fromkeys(stage for stage, _ in told)) == ["order", "choose", "fit", "calibrate"]
    assert [share for _, share in told] == sorted(share for _, share in told)


@pytest.mark.parametrize("keyed", [False, True])
def test_the_order_of_rows_does_not_matter(keyed):
    rows, labels = clouds(5, 9, noise=1.0)
    keys = [f"{row:03}" for row in range(len(rows))]
    mixed = np.random.default_rng(4).permutation(len(rows))
    first, weights = train(job(rows, labels, seed=7, keys=keys if keyed else ()), silent)
    again, others = train(
        job(rows[mixed], labels[mixed], seed=7, keys=[keys[row] for row in mixed] if keyed else ()), silent
    )
    assert first == again
    np.testing.assert_array_equal(weights.coefficients, others.coefficients)
    np.testing.assert_array_equal(weights.centroids, others.centroids)


@pytest.mark.parametrize("method", list(Method))
def test_probabilities_are_calibrated(method):
    rows, labels = clouds(6, 60, noise=1.4)
    _, weights = train(job(rows[::2], labels[::2], method=method), silent)
    sure = probabilities(weights, rows[1::2])
    right = sure.argmax(axis=1) == labels[1::2]
    assert 0.3 < right.mean() < 0.95
    assert sure.max(axis=1).mean() == pytest.approx(right.mean(), abs=0.1)


def test_one_percent_of_examples_is_less_similar_than_the_bound():
    rows, labels = clouds(4, 100)
    examples = Examples(rows, labels, 4)
    nearest = without_itself(examples, examples.sums(), np.arange(len(rows))).max(axis=1)
    assert (nearest < least_similarity(examples)).sum() == pytest.approx(4, abs=1)


def test_an_example_is_compared_with_the_others_of_its_label():
    rows = np.array([[1, 0], [0, 1], [1, 0], [-1, 0]], np.float32)
    examples = Examples(rows, np.array([0, 0, 1, 2]), 3)
    found = without_itself(examples, examples.sums(), np.arange(4))
    assert found[0].tolist() == pytest.approx([0.0, 1.0, -1.0])
    assert found[3].tolist() == pytest.approx([-(0.5**0.5), -1.0, -1.0])


def test_all_vectors_equal():
    rows = np.tile(np.array([[0.6, 0.8]], np.float32), (12, 1))
    trained, weights = train(job(rows, np.arange(12) % 2), silent)
    assert trained.accuracy <= 0.5
    assert "12 examples have the same vector as one of another label" in trained.warnings[-1]
    assert probabilities(weights, rows).max() < 0.6
    assert (rows @ weights.centroids.T).max() >= trained.min_similarity


def test_contradicting_examples_leave_it_unsure():
    rows, labels = clouds(2, 10, noise=0.1)
    trained, weights = train(job(np.concatenate([rows, rows]), np.concatenate([labels, 1 - labels])), silent)
    assert "40 examples" in trained.warnings[-1]
    assert probabilities(weights, rows).max() < 0.8


def test_unbalanced_labels():
    rows, labels = clouds(2, 300, noise=0.8)
    kept = np.r_[0:300, 300:304]
    trained, weights = train(job(rows[kept], labels[kept]), silent)
    assert trained.folds == 4
    assert any("4 to 300 examples" in one for one in trained.warnings)
    assert (values(weights, rows[300:]).argmax(axis=1) == 1).mean() > 0.5


def test_as_many_labels_as_examples():
    rows, _ = clouds(30, 1)
    trained, weights = train(job(rows, np.arange(30)), silent)
    assert (trained.method, trained.folds, trained.accuracy) == (Method.CENTROID, 0, None)
    assert trained.warnings[0].startswith("30 of 30 labels have one example only")
    assert (values(weights, rows).argmax(axis=1) == np.arange(30)).all()
    assert -1.0 <= trained.min_similarity <= 1.0


@pytest.mark.slow
def test_thousands_of_labels():
    rows, labels = clouds(1100, 2, width=16, noise=0.1)
    trained, weights = train(job(rows, labels, method=Method.RIDGE), silent)
    assert (trained.folds, len(trained.labels)) == (2, 1100)
    assert np.isfinite(weights.coefficients).all()


def test_opposite_examples_have_no_centroid():
    rows = np.array([[1, 0], [-1, 0], [0, 1], [0, 1]], np.float32)
    _, weights = train(job(rows, np.array([0, 0, 1, 1])), silent)
    assert weights.centroids[0].tolist() == [0, 0]
    assert np.isfinite(values(weights, rows)).all()


@settings(max_examples=30)
@given(st.integers(2, 5), st.integers(2, 12), st.integers(2, 20), st.integers(0, 9))
def test_both_ways_to_solve_ridge_agree(count, each, width, seed):
    rows, labels = clouds(count, each, width, seed=seed)
    found = fit_ridge(Examples(rows, labels, count), 0.5)
    mean = rows.mean(axis=0, dtype=np.float64)
    targets = np.eye(count)[labels]
    centred = rows - mean
    expected = np.linalg.solve(centred.T @ centred + 0.5 * np.eye(width), centred.T @ (targets - targets.mean(axis=0)))
    np.testing.assert_allclose(found.coefficients, expected.T, atol=2e-4)
    np.testing.assert_allclose(found.intercepts, targets.mean(axis=0) - mean @ expected, atol=2e-4)


def test_logistic_is_at_its_optimum():
    rows, labels = clouds(3, 30, noise=1.0)
    found = fit_logistic(Examples(rows, labels, 3), 1.0)
    scores = found.values(rows).astype(np.float64)
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    shares /= shares.sum(axis=1, keepdims=True)
    gradient = (shares - np.eye(3)[labels]).T @ rows + found.coefficients
    assert np.abs(gradient).max() < 0.05
    assert np.abs((shares - np.eye(3)[labels]).sum(axis=0)).max() < 0.05


def test_centroids_are_the_means():
    rows, labels = clouds(3, 5)
    means = np.stack([rows[labels == place].mean(axis=0) for place in range(3)])
    expected = means / np.linalg.norm(means, axis=1, keepdims=True)
    np.testing.assert_allclose(fit_centroid(Examples(rows, labels, 3)).coefficients, expected, atol=1e-6)


@given(st.lists(st.integers(0, 4), min_size=10, max_size=60), st.integers(2, 5), st.integers(0, 99))
def test_every_fold_has_its_share_of_every_label(given_labels, folds, seed):
    labels = np.array(given_labels)
    dealt = folds_of(labels, 5, folds, seed)
    np.testing.assert_array_equal(dealt, folds_of(labels, 5, folds, seed))
    for label in range(5):
        counts = np.bincount(dealt[labels == label], minlength=folds)
        assert counts.max() - counts.min() <= 1


def test_figures():
    found = figures_of(np.array([0, 0, 1, 1, 2]), np.array([0, 1, 1, 1, 0]), 3)
    assert found.accuracy == pytest.approx(0.6)
    assert found.precision[:2].tolist() == pytest.approx([0.5, 2 / 3])
    assert np.isnan(found.precision[2])
    assert found.recall.tolist() == pytest.approx([0.5, 1.0, 0.0])
    assert found.macro_f1 == pytest.approx((0.5 + 0.8 + 0.0) / 3)


def test_a_few_examples_do_not_make_certainty():
    separated = np.array([[1, 0], [0, 1]] * 2, np.float32)
    labels = np.array([0, 1] * 2)
    few, many = scale_of(separated, labels), scale_of(np.tile(separated, (50, 1)), np.tile(labels, 50))
    assert 1 / (1 + np.exp(-few)) < 0.95
    assert few < many
