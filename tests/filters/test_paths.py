"""Paths into payloads, and the words of texts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.filters import path_of, select_payload, split_path, values_at, words_of
from nearfield_server.types import Selection


@pytest.mark.parametrize(
    ("path", "keys"),
    [
        ("a", ("a",)),
        ("a.b", ("a", "b")),
        ('"a.b".c', ("a.b", "c")),
        ('a.""', ("a", "")),
        ('a"b.c', ('a"b', "c")),
        ("a[0]", ("a[0]",)),
    ],
)
def test_keys_of_paths(path, keys):
    assert split_path(path) == keys
    assert path_of(keys) == path


@pytest.mark.parametrize("path", ["", ".", "a.", ".a", "a..b", '"a', '"a"b', "x" * 257])
def test_what_is_no_path(path):
    with pytest.raises(ValueError, match=r"path|key"):
        split_path(path)


@given(st.lists(st.text(st.characters(exclude_characters='"', codec="utf-8"), max_size=5), min_size=1, max_size=5))
def test_paths_are_divided_as_they_were_joined(keys):
    assert split_path(path_of(keys)) == tuple(keys)


def test_lists_are_gone_through():
    payload = {"a": [{"b": 1}, {"b": [2, [3]]}, 4], "n": None}
    assert list(values_at(payload, "a.b")) == [1, 2, 3]
    assert list(values_at(payload, "n")) == [None]
    assert list(values_at(payload, "x")) == []


PAYLOAD = {"a": {"b": 1, "c": 2}, "l": [{"x": 1, "y": 2}, 3, {"y": 4}], "s": "t", "k.d": 0}


@pytest.mark.parametrize(
    ("select", "expected"),
    [
        (Selection(), PAYLOAD),
        (Selection(payload=False), {}),
        (Selection(include=("s", "a.b")), {"s": "t", "a": {"b": 1}}),
        (Selection(include=("a.b", "a")), {"a": {"b": 1, "c": 2}}),
        (Selection(include=("l.x",)), {"l": [{"x": 1}, {}]}),
        (Selection(include=("s.x", "none")), {}),
        (Selection(include=('"k.d"',)), {"k.d": 0}),
        (Selection(exclude=("a.b", "l.y", "s")), {"a": {"c": 2}, "l": [{"x": 1}, 3, {}], "k.d": 0}),
        (Selection(include=("a",), exclude=("a.c",)), {"a": {"b": 1}}),
        (Selection(exclude=("a", "a.b", "l", "s.x")), {"s": "t", "k.d": 0}),
    ],
)
def test_selections(select, expected):
    assert select_payload(PAYLOAD, select) == expected


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("Hello, WORLD_2!", ("hello", "world", "2")),
        ("naïve ÉCOLE", ("naïve", "école")),
        ("nai\u0308ve", ("naïve",)),
        ("Straße", ("straße",)),
        ("日本語の text", ("日", "本", "語", "の", "text")),
        ("中文2024年", ("中", "文", "2024", "年")),
        ("한국어 검색", ("한국어", "검색")),
        ("हिन्दी", ("हिन्दी",)),
        ("¿?!", ()),
        ("", ()),
    ],
)
def test_words_of_texts(text, words):
    assert words_of(text) == words


@given(st.text())
def test_words_are_their_own_words(text):
    for word in words_of(text):
        assert words_of(word) == (word,)
