"""Names of clusters."""

import numpy as np
import pytest

from nearfield_server.core.clustering.fit.keywords import keywords_of
from nearfield_server.core.clustering.nouns import LabelOptions

CATS = ["The cat sleeps on the sofa", "A cat and the kitten play", "My cat is on the roof"]
CARS = ["The engine of the car is loud", "A car and the engine oil", "My car is on the road"]


def terms(texts, labels, clusters, **options):
    labels = np.array(labels, np.int32)
    return [[one.term for one in place] for place in keywords_of(texts, labels, clusters, LabelOptions(**options), 0)]


def test_words_that_only_one_cluster_says():
    cats, cars = terms([*CATS, *CARS], [0] * 3 + [1] * 3, 2)
    assert cats[0] == "cat"
    assert set(cars[:2]) == {"car", "engine"}
    assert not {"the", "is", "and", "on"} & {*cats, *cars}


def test_the_best_has_weight_one_and_the_others_less():
    for place in keywords_of([*CATS, *CARS], np.array([0] * 3 + [1] * 3, np.int32), 2, LabelOptions(), 0):
        weights = [one.weight for one in place]
        assert weights[0] == 1.0
        assert all(0 < one <= 1.0 for one in weights)


def test_words_of_a_name_stay_together():
    texts = ["flights to new york", "new york hotels", "a weekend in new york", *CARS]
    places = terms(texts, [0] * 3 + [1] * 3, 2)
    assert places[0][0] == "new york"
    assert not {"new", "york"} & set(places[0])
    assert all(" " not in one for one in terms(texts, [0] * 3 + [1] * 3, 2, max_words=1)[0])


def test_more_stop_words_and_fewer_keywords():
    found = terms([*CATS, *CARS], [0] * 3 + [1] * 3, 2, stop_words=("Cat",), keywords=2)
    assert "cat" not in found[0]
    assert [len(one) for one in found] == [2, 2]


def test_languages_that_are_told():
    texts = ["der Hund und die Katze"] * 3
    assert {"der", "und"} & set(terms(texts, [0] * 3, 1, languages=("en",), max_words=1)[0])
    assert set(terms(texts, [0] * 3, 1, languages=("de",), max_words=1)[0]) == {"hund", "katze"}


@pytest.mark.parametrize("text", ["", "the and of is", "1 22 333", "😀 🎉", "!!! ---"])
def test_texts_without_words_have_no_keywords(text):
    assert terms([text] * 4, [0, 0, 1, 1], 2, languages=("en",)) == [[], []]


def test_empty_texts_among_others_and_noise():
    found = terms([*CATS, "", "zebra zebra", *CARS], [0, 0, 0, 0, -1, 1, 1, 1], 3)
    assert found[0][0] == "cat"
    assert found[2] == []
    assert all("zebra" not in place for place in found)


def test_one_text():
    assert "kitten" in terms(["a kitten"], [0], 1)[0]


@pytest.mark.parametrize(
    ("ours", "theirs", "term"),
    [
        ("机器学习 模型", "天气 预报", "机器"),
        ("ภาษา", "อาหาร", "ภา"),
        ("تعلم الآلة", "وصفات الطبخ", "تعلم"),
        ("Donaudampfschifffahrt", "Rindfleischetikettierung", "donaudampfschifffahrt"),
    ],
)
def test_other_writings(ours, theirs, term):
    found = terms([ours] * 3 + [theirs] * 3, [0] * 3 + [1] * 3, 2)
    assert any(term in one for one in found[0])
    assert not any(term in one for one in found[1])


def test_a_text_of_20_kb():
    found = terms(["lorem ipsum " * 1700, *CARS], [0, 1, 1, 1], 2)[0]
    assert {"lorem ipsum", "ipsum lorem"} & set(found)
    assert not any("car" in one for one in found)


def test_keywords_do_not_depend_on_the_order_of_texts():
    texts, labels = [*CATS, *CARS], [0] * 3 + [1] * 3
    assert terms(texts[::-1], labels[::-1], 2) == terms(texts, labels, 2)
