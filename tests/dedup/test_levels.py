"""What is the same, and what the levels mean."""

import asyncio

import numpy as np
import pytest

from nearfield_server.core.computing.gatherer import Embedded
from nearfield_server.core.computing.items import Items
from nearfield_server.core.dedup.exact import keys_of, text_key
from nearfield_server.core.dedup.levels import Levels, floor_of, unrelated_texts
from nearfield_server.core.dedup.nouns import Level

KEY = ("m", "1", 16, None)
ROWS = np.eye(2, dtype=np.float32)


def rows(anisotropy, seed=0):
    made = np.random.default_rng(seed).standard_normal((200, 16)) + anisotropy
    return (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)


class Model:
    def __init__(self, made, version="1"):
        self.made, self.version, self.asked = made, version, 0

    async def embed(self, texts):
        self.asked += 1
        assert len(texts) == len(unrelated_texts())
        return Embedded(self.made, "m", self.version)


def thresholds(levels, model, key=KEY):
    async def ask():
        return [await levels.threshold(level, key, model.embed) for level in Level]

    return asyncio.run(ask())


def test_the_same_text_but_for_blanks_and_normal_form():
    assert text_key(" caf\u00e9\n") == text_key("cafe\u0301")
    assert text_key("caf\u00e9") != text_key("cafe")


def test_keys_are_of_what_an_item_says():
    assert list(keys_of(Items(inputs=("a", "b")), ROWS)) == [text_key("a"), text_key("b")]
    same = list(keys_of(Items(vectors=ROWS), ROWS[[0, 0]]))
    assert same[0] == same[1]
    assert len({*keys_of(Items(inputs=("", ""), vectors=ROWS), ROWS)}) == 2
    ids = np.array([97], np.int64)
    assert len({*keys_of(Items(inputs=(ids, ids.tobytes())), ROWS), text_key("a")}) == 3


def test_levels_are_ordered_and_follow_the_models_own_scale():
    apart, narrow = (thresholds(Levels(), Model(rows(one))) for one in (0.0, 3.0))
    for strict, normal, loose in (apart, narrow):
        assert 1.0 > strict > normal > loose > 0.0
    assert narrow[2] > apart[2] + 0.1
    assert floor_of(rows(3.0)) < narrow[2]


def test_a_model_is_asked_once_and_another_version_anew():
    levels, model = Levels(), Model(rows(0.0))
    assert thresholds(levels, model) == thresholds(levels, model)
    assert model.asked == 1
    thresholds(levels, Model(rows(0.0), "2"), ("m", "2", 16, None))
    assert model.asked == 1


def test_what_another_version_gave_is_not_kept():
    levels, model = Levels(), Model(rows(0.0), "2")
    thresholds(levels, model)
    assert model.asked == 3


def test_the_sentences_are_many_and_differ():
    texts = unrelated_texts()
    assert len(set(texts)) == len(texts) >= 200
    assert sum(not text.isascii() for text in texts) >= 30


def test_keys_need_their_vectors():
    with pytest.raises(ValueError, match="zip"):
        list(keys_of(Items(inputs=("a",)), ROWS))
