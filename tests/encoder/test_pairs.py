"""Pairs are cut as the library cuts the whole texts, however little of them was looked at."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from nearfield_server.backends.fake import FakeBackend
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.spec import resolve
from nearfield_server.encoder.tokenizer import TextOptions, TextTokenizer
from nearfield_server.errors import InvalidInput, TextTooLong
from nearfield_server.types import OutputKind, Truncate

FOLDER = open_folder(builtin_folder())
FILE = str(FOLDER.tokenizer_file)
SPEC = resolve("m", FOLDER, "0" * 64, Tokenizer.from_file(FILE), FakeBackend(384).signature)
LIMIT = 12
WORDS = st.sampled_from(["a", "unbelievable", "qzx" * 34, "北京", "!", "[SEP]", "don't", "w" * 101, " ", "\n"])
TEXTS = st.lists(WORDS, max_size=60).map(" ".join)


def of_limit(limit, first_characters=0):
    return TextTokenizer(replace(SPEC, max_tokens=limit), Tokenizer.from_file(FILE), first_characters=first_characters)


def named(index):
    return f"documents[{index}]"


@pytest.fixture(scope="module")
def reference():
    tokenizer = Tokenizer.from_file(FILE)
    tokenizer.no_padding()
    tokenizer.enable_truncation(LIMIT, strategy="longest_first")
    return tokenizer


@pytest.mark.slow
@settings(max_examples=200)
@given(pairs=st.lists(st.tuples(TEXTS, TEXTS), min_size=1, max_size=4), first=st.sampled_from([1, 7, 800]))
def test_as_the_whole_texts(reference, pairs, first):
    found = of_limit(LIMIT, first).encode_pairs(pairs, TextOptions(wanted=frozenset({OutputKind.SCORES})), named)
    for pair, one, expected in zip(pairs, found, reference.encode_batch(pairs), strict=True):
        assert one.truncated == bool(expected.overflowing)
        assert one.wanted == {OutputKind.SCORES}
        if all(len(text) <= 8 * first for text in pair) or not one.truncated:
            assert one.ids.tolist() == expected.ids
            assert one.type_ids.tolist() == expected.type_ids
        else:  # which of two texts is the longer one is estimated: an odd token may go to the other
            assert len(one.ids) == len(expected.ids)
            assert abs(int(one.type_ids.sum()) - sum(expected.type_ids)) <= 1


def test_typed_special_tokens_are_text_on_request():
    tokenizer = of_limit(LIMIT)
    parsed, literal = (
        tokenizer.encode_pairs([("a", "[SEP]")], TextOptions(special_tokens_as_text=one), named)[0]
        for one in (False, True)
    )
    assert parsed.ids.tolist().count(102) == 3
    assert literal.ids.tolist().count(102) == 2


def test_too_long_names_the_pair_and_its_tokens():
    with pytest.raises(TextTooLong, match=r"documents\[1\]: 13 tokens.*takes 12") as caught:
        of_limit(LIMIT).encode_pairs([("a", "a"), ("a", "a " * 9)], TextOptions(truncate=Truncate.NONE), named)
    assert caught.value.metadata == {"tokens": "13", "limit": "12"}


def test_pairs_have_no_start_to_cut():
    with pytest.raises(InvalidInput, match="can't be cut at the start"):
        of_limit(LIMIT).encode_pairs([("a", "a")], TextOptions(truncate=Truncate.START), named)
