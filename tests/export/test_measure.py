"""The figures of an export against scipy and against formulas written out."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from nearfield_server.export.errors import SourceError
from nearfield_server.export.measure import closeness, rank_correlation, similarity_score, unit
from nearfield_server.export.samples import Encoded, batches, calibration_texts, feeds, verification_texts
from nearfield_server.export.tasks import Task

RANDOM = np.random.default_rng(6)


@given(st.lists(st.tuples(st.integers(0, 5), st.integers(0, 5)), min_size=3, max_size=40))
def test_rank_correlation_is_spearmans(pairs):
    a, b = np.array(pairs, float).T
    if np.ptp(a) and np.ptp(b):
        assert rank_correlation(a, b) == pytest.approx(spearmanr(a, b).statistic, abs=1e-9)


def test_equal_vectors_are_close_however_long():
    rows = [RANDOM.normal(0, 1, (1, 8)).astype(np.float32) for _ in range(20)]
    found = closeness([unit(row) for row in rows], [7 * row for row in rows], Task.EMBED)
    assert found.mean == pytest.approx(1)
    assert found.worst == pytest.approx(1)
    assert found.order == 1


def test_token_vectors_are_compared_token_by_token():
    rows = [unit(RANDOM.normal(0, 1, (n, 8))) for n in range(2, 16)]
    turned = [row.copy() for row in rows]
    turned[3][1] *= -1
    found = closeness(turned, rows, Task.MULTI)
    assert found.worst == pytest.approx(-1)
    assert found.mean == pytest.approx(1 - 2 / sum(map(len, rows)))
    assert 0.8 < found.order < 1


def test_scores_are_compared_as_they_are():
    scores = [np.array([[one, -one]], np.float32) for one in range(9)]
    shifted = [one + np.float32(0.5) for one in scores]
    found = closeness(shifted, scores, Task.CLASSIFY)
    assert (found.mean, found.worst, found.order) == (pytest.approx(1), pytest.approx(0.5), pytest.approx(1))
    assert set(found.named(Task.CLASSIFY)) == {"correlation", "max_difference", "rank_correlation"}


@pytest.mark.parametrize("task", [Task.EMBED, Task.MULTI])
def test_likeness_follows_the_judgement(task):
    base = unit(RANDOM.normal(0, 1, (6, 16)))
    near = [unit(base[[i]] + (i + 1) * 0.3 * RANDOM.normal(0, 1, (1, 16))) for i in range(6)]
    gold = [float((base[i] * near[i][0]).sum()) for i in range(6)]
    assert similarity_score([base[[i]] for i in range(6)], near, gold, task) == pytest.approx(100)


def test_batches_hold_every_text_once_within_the_budget():
    texts = [Encoded([1] * n, [0] * n) for n in RANDOM.integers(1, 300, 60)]
    groups = list(batches(texts))
    assert sorted(index for group in groups for index in group) == list(range(60))
    for group in groups:
        assert len(group) == 1 or len(group) * max(len(texts[index]) for index in group) <= 256


def test_padding_is_on_the_right_and_masked():
    made = feeds([Encoded([5, 6, 7], [0, 0, 1]), Encoded([8], [0])], ["input_ids", "attention_mask", "token_type_ids"])
    assert made["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0]]
    assert made["attention_mask"].tolist() == [[1, 1, 1], [1, 0, 0]]
    assert made["token_type_ids"].tolist() == [[0, 0, 1], [0, 0, 0]]
    with pytest.raises(SourceError, match="inputs that texts don't give: pixel_values"):
        feeds([Encoded([5], [0])], ["pixel_values"])


def test_no_verification_sentence_was_calibrated_on():
    calibration = calibration_texts()
    assert not [text for text in verification_texts() if len(text) > 20 and any(text in one for one in calibration)]
    assert len(verification_texts()) > 100
