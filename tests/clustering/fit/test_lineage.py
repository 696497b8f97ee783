"""Clusters keep their ids."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.core.clustering.fit.lineage import inherit
from nearfield_server.core.clustering.nouns import Change


def column(text):
    """Give labels; a dot is -1, a question mark an item that wasn't known."""
    return np.array([{".": -1, "?": -2}.get(one, ord(one) - ord("0")) for one in text], np.int32)


def told(before, now, clusters, previous, next_id=10):
    found = inherit(column(before), column(now), clusters, previous, next_id)
    return found, {(one.change, one.previous, one.current) for one in found.lineage}


def test_nothing_changed():
    found, changes = told("33355577", "00011122", 3, [3, 5, 7])
    assert found.ids == [3, 5, 7]
    assert found.next_id == 10
    assert changes == {(Change.CONTINUED, one, one) for one in (3, 5, 7)}
    assert [one.overlap for one in found.lineage] == [1.0, 1.0, 1.0]


def test_a_split_names_what_it_came_from():
    found, changes = told("3333333333", "0000001111", 2, [3])
    assert found.ids == [3, 10]
    assert changes == {(Change.CONTINUED, 3, 3), (Change.SPLIT, 3, 10)}
    assert found.next_id == 11


def test_a_merger_names_its_heir():
    found, changes = told("3333335555", "0000000000", 1, [3, 5])
    assert found.ids == [3]
    assert changes == {(Change.CONTINUED, 3, 3), (Change.MERGED, 5, 3)}


def test_new_items_are_a_new_cluster_and_a_lost_one_is_gone():
    found, changes = told("333????", "0001111", 2, [3, 8])
    assert found.ids == [3, 10]
    assert changes == {(Change.CONTINUED, 3, 3), (Change.NEW, None, 10), (Change.GONE, 8, None)}


def test_noise_is_nobodys():
    found, changes = told("...333", "000...", 1, [3])
    assert found.ids == [10]
    assert changes == {(Change.NEW, None, 10), (Change.GONE, 3, None)}


def test_no_clusters_before_or_now():
    assert told("....", "0011", 2, [])[0].ids == [10, 11]
    assert told("0011", "....", 0, [0, 1])[1] == {(Change.GONE, 0, None), (Change.GONE, 1, None)}


@st.composite
def clusterings(draw):
    clusters, previous = draw(st.integers(1, 5)), draw(st.integers(0, 5))
    pairs = draw(st.lists(st.tuples(st.integers(-2, previous - 1), st.integers(-1, clusters - 1)), max_size=60))
    now = np.array([*range(clusters), *(two for _, two in pairs)], np.int32)
    before = np.array([-2] * clusters + [one if one < 0 else 2 * one + 1 for one, _ in pairs], np.int32)
    return before, now, clusters, [2 * one + 1 for one in range(previous)]


@given(drawn=clusterings())
def test_ids_are_unique_and_every_cluster_has_one_fate(drawn):
    before, now, clusters, previous = drawn
    found = inherit(before, now, clusters, previous, 50)
    assert len(set(found.ids)) == clusters
    fresh = [one for one in found.ids if one not in previous]
    assert fresh == list(range(50, found.next_id))
    began = [one.current for one in found.lineage if one.change in {Change.CONTINUED, Change.NEW, Change.SPLIT}]
    assert began == found.ids
    ended = [one.previous for one in found.lineage if one.change in {Change.CONTINUED, Change.MERGED, Change.GONE}]
    assert sorted(ended) == previous
    for one in found.lineage:
        assert one.previous in {None, *previous}
        assert one.current in {None, *found.ids}
        assert 0.0 <= one.overlap <= 1.0


@given(drawn=clusterings(), random=st.randoms(use_true_random=False))
def test_items_that_change_places_change_nothing(drawn, random):
    before, now, clusters, previous = drawn
    other = list(range(len(now)))
    random.shuffle(other)
    assert inherit(before[other], now[other], clusters, previous, 50) == inherit(before, now, clusters, previous, 50)


@given(drawn=clusterings())
def test_the_same_again_keeps_all_ids(drawn):
    _, now, clusters, _ = drawn
    ids = [7 + one for one in range(clusters)]
    again = inherit(np.where(now < 0, -1, now + 7).astype(np.int32), now, clusters, ids, 50)
    assert again.ids == ids
    assert again.next_id == 50


@given(drawn=clusterings(), random=st.randoms(use_true_random=False))
def test_numbering_places_otherwise_keeps_the_ids_that_are_certain(drawn, random):
    before, now, clusters, previous = drawn
    places = list(range(clusters))
    random.shuffle(places)
    other = np.where(now < 0, -1, np.array(places, np.int32)[now]).astype(np.int32)
    ours = inherit(before, now, clusters, previous, 50).ids
    theirs = inherit(before, other, clusters, previous, 50).ids
    for place, one in enumerate(ours):
        members, held = now == place, before == one
        # More than half of both: no other match can be as good.
        if 2 * np.count_nonzero(members & held) > np.count_nonzero(members | held):
            assert theirs[places[place]] == one
