"""Nothing is lost, chunks keep their limit, and time grows with the text only."""

import gzip
import json
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Tokenizer, decoders, models, pre_tokenizers

from nearfield_server.backends.fake import FakeBackend
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.chunking import ChunkLimits, divide
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.sentences import sentence_borders
from nearfield_server.encoder.spec import resolve
from nearfield_server.encoder.tokenizer import TextOptions, TextTokenizer
from nearfield_server.types import Truncate

FOLDER = open_folder(builtin_folder())
PLAIN = Tokenizer.from_file(str(FOLDER.tokenizer_file))
PLAIN.no_padding()
PLAIN.no_truncation()
SPEC = resolve("m", FOLDER, "0" * 64, Tokenizer.from_file(str(FOLDER.tokenizer_file)), FakeBackend(384).signature)
TOKENIZER = TextTokenizer(replace(SPEC, max_tokens=512), Tokenizer.from_file(str(FOLDER.tokenizer_file)))
PASSAGE = (Path(__file__).parent / "passage.txt").read_text("utf-8")
SHARED = Path(__file__).parents[3] / "shared" / "data" / "open" / "long" / "alice.jsonl.gz"


def encode(texts):
    return PLAIN.encode_batch(list(texts), add_special_tokens=False)


def limits_of(max_tokens, overlap=0, prompt=""):
    special = PLAIN.num_special_tokens_to_add(is_pair=False)
    room = max_tokens - special - len(encode([prompt])[0].ids)
    return ChunkLimits(max_tokens, room, overlap)


def chunks(text, max_tokens=32, overlap=0, prompt=""):
    options = TextOptions(prompt=prompt, truncate=Truncate.END)
    return divide(
        text, limits_of(max_tokens, overlap, prompt), encode, lambda texts: TOKENIZER.encode(list(texts), options)
    )


def check(text, found, max_tokens, prompt=""):
    """What must hold of every division."""
    assert found
    covered = [False] * len(text)
    for one in found:
        assert 0 <= one.start <= one.end <= len(text)
        assert len(one.tokens.ids) <= max_tokens
        assert not one.tokens.truncated
        covered[one.start : one.end] = [True] * (one.end - one.start)
        (alone,) = PLAIN.encode_batch([prompt + text[one.start : one.end]])
        assert one.tokens.ids.tolist() == alone.ids
    assert all(seen or char.isspace() for seen, char in zip(covered, text, strict=True))
    for before, after in pairwise(found):
        assert before.start < after.start
        assert before.end < after.end


