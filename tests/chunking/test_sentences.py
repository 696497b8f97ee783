# ruff: noqa: RUF001 - marks of many scripts
"""Where sentences, clauses, words and characters end."""

import gzip
import itertools
import json
import re
import time
from itertools import pairwise

import pytest

from nearfield_server.encoder.sentences import character_border, clause_borders, sentence_borders, word_borders


def sentences(text):
    borders = [0, *sentence_borders(text), len(text)]
    return [text[start:end] for start, end in pairwise(borders)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("One. Two! Three?", ["One.", " Two!", " Three?"]),
        ("He said “No.” She left.", ["He said “No.”", " She left."]),
        ("Really?! Yes... Perhaps… No.", ["Really?!", " Yes...", " Perhaps…", " No."]),
        ("It ended (badly.) Then rain.", ["It ended (badly.)", " Then rain."]),
        ("Dr. Smith and Mrs. Jones met St. John.", ["Dr. Smith and Mrs. Jones met St. John."]),
        ("See e.g. the table, i.e. this one. Next.", ["See e.g. the table, i.e. this one.", " Next."]),
        ("J. R. R. Tolkien wrote it. I read it.", ["J. R. R. Tolkien wrote it.", " I read it."]),
        ("So did I. Then he came.", ["So did I.", " Then he came."]),
        ("It is 3.14 or 2.72. Good.", ["It is 3.14 or 2.72.", " Good."]),
        (
            "Go to https://a.example/b.c?d=e!f and look. Done.",
            ["Go to https://a.example/b.c?d=e!f and look.", " Done."],
        ),
        ("The U.S. army came. They left.", ["The U.S. army came.", " They left."]),
        ("etc. and so on. Then", ["etc. and so on.", " Then"]),
        ("“Stop!” he cried. “Now.”", ["“Stop!”", " he cried.", " “Now.”"]),
        ("z.B. das, d.h. dies. Und dann.", ["z.B. das, d.h. dies.", " Und dann."]),
        ("今日は晴れ。明日は雨！本当？はい", ["今日は晴れ。", "明日は雨！", "本当？", "はい"]),
        ("他说：“好。”然后走了。", ["他说：“好。”", "然后走了。"]),
        ("هل أنت هنا؟ نعم.", ["هل أنت هنا؟", " نعم."]),
        ("यह पहला है। यह दूसरा है।", ["यह पहला है।", " यह दूसरा है।"]),
        ("Это г. Москва. Она большая.", ["Это г. Москва.", " Она большая."]),
        ("A title\n\nA paragraph\nthat is wrapped.", ["A title\n", "\nA paragraph\nthat is wrapped."]),
        ("one\r\n\r\ntwo", ["one\r\n\r", "\ntwo"]),
        ("one\u2029two", ["one\u2029", "two"]),
        ("ال كلّه. كان", ["ال كلّه.", " كان"]),
        ("好吗?好!走", ["好吗?", "好!", "走"]),
        ("", [""]),
        ("no end", ["no end"]),
        ("!!!!", ["!!!!"]),
    ],
)
def test_sentences(text, expected):
    assert sentences(text) == expected


def test_clauses_and_words():
    assert clause_borders("One, two; three:four – five") == [4, 9, 22]
    assert clause_borders("一，二、三") == [2, 4]
    assert word_borders("one  two\nthree") == [3, 8]


@pytest.mark.parametrize(
    "character",
    ["é", "e\u0301\u0323", "👩\u200d👩\u200d👧", "👍🏽", "🇩🇪", "각", "\r\n", "नि", "❤\ufe0f", "🏴\U000e0067\U000e007f"],
)
def test_no_character_is_cut(character):
    text = f"a{character}b"
    for at in range(1, 1 + len(character)):
        assert character_border(text, at) == 1
    assert character_border(text, 1 + len(character)) == 1 + len(character)


def test_flags_are_cut_in_pairs():
    text = "🇩🇪🇫🇷🇮🇹"
    assert [character_border(text, at) for at in range(1, 7)] == [0, 2, 2, 4, 4, 6]


def test_a_character_without_end_is_cut():
    assert character_border("a" + "\u0301" * 1000, 500) == 500


HOSTILE = [
    "a",
    " ",
    "!",
    "! ",
    ".",
    ". ",
    "!)",
    "\n",
    "\n \n",
    "\u0301",
    "a.",
    "e.g. ",
    "。",
    "\n" + " " * 50,
    "(",
    '."',
    "🇩",
]


@pytest.mark.slow
@pytest.mark.parametrize("unit", HOSTILE, ids=repr)
def test_time_grows_with_length_only(unit):
    text = unit * (1_000_000 // len(unit))
    started = time.process_time()
    for find in (sentence_borders, clause_borders, word_borders):
        find(text)
    assert time.process_time() - started < 5  # quadratic would be hours


@pytest.mark.slow
def test_sentences_of_five_languages_put_together_come_apart(shared_data):
    with gzip.open(shared_data / "multilingual" / "tatoeba_open.jsonl.gz", "rt", encoding="utf-8") as lines:
        pairs = [json.loads(line) for line in lines]
    by_language = {lang: [] for lang in ("eng", *sorted({one["lang"] for one in pairs}))}
    for one in pairs:
        by_language[one["lang"]].append(one["text"].strip())
        by_language["eng"].append(one["eng"].strip())
    for language, found in by_language.items():
        # Single sentences only: some entries hold two.
        single = [one for one in dict.fromkeys(found) if re.fullmatch(r"[^.!?。！？؟।]{10,}[.!?。！？؟।]", one)]
        joint = "" if language == "cmn" else " "
        expected = set(itertools.accumulate((len(one) + len(joint) for one in single[:-1]), initial=-len(joint)))
        expected.discard(-len(joint))
        borders = set(sentence_borders(joint.join(single)))
        right = len(borders & expected)
        print(f"{language}: {right} of {len(expected)} borders found, {len(borders) - right} wrong")
        assert right > 0.99 * max(len(expected), len(borders))
