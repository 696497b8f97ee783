from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.batching.policy import BatchLimits, choose, pick_budget

waiting_lengths = st.dictionaries(st.integers(1, 300), st.integers(1, 40), min_size=1, max_size=30)
limits = st.builds(
    BatchLimits, token_budget=st.integers(1, 1024), max_padding_ratio=st.floats(0.0, 0.9, allow_nan=False)
)


def shape(taken):
    rows = sum(taken.values())
    longest = max(taken)
    return rows, longest, sum(length * count for length, count in taken.items())


@given(waiting=waiting_lengths, limits=limits, data=st.data())
def test_every_bound_holds_and_the_oldest_is_always_taken(waiting, limits, data):
    oldest = data.draw(st.sampled_from(sorted(waiting)))
    taken = choose(oldest, waiting, limits)
    assert taken[oldest] >= 1
    assert all(1 <= count <= waiting[length] for length, count in taken.items())
    rows, longest, tokens = shape(taken)
    if rows > 1:
        assert rows * longest <= limits.token_budget
        assert rows * longest - tokens <= limits.max_padding_ratio * rows * longest + 1e-9


@given(waiting=waiting_lengths, limits=limits, data=st.data())
def test_nothing_of_the_oldest_length_is_left_while_there_is_room(waiting, limits, data):
    oldest = data.draw(st.sampled_from(sorted(waiting)))
    taken = choose(oldest, waiting, limits)
    assert taken[oldest] == min(waiting[oldest], max(1, limits.token_budget // oldest))


def test_neighbours_fill_up_nearest_first_and_shorter_before_longer():
    generous = BatchLimits(token_budget=100, max_padding_ratio=0.5)
    assert choose(10, {10: 2, 9: 1, 11: 1, 2: 50}, generous) == {10: 2, 9: 1, 11: 1, 2: 5}


def test_waste_is_bounded_by_leaving_the_far_ones_out():
    assert choose(10, {10: 2, 2: 50}, BatchLimits(token_budget=1000, max_padding_ratio=0.1)) == {10: 2}


def test_an_item_over_the_budget_runs_alone():
    assert choose(300, {300: 5, 299: 3}, BatchLimits(token_budget=256, max_padding_ratio=0.5)) == {300: 1}


def test_the_smallest_budget_near_the_best_speed_wins():
    assert pick_budget([(128, 90.0), (256, 97.0), (512, 100.0), (1024, 99.0)]) == 256