PIECES = st.one_of(
    st.sampled_from(
        [
            "The cat sat. ",
            "Why? ",
            "unbelievable, ",
            "qzx" * 40,
            " ",
            "\n\n",
            "。",
            "北京大学",
            "ge\u0301ant ",
            "🧑\u200d🚀",
            "[SEP]",
        ]
    ),
    st.text(max_size=12),
)
TEXTS = st.lists(PIECES, max_size=60).map("".join)


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(
    text=TEXTS,
    max_tokens=st.sampled_from([3, 5, 16, 64]),
    overlap=st.sampled_from([0, 1, 6, 32]),
    prompt=st.sampled_from(["", "query: "]),
)
@example("a" * 400, 5, 0, "")
@example("\u0301" * 300, 3, 1, "")
@example(" \n " * 20, 3, 0, "")
@example("www." * 100, 16, 6, "query: ")
@example("The cat sat. Why? 北京大学0\x1f🧑\u200d🚀The cat sat.  Why? 0:0:0The cat sat. ", 16, 6, "")
def test_every_division_is_right(text, max_tokens, overlap, prompt):
    if prompt and max_tokens <= 5:
        prompt = ""
    found = chunks(text, max_tokens, min(overlap, max_tokens // 2), prompt)
    check(text, found, max_tokens, prompt)
    again = chunks(text, max_tokens, min(overlap, max_tokens // 2), prompt)
    assert [(one.start, one.end) for one in again] == [(one.start, one.end) for one in found]


@pytest.mark.parametrize("text", ["", "  ", "short", " short. And sweet! "])
def test_a_text_that_fits_is_one_chunk(text):
    (one,) = chunks(text)
    assert (one.start, one.end) == (0, len(text))


def test_chunks_end_at_sentences():
    ends = {*sentence_borders(PASSAGE), len(PASSAGE.rstrip())}
    found = chunks(PASSAGE, max_tokens=64)
    check(PASSAGE, found, 64)
    assert len(found) > 3
    assert all(one.end in ends for one in found)


def test_an_overlap_is_whole_sentences_where_they_fit():
    borders = {0, *sentence_borders(PASSAGE)}
    starts = {at + len(PASSAGE[at:]) - len(PASSAGE[at:].lstrip()) for at in borders}
    found = chunks(PASSAGE, max_tokens=80, overlap=40)
    check(PASSAGE, found, 80)
    shared = [(after.start, before.end) for before, after in pairwise(found) if after.start < before.end]
    assert shared
    for start, end in shared:
        assert len(encode([PASSAGE[start:end]])[0].ids) <= 40
    assert sum(start in starts for start, _ in shared) > len(shared) / 2


def test_an_overlap_shorter_than_a_sentence_is_its_last_words():
    text = "the old grey cat sat on the warm mat by the open door. A dog ran past it in the long street and was gone."
    first, second = chunks(text, max_tokens=19, overlap=4)
    assert text[second.start : first.end] == "the open door."


def test_a_long_sentence_is_cut_at_clauses_then_words():
    text = "one two three four five six, seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"
    found = [text[one.start : one.end] for one in chunks(text, max_tokens=10)]
    assert found == [
        "one two three four five six,",
        "seven eight nine ten eleven twelve thirteen fourteen",
        "fifteen sixteen",
    ]


def test_a_word_is_cut_between_characters():
    text = "é" * 30 + "北京" * 30
    found = chunks(text, max_tokens=12)
    check(text, found, 12)
    assert "".join(text[one.start : one.end] for one in found) == text


def bytes_tokenizer():
    """One token per byte: what byte-level vocabularies do with letters they never saw."""
    vocabulary = {letter: index for index, letter in enumerate(sorted(pre_tokenizers.ByteLevel.alphabet()))}
    tokenizer = Tokenizer(models.BPE(vocabulary, []))
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    return tokenizer


def divided_by_bytes(text, max_tokens, overlap=0):
    tokenizer = bytes_tokenizer()
    own = TextTokenizer(replace(SPEC, max_tokens=512), tokenizer)
    return divide(
        text,
        ChunkLimits(max_tokens, max_tokens, overlap),
        lambda texts: tokenizer.encode_batch(list(texts)),
        lambda texts: own.encode(list(texts), TextOptions()),
    )


@pytest.mark.slow
@given(text=st.text(max_size=80), max_tokens=st.integers(4, 20), overlap=st.integers(0, 2))
def test_a_vocabulary_of_bytes(text, max_tokens, overlap):
    found = divided_by_bytes(text, max_tokens, overlap)
    covered = {at for one in found for at in range(one.start, one.end)}
    assert all(at in covered or char.isspace() for at, char in enumerate(text))
    assert all(len(one.tokens.ids) <= max_tokens for one in found)


def test_a_family_of_emoji_stays_together_where_it_fits():
    family = "👩\u200d👩\u200d👧"
    found = divided_by_bytes(family * 5, 20)
    assert [(one.start, one.end) for one in found] == [(at, at + 5) for at in range(0, 25, 5)]


def test_a_character_that_cannot_fit_is_told():
    with pytest.raises(ValueError, match="more tokens than fit"):
        divided_by_bytes("🧑", 3)


def test_a_tokenizer_whose_parts_lie_is_corrected():
    """The sum over sentences is only an estimate: here it is far too small."""

    def none(texts):
        return encode([""] * len(texts))

    text = PASSAGE
    found = divide(text, limits_of(40), none, lambda texts: TOKENIZER.encode(list(texts), TextOptions()))
    check(text, found, 40)


@pytest.mark.slow
@pytest.mark.parametrize("unit", ["a", " ", "!!!!", "a ", "! ", "\u0301", "。", "qz.", "\n\n", "🇩"], ids=repr)
def test_work_is_in_proportion_to_the_text(unit):
    text, seen = unit * (262_144 // len(unit.encode())), []

    def counted(texts):
        seen.append(sum(map(len, texts)))
        return encode(texts)

    def finish(texts):
        seen.append(sum(map(len, texts)))
        return TOKENIZER.encode(list(texts), TextOptions())

    started = time.process_time()
    found = divide(text, limits_of(256, 64), counted, finish)
    seconds = time.process_time() - started
    print(f"{len(text)} of {unit!r}: {len(found)} chunks, read {sum(seen) / len(text):.2f} times, {seconds:.2f} s CPU")
    assert sum(seen) <= 3 * len(text)
    assert seconds < 20


@pytest.mark.slow
def test_alice():
    if not SHARED.is_file():
        pytest.skip("the shared evaluation data isn't beside this clone")
    with gzip.open(SHARED, "rt", encoding="utf-8") as lines:
        texts = [json.loads(line) for line in lines]
    text = "\n\n".join(one["text"] if isinstance(one, dict) else one for one in texts)
    started = time.perf_counter()
    found = chunks(text, 256, 32)
    seconds = time.perf_counter() - started
    check(text, found, 256)
    ends = {*sentence_borders(text), len(text.rstrip())}
    share = sum(one.end in ends or one.end + 1 in ends for one in found) / len(found)
    fill = sum(len(one.tokens.ids) for one in found) / len(found) / 256
    print(
        f"{len(text)} characters, {len(found)} chunks, {share:.1%} end at sentences, {fill:.0%} full, {seconds:.2f} s"
    )
    assert share > 0.9
