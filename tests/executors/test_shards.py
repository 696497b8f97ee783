import itertools

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.executors.base import JobFailure
from nearfield_server.executors.shards import Parts, _divided, read_shard, shards_of, vectors_of


@given(st.lists(st.integers(0, 300), max_size=20), st.integers(1, 500))
def test_every_row_group_with_rows_is_in_one_shard(groups, rows):
    shards = list(_divided(groups, rows))
    assert sum(count for _, _, count in shards) == sum(groups)
    assert all(sum(groups[start:stop]) == count > 0 for start, stop, count in shards)
    assert all(left[1] == right[0] for left, right in itertools.pairwise(shards))
    assert all(count >= rows for _, _, count in shards[:-1])


def test_rows_are_counted_through_all_files(write):
    write("b", number=list(range(250)))
    folder = write("a", number=list(range(1000, 1130))).parent
    shards = shards_of([folder], 100, ["number"])
    assert [(one.file.name, one.groups, one.first_row, one.rows) for one in shards] == [
        ("a.parquet", (0, 1), 0, 100),
        ("a.parquet", (1, 2), 100, 30),
        ("b.parquet", (0, 1), 130, 100),
        ("b.parquet", (1, 2), 230, 100),
        ("b.parquet", (2, 3), 330, 50),
    ]
    assert read_shard(shards[3], ["number"]).column("number").to_pylist() == list(range(100, 200))


def test_what_is_wrong_with_the_input_is_said(write, tmp_path):
    file = write("a", number=[1])
    with pytest.raises(JobFailure, match="has no column 'text'; its columns are: number"):
        shards_of([file], 100, ["text"])
    with pytest.raises(JobFailure, match="no rows in any"):
        shards_of([tmp_path], 100, [])
    (tmp_path / "bad.parquet").write_text("no")
    with pytest.raises(JobFailure, match="not a Parquet file"):
        shards_of([tmp_path / "bad.parquet"], 100, [])


def test_rows_without_a_usable_vector_are_left_out():
    table = pa.table({"v": pa.array([[3, 4], None, [0, 0], [np.nan, 1], [0, 2]], pa.list_(pa.float32(), 2))})
    places, rows = vectors_of(table, "v")
    assert places.tolist() == [0, 4]
    np.testing.assert_allclose(rows, [[0.6, 0.8], [0, 1]], atol=1e-7)


@pytest.mark.parametrize(
    ("column", "text"),
    [
        (pa.array(["a"]), "not lists of numbers"),
        (pa.array([["a"]]), "not lists of numbers"),
        (pa.array([[1.0], [1.0, 2.0]]), "different widths"),
        (pa.array([[1.0, 2.0], [1.0], [1.0, 2.0, 3.0]]), "different widths"),
    ],
)
def test_columns_of_something_else_are_refused(column, text):
    with pytest.raises(JobFailure, match=text):
        vectors_of(pa.table({"v": column}), "v")


def test_parts_that_are_there_are_passed_over(write, tmp_path):
    shards = shards_of([write("a", number=list(range(250)))], 100, ["number"])
    parts = Parts(tmp_path / "out", {"k": 1})
    assert parts.prepare(shards, overwrite=False) == shards
    parts.write(shards[1], pa.table({"x": [1]}))
    (tmp_path / "out" / ".part-00000.parquet.0.new").write_text("half")
    assert parts.prepare(shards, overwrite=False) == [shards[0], shards[2]]
    assert [one.name for one in (tmp_path / "out").iterdir()] == ["part-00001.parquet"]


def test_parts_of_something_else_are_refused_or_dropped(write, tmp_path):
    file = write("a", number=list(range(250)))
    shards = shards_of([file], 100, ["number"])
    parts = Parts(tmp_path / "out", {"k": 1})
    parts.prepare(shards, overwrite=False)
    parts.write(shards[2], pa.table({"x": [1]}), [{"row": 3}])
    assert len(parts.prepare(shards, overwrite=False)) == 2
    with pytest.raises(JobFailure, match="--overwrite drops"):
        Parts(tmp_path / "out", {"k": 2}).prepare(shards, overwrite=False)
    with pytest.raises(JobFailure, match="--overwrite drops"):
        parts.prepare(shards_of([file], 1000, ["number"]), overwrite=False)
    file = write("a", number=list(range(251)))
    with pytest.raises(JobFailure, match="--overwrite drops"):
        parts.prepare(shards_of([file], 100, ["number"]), overwrite=False)
    assert len(parts.prepare(shards, overwrite=True)) == 3
    assert list((tmp_path / "out").iterdir()) == []
