"""Texts to words, in many languages."""

import pytest

from nearfield_server.core.clustering.fit.words import languages_of, stop_words_of, words_of


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Don\u2019t STOP: e-mail me_now!", ["don't", "stop", "mail", "me", "now"]),
        ("GPT-4 costs 1000 x 20", ["gpt", "costs"]),
        ("vs2008 and h264", ["vs2008", "and", "h264"]),
        ("Donaudampfschifffahrtsgesellschaft Größe", ["donaudampfschifffahrtsgesellschaft", "größe"]),
        ("机器学习", ["机器", "器学", "学习"]),
        ("猫", ["猫"]),
        ("東京タワー", ["東京", "京タ", "タワ", "ワー"]),
        ("한국어 형태소", ["한국어", "형태소"]),
        ("تعلم الآلة", ["تعلم", "الآلة"]),
        ("\ufb01ne \uff21\uff22\uff23", ["fine", "abc"]),
        ("😀🎉👍🏽", []),
        ("12 345 6.7", []),
        ("", []),
        (" \n\t", []),
    ],
)
def test_words(text, words):
    assert words_of(text) == words


def test_thai_has_pairs():
    assert words_of("ภาษาไทย") == ["ภา", "าษ", "ษา", "าไ", "ไท", "ทย"]


def test_a_long_text_is_read_to_its_20_000th_character():
    assert len(words_of("word " * 100_000)) == 4000


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("the cat is on the mat and it was not there before", "en"),
        ("die Katze ist auf der Matte und sie war nicht dort", "de"),
        ("le chat est sur le tapis et il n'était pas là avec nous", "fr"),
        ("кошка была на ковре и она не там, где мы", "ru"),
    ],
)
def test_languages_are_told_by_their_stop_words(text, language):
    assert language in languages_of([text] * 5)


@pytest.mark.parametrize("texts", [[], [""], ["😀"], ["12 13"]])
def test_no_words_are_no_language(texts):
    assert languages_of(texts) == []


def test_stop_words_of_unknown_languages_are_none():
    assert stop_words_of(["xx"]) == frozenset()
    assert {"the", "und"} <= stop_words_of(["en", "de", "xx"])
