"""Words: what agrees, and what is found by MinHash."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.dedup.lexical import LexicalTable, bands_of, words_of
from nearfield_server.core.dedup.seen import agree

TEXTS = st.text(st.characters(codec="utf-8"), max_size=60)


@pytest.mark.slow
@given(TEXTS, TEXTS)
def test_jaccard_is_symmetric_and_a_share(one, other):
    first, second = words_of(one), words_of(other)
    assert first.jaccard(second) == second.jaccard(first)
    assert 0.0 <= first.jaccard(second) <= 1.0
    assert first.jaccard(first) == 1.0


@given(st.lists(st.sampled_from(["alpha", "beta", "gamma", "delta", "7"]), min_size=2, max_size=6))
def test_case_blanks_and_punctuation_say_nothing(words):
    assert words_of(", ".join(words)).jaccard(words_of("  ".join(words).upper())) == 1.0


def test_it_is_the_jaccard_similarity_of_shingles():
    one, other = " abcdef ", " abcdxf "
    sets = [{text[at : at + 4] for at in range(len(text) - 3)} for text in (one, other)]
    expected = len(sets[0] & sets[1]) / len(sets[0] | sets[1])
    assert words_of("abcdef").jaccard(words_of("abcdxf")) == pytest.approx(expected)


@pytest.mark.parametrize(
    ("one", "other", "contradict"),
    [
        ("iPhone 12", "iPhone 13", True),
        ("iPhone 12", "iPhone", False),
        ("vldb 1999", "vldb 1999 25", False),
        ("vldb 1999 24", "vldb 1999 25", True),
        ("part A7", "part A8", True),
    ],
)
def test_a_digit_makes_another_thing(one, other, contradict):
    assert words_of(one).contradicts(words_of(other)) is contradict
    assert agree(words_of(one), words_of(one), 0.99, 0.9)
    assert not (contradict and agree(words_of(one), words_of(other), 0.99, 0.9))


def test_vectors_alone_and_words_alone_are_not_enough():
    same, other = words_of("a grammar of the welsh language"), words_of("how to build a boat")
    assert agree(same, same, 0.80, 0.9)  # words make up for it
    assert not agree(same, same, 0.70, 0.9)
    assert not agree(same, other, 0.95, 0.9)


def test_texts_that_share_many_shingles_are_found():
    rng = np.random.default_rng(0)
    names = ["".join(rng.choice(list("abcdefghijklmnop "), 50)) for _ in range(300)]
    table = LexicalTable()
    for slot, name in enumerate(names):
        table.add(bands_of(words_of(name)), slot)
    typos = [name[:25] + "z" + name[26:] for name in names]
    found = [table.candidates(bands_of(words_of(typo))) for typo in typos]
    assert np.mean([slot in one for slot, one in enumerate(found)]) > 0.95
    assert np.mean([len(one) for one in found]) < 3


def test_the_same_title_a_thousand_times_stays_cheap():
    table, bands = LexicalTable(), bands_of(words_of("annual report"))
    for slot in range(1000):
        table.add(bands, slot)
    assert len(table.candidates(bands)) == 64
    assert max(table.candidates(bands)) == 999


def test_texts_without_words_have_no_bands():
    assert bands_of(words_of("…!?")) == []
    assert words_of("...").jaccard(words_of("a word")) == 0.0
