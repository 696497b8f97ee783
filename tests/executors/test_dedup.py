import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.executors.cells import Pairs, _pairs
from nearfield_server.executors.dedup import Dedup, dedup_shards, stars
from nearfield_server.executors.shards import Parts, shards_of
from nearfield_server.vectors.finish import unit_rows

THRESHOLD = 0.95


@pytest.fixture
def deduplicated(local, tmp_path):
    def call(files, **job):
        shards = shards_of(files, 100, ["embedding"])
        parts = Parts(tmp_path / "out", {})
        parts.prepare(shards, overwrite=True)
        return dedup_shards(local, Dedup(**job), shards, parts)

    return call


@pytest.fixture(scope="module")
def repeated():
    """Rows of which many are near one of 150 others, at random places: float32 [700, 16]."""
    random = np.random.default_rng(11)
    seeds = random.standard_normal((400, 16))
    again = seeds[random.integers(150, size=300)] + 0.1 * random.standard_normal((300, 16))
    rows = np.concatenate([seeds, again])
    return random.permutation(rows).astype(np.float32)


def by_brute_force(rows, threshold):
    similar = rows @ rows.T >= threshold
    kept, firsts = [], []
    for row in range(len(rows)):
        near = [one for one in kept if similar[row, one]]
        firsts.append(near[0] if near else row)
        if not near:
            kept.append(row)
    return firsts


@pytest.mark.slow
def test_near_duplicates_are_those_of_one_machine(deduplicated, write, repeated, parts_of, tmp_path):
    file = write("a", embedding=repeated, name=[f"n{at}" for at in range(700)])
    found = deduplicated([file], threshold=THRESHOLD, id_column="name")
    table = parts_of(tmp_path / "out")
    assert table.column_names == ["row", "id", "duplicate_of", "similarity", "exact"]
    assert table.column("row").to_pylist() == list(range(700))
    rows = unit_rows(repeated)
    due = by_brute_force(rows, THRESHOLD)
    marks = table.column("duplicate_of").to_pylist()
    firsts = [row if first is None else first for row, first in enumerate(marks)]
    wanted = [row for row, first in enumerate(due) if first != row]
    assert len(wanted) > 200
    assert sum(firsts[row] == due[row] for row in wanted) >= 0.99 * len(wanted)
    assert found.near == sum(one is not None for one in marks)
    assert found.kept + found.near == found.rows == 700
    similarities = table.column("similarity").to_pylist()
    for row, first in enumerate(marks):
        if first is None:
            assert similarities[row] is None
        else:
            assert first < row
            assert marks[first] is None
            assert similarities[row] == pytest.approx(float(rows[row] @ rows[first]), abs=1e-5)
    assert not (tmp_path / "out" / ".cells").exists()


@pytest.mark.slow
def test_the_same_text_in_other_shards(deduplicated, write, repeated, parts_of, tmp_path):
    texts = [f"text {at}" for at in range(700)]
    texts[650] = texts[130] = texts[3]
    texts[20] = texts[30] = None
    found = deduplicated([write("a", embedding=repeated, text=texts)], threshold=2.0, text_column="text")
    assert (found.exact, found.near, found.kept) == (2, 0, 698)
    marks = parts_of(tmp_path / "out").to_pylist()
    same = {one["row"]: one["duplicate_of"] for one in marks if one["exact"]}
    assert same == {130: 3, 650: 3}


@pytest.mark.slow
def test_rows_of_the_same_text_go_where_the_first_of_them_goes(deduplicated, write, repeated, parts_of, tmp_path):
    rows = repeated[:300].copy()
    rows[10] = rows[200] = rows[5] * 2
    texts = [f"text {at}" for at in range(300)]
    texts[200] = texts[10]
    found = deduplicated([write("a", embedding=rows, text=texts)], threshold=0.9999, text_column="text")
    marks = parts_of(tmp_path / "out").to_pylist()
    assert [marks[at]["duplicate_of"] for at in (10, 200)] == [5, 5]
    assert [marks[at]["exact"] for at in (10, 200)] == [False, True]
    assert (found.exact, found.near) == (1, 1)


@pytest.mark.slow
def test_one_row_many_times_and_rows_without_vectors(deduplicated, write, repeated):
    rows = np.repeat(repeated[:1], 1000, axis=0)
    rows[::10] = 0
    found = deduplicated([write("a", embedding=rows)], threshold=0.99)
    assert (found.rows, found.kept) == (1000, 101)


@pytest.mark.slow
def test_no_vectors_at_all(deduplicated, write):
    assert deduplicated([write("a", embedding=np.zeros((3, 4), np.float32))], threshold=0.9).kept == 3


@given(st.lists(st.tuples(st.integers(0, 12), st.integers(0, 12)), max_size=40))
def test_stars_never_chain(drawn):
    pairs = [(max(one), min(one)) for one in drawn if one[0] != one[1]]
    later = np.array([one[0] for one in pairs], np.int64)
    earlier = np.array([one[1] for one in pairs], np.int64)
    found = {row: first for row, first, _ in stars(Pairs(later, earlier, np.ones(len(pairs), np.float32)))}
    assert all(first not in found for first in found.values())
    for row in {one for pair in pairs for one in pair}:
        kept = sorted(other for one, other in pairs if one == row and other not in found)
        assert found.get(row) == (kept[0] if kept else None)


def test_a_row_has_a_bounded_number_of_neighbours():
    rows = unit_rows(np.ones((3000, 4), np.float32))
    found = Pairs.joined(_pairs(rows, np.arange(3000), 0.9))
    assert np.bincount(found.later).max() == 64
    assert {first for _, first, _ in stars(found)} == {0}
    assert len(stars(found)) == 2999
