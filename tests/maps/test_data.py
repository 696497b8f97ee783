"""What a map refuses, and what it reads off its data."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.maps.data import clusters_of, plain
from nearfield_server.cli.maps.labels import Box, lines_of, place
from nearfield_server.cli.maps.palette import DARK, LIGHT, choose


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"texts": ["one"]}, "texts: 1 for 300 coordinates"),
        ({"ids": []}, "ids: 0 for 300 coordinates"),
        ({"clusters": np.zeros(7, np.int32)}, "clusters: 7 for 300 coordinates"),
        ({"coordinates": np.zeros((0, 2), np.float32)}, "needs one item or more"),
        ({"coordinates": np.zeros((300, 3), np.float32)}, r"needs \[items, 2\], not \[300, 3\]"),
    ],
)
def test_what_does_not_fit_together_is_refused(make_map, changes, said):
    with pytest.raises(CliError, match=said):
        make_map(**changes)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_coordinate_that_is_no_number_is_refused_by_its_place(make_map, bad):
    coordinates = np.zeros((300, 2), np.float32)
    coordinates[41, 1] = bad
    with pytest.raises(CliError, match=r"coordinates\[41\]: not finite"):
        make_map(coordinates=coordinates)


def test_clusters_come_by_size_and_noise_is_none_of_them(make_map):
    data = make_map(
        count=6,
        coordinates=np.array([[0, 0], [2, 2], [100, 100], [5, 5], [5, 7], [9, 9]], np.float32),
        clusters=np.array([4, 4, 4, 1, 1, -1], np.int32),
        names={4: "  four\n4 "},
    )
    assert [(one.id, one.name, one.size, one.centre) for one in clusters_of(data)] == [
        (4, "four 4", 3, (2.0, 2.0)),
        (1, "Cluster 1", 2, (5.0, 6.0)),
    ]


def test_a_map_of_noise_alone_has_no_clusters(make_map):
    assert clusters_of(make_map(noise=1.1)) == []


@given(st.text(max_size=100))
def test_plain_text_is_one_line_that_can_be_written(text):
    done = plain(text)
    assert done.isprintable()
    done.encode("utf-8")


@given(st.text(st.characters(codec="utf-8"), max_size=200))
def test_names_take_two_lines_of_bounded_length(name):
    lines = lines_of(name)
    assert 1 <= len(lines) <= 2
    assert all(len(line) <= 22 for line in lines)


def test_a_long_name_is_cut_visibly():
    assert lines_of("political democracy and systems of government") == [
        "political democracy",
        "and systems of govern…",
    ]
    assert lines_of("a" * 40) == ["a" * 21 + "…"]


_BOXES = st.lists(
    st.tuples(*[st.floats(0, 500)] * 2, *[st.floats(1, 80)] * 2, st.floats(0, 60)), min_size=1, max_size=30
)


@given(_BOXES)
def test_names_never_touch_and_never_leave_the_picture(wanted):
    taken = []
    for x, y, half_width, half_height, spread in wanted:
        box = place(Box(x, y, half_width, half_height), spread, taken, wide=44, top=500)
        if box:
            assert not any(box.touches(other) for other in taken)
            assert half_height <= box.y <= 500 - half_height
            taken.append(box)


def test_a_narrow_cluster_has_its_name_beside_it_and_a_wide_one_on_it():
    wanted = Box(100, 100, 40, 10)
    assert place(wanted, 5, [], wide=44, top=500).y == 100 + 5 + 10 + 4
    assert place(wanted, 60, [], wide=44, top=500) == wanted
    assert place(wanted, 5, [Box(100, 130, 40, 20)], wide=44, top=500).y < 100
    assert place(wanted, 5, [Box(100, 100, 90, 90)], wide=44, top=500) is None


def test_neighbours_get_colours_that_differ_and_all_colours_are_used():
    grid = [(float(x), float(y)) for x in range(8) for y in range(8)]
    chosen = dict(zip(grid, choose(grid), strict=True))
    assert set(chosen.values()) == set(range(len(LIGHT)))
    alike = [(x, y) for x, y in grid for other in ((x + 1, y), (x, y + 1)) if chosen.get(other) == chosen[x, y]]
    assert alike == []


def test_the_dark_palette_has_a_colour_for_each_of_the_light():
    assert len(set(DARK)) == len(set(LIGHT)) == len(DARK) == len(LIGHT)
    assert choose([]) == []
    assert choose([(0.0, 0.0)]) == [0]
