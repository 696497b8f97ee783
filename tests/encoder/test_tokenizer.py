"""Tokens are those of the whole text, however little of it was looked at."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer

from nearfield_server.backends.fake import FakeBackend
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.spec import resolve
from nearfield_server.encoder.tokenizer import TextOptions, TextTokenizer
from nearfield_server.errors import InvalidInput, TextTooLong
from nearfield_server.types import Truncate

FOLDER = open_folder(builtin_folder())
FILE = str(FOLDER.tokenizer_file)
SPEC = resolve("m", FOLDER, "0" * 64, Tokenizer.from_file(FILE), FakeBackend(384).signature)
CLS, SEP = 101, 102


def of_limit(limit, first_characters=0):
    return TextTokenizer(replace(SPEC, max_tokens=limit), Tokenizer.from_file(FILE), first_characters=first_characters)


def encode(tokenizer, *inputs, prompt="", truncate=Truncate.END, as_text=False):
    return tokenizer.encode(inputs, TextOptions(prompt=prompt, truncate=truncate, special_tokens_as_text=as_text))


@pytest.fixture(scope="module")
def tokenizer():
    return of_limit(8)


LIMITS = (6, 16, 300)
EAGER = {limit: of_limit(limit, 1 << 20) for limit in LIMITS}
SPARING = {(limit, first): of_limit(limit, first) for limit in LIMITS for first in (1, 7, 64)}
PLAIN = ["a", "the", "unbelievable", "qzx" * 33, "qzx" * 34, "w" * 100, "w" * 101, "don't"]
ODD = ["ge\u0301ant", "北京", "!", "🧑\u200d🚀", "[SEP]", "[CLS]", "#", "\ufffd", "\u0301", "ﬁne", "İ"]
WORDS = st.sampled_from([*PLAIN, *ODD])
GAPS = st.sampled_from(
    [" ", "  ", "\n", "\t", "\r", "", "", "\x0b", "\x0c", "\x1c", "\x85", "\xa0", "\u3000", "\u200b", "\0"]
)
TEXTS = st.one_of(
    st.lists(st.tuples(WORDS, GAPS), max_size=120).map(lambda pairs: "".join(word + gap for word, gap in pairs)),
    st.text(max_size=400),
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    text=TEXTS,
    truncate=st.sampled_from([Truncate.END, Truncate.START]),
    limit=st.sampled_from(LIMITS),
    first=st.sampled_from([1, 7, 64]),
    prompt=st.sampled_from(["", "query: "]),
    as_text=st.booleans(),
)
@example("a a a " + "qz" * 25 + "\x0c" + "w" * 400, Truncate.END, 16, 64, "", False)
def test_a_part_gives_the_tokens_of_the_whole(text, truncate, limit, first, prompt, as_text):
    if truncate is Truncate.START and prompt and limit == 6:
        prompt = ""  # it would fill the limit
    (eager,) = encode(EAGER[limit], text, prompt=prompt, truncate=truncate, as_text=as_text)
    (sparing,) = encode(SPARING[limit, first], text, prompt=prompt, truncate=truncate, as_text=as_text)
    assert sparing.ids.tolist() == eager.ids.tolist()
    assert (sparing.truncated, sparing.no_tokens) == (eager.truncated, eager.no_tokens)
    assert len(sparing.ids) <= limit


@pytest.mark.parametrize("truncate", [Truncate.END, Truncate.START])
def test_a_word_that_is_cut_in_two_is_not_taken_for_two(truncate):
    # The tail of a word over 100 characters would be word pieces; the whole word is one unknown token.
    word = "qz" * 75
    text = ".".join([word] * 40)
    whole, part = of_limit(64, 1 << 20), of_limit(64, 890)
    assert np.array_equal(*(encode(one, text, truncate=truncate)[0].ids for one in (whole, part)))


def test_little_of_a_long_text_is_read(tokenizer):
    seen = []

    class Spy:
        def __getattr__(self, name):
            return getattr(tokenizer._plain, name)

        def encode_batch_fast(self, texts, **options):
            seen.extend(map(len, texts))
            return tokenizer._plain.encode_batch_fast(texts, **options)

    spied = of_limit(8)
    spied._plain = Spy()
    encode(spied, "one two three " * 100_000)
    assert seen == [63]  # 8 tokens of 8 characters, back to the last blank


def test_the_end_is_cut(tokenizer):
    (tokens,) = encode(tokenizer, "one two three four five six seven eight")
    assert tokens.ids.tolist() == [CLS, 2028, 2048, 2093, 2176, 2274, 2416, SEP]
    assert tokens.truncated


def test_the_start_is_cut(tokenizer):
    (tokens,) = encode(tokenizer, "one two three four five six seven eight", truncate=Truncate.START)
    assert tokens.ids.tolist() == [CLS, 2093, 2176, 2274, 2416, 2698, 2809, SEP]
    assert tokens.truncated


def test_the_prompt_stays_when_the_start_is_cut(tokenizer):
    (tokens,) = encode(tokenizer, "one two three four five six", prompt="query: ", truncate=Truncate.START)
    assert tokens.ids.tolist()[:3] == [CLS, 23032, 1024]
    assert tokens.ids.tolist()[-2:] == [2416, SEP]
    assert len(tokens.ids) == 8


def test_exactly_the_limit_is_not_cut(tokenizer):
    (tokens,) = encode(tokenizer, "one two three four five six", truncate=Truncate.NONE)
    assert len(tokens.ids) == 8
    assert not tokens.truncated


@pytest.mark.parametrize(("words", "count"), [(7, "9 tokens"), (2000, "more than ")])
def test_over_the_limit_is_refused_when_nothing_may_be_cut(tokenizer, words, count):
    with pytest.raises(TextTooLong, match=count) as caught:
        encode(tokenizer, "fine", "one " * words, truncate=Truncate.NONE)
    assert caught.value.violations[0].field == "inputs[1].text"
    assert caught.value.metadata["limit"] == "8"


IDS = np.arange(2000, 2010)


@pytest.mark.parametrize(
    ("given_ids", "truncate", "expected"),
    [
        (IDS, Truncate.END, range(2000, 2008)),
        (IDS, Truncate.START, range(2002, 2010)),
        ([CLS, *IDS, SEP], Truncate.END, [CLS, *range(2000, 2006), SEP]),
        ([CLS, *IDS, SEP], Truncate.START, [CLS, *range(2004, 2010), SEP]),
        ([CLS, *IDS], Truncate.END, [CLS, *range(2000, 2007)]),
    ],
)
def test_ids_are_cut_between_their_special_tokens(tokenizer, given_ids, truncate, expected):
    (tokens,) = encode(tokenizer, np.array(given_ids, np.int64), truncate=truncate)
    assert tokens.ids.tolist() == list(expected)
    assert tokens.truncated


def test_ids_over_the_limit_are_refused_when_nothing_may_be_cut(tokenizer):
    with pytest.raises(TextTooLong, match="10 tokens") as caught:
        encode(tokenizer, IDS, truncate=Truncate.NONE)
    assert caught.value.violations[0].field == "inputs[0].token_ids"


def test_ids_outside_the_vocabulary_are_named(tokenizer):
    with pytest.raises(InvalidInput, match="30522 is outside the vocabulary: 0 to 30521") as caught:
        encode(tokenizer, "text", np.array([5, 30522]))
    assert caught.value.violations[0].field == "inputs[1].token_ids.ids[1]"


@pytest.mark.parametrize("text", ["", "  \n ", "\u200b", "\0"])
def test_texts_without_tokens_are_marked(tokenizer, text):
    (tokens,) = encode(tokenizer, text, prompt="query: ")
    assert tokens.no_tokens


def test_special_tokens_are_text_on_request(tokenizer):
    parsed, plain = (encode(tokenizer, "[SEP]", as_text=one)[0].ids.tolist() for one in (False, True))
    assert parsed == [CLS, SEP, SEP]
    assert plain == [CLS, 1031, 19802, 1033, SEP]


def test_offsets_count_code_points(tokenizer):
    (seen,) = tokenizer.tokenize(["a 🧑 b"], prompt="", add_special_tokens=True, special_tokens_as_text=False)
    assert seen.starts == [0, 0, 2, 4, 0]
    assert seen.ends == [0, 1, 3, 5, 0]


def test_detokenize_names_the_sequence_at_fault(tokenizer):
    with pytest.raises(InvalidInput) as caught:
        tokenizer.detokenize([np.array([1]), np.array([99_999])], keep_special_tokens=False)
    assert caught.value.violations[0].field == "sequences[1].ids[0]"
