"""Words as sparse vectors."""

import math

import numpy as np
import pytest

from nearfield_server.engines.bm25 import LANGUAGES, Bm25
from nearfield_server.errors import InvalidInput
from nearfield_server.types import KeywordOptions


def of(language="english", **options):
    return Bm25(KeywordOptions(language=language, **options))


def shared(bm25, query, text):
    return len(np.intersect1d(bm25.query(query).ids, bm25.documents([text])[0].ids))


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_language_named_is_there(language):
    assert len(of(language).query("telephone").ids) == 1


def test_weights_of_a_text_are_those_of_the_formula():
    (row,) = of("none", k=1.5, b=0.6, average_words=10).documents(["fox fox dog"])
    length = 1 - 0.6 + 0.6 * 3 / 10
    expected = sorted(n * 2.5 / (n + 1.5 * length) for n in (1, 2))
    assert sorted(row.weights.tolist()) == pytest.approx(expected, abs=1e-6)
    assert row.weights.dtype == np.float32
    assert row.ids.dtype == np.uint32
    assert (np.diff(row.ids.astype(np.int64)) > 0).all()


def test_a_query_has_each_word_once():
    row = of().query("fox fox dog")
    assert row.weights.tolist() == [1.0, 1.0]


def test_stems_and_stop_words():
    assert shared(of(), "running", "she runs") == 1
    assert len(of().query("the and of").ids) == 0
    assert shared(of("none"), "running", "she runs") == 0
    assert len(of("none").query("the and of").ids) == 3


@pytest.mark.parametrize("text", ["", "!!! ---", "\0", "\u200b", "  \n"])
def test_texts_without_words_give_nothing(text):
    (row,) = of().documents([text])
    assert row.ids.tolist() == row.weights.tolist() == of().query(text).ids.tolist() == []


@pytest.mark.parametrize("language", ["none", "chinese", "japanese", "english"])
@pytest.mark.parametrize(
    ("query", "text", "others"),
    [
        ("机器学习", "我们研究机器学习的方法", "今天天气很好"),
        ("検索", "日本語の全文検索エンジンです", "私は本を読む"),
        ("東京", "私は東京に行きました", "猫がいます"),
        ("ไทย", "ภาษาไทยง่าย", "ฝน"),
        ("검색", "한국어 검색 좋아요", "날씨"),
    ],
)
def test_scripts_without_blanks_are_found(language, query, text, others):
    assert shared(of(language), query, text) == len(of(language).query(query).ids) > 0
    assert shared(of(language), query, others) == 0


def test_neighbours_count_more_than_characters_alone():
    assert shared(of("none"), "学习", "机器学习") > shared(of("none"), "学习", "习惯上学")


def test_unknown_languages_are_refused_with_near_names():
    with pytest.raises(InvalidInput, match="did you mean german") as caught:
        of("German")
    assert caught.value.violations[0].field == "keyword_search.language"
    with pytest.raises(InvalidInput, match="known are arabic"):
        of("xx")


@pytest.mark.parametrize("wrong", [{"b": 1.5}, {"k": -1.0}, {"average_words": 0.0}, {"k": math.nan}])
def test_constants_out_of_range_are_refused(wrong):
    with pytest.raises(InvalidInput, match="k must be in"):
        of(**wrong)
