"""Counts of words, against a plain count."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.engines.embedded.exact_scores import idf
from nearfield_server.engines.embedded.index import word_counts
from nearfield_server.engines.embedded.index.word_counts import WordCounts
from nearfield_server.types import SparseRow

WORDS = st.sets(st.sampled_from([0, 1, 2, 7, 2**31, 2**32 - 1]))
STEPS = st.lists(st.tuples(st.sampled_from(["take", "drop", "reopen"]), WORDS), max_size=40)


@given(STEPS, st.integers(0, 4))
def test_counts_are_those_of_the_points_that_are_there(tmp_path_factory, steps, most_recent):
    path = tmp_path_factory.mktemp("words") / "words.npy"
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(word_counts, "_MOST_RECENT", most_recent)
        counts, there = WordCounts(), []
        for step, words in steps:
            if step == "take":
                counts.take([np.array(sorted(words), np.uint32)])
                there.append(words)
            elif step == "drop" and there:
                counts.drop([np.array(sorted(there.pop(0)), np.uint32)])
            elif step == "reopen":
                counts.save(path)
                counts = WordCounts.load(path)
    expected = Counter(word for words in there for word in words)
    asked = [0, 2, 5, 2**31, 2**32 - 1]
    weighted = counts.weighted(SparseRow(np.array(asked, np.uint32), np.full(len(asked), 2.0, np.float32)))
    assert counts.points == len(there)
    assert weighted.weights.tolist() == pytest.approx([2 * idf(len(there), expected[one]) for one in asked])
