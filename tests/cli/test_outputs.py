"""From a spool to each kind of output: nothing lost, nothing rounded, failed rows absent and told."""

import base64
import json
import tempfile
from contextlib import closing
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files import writers
from nearfield_server.cli.files.partial import Partial, Paths
from nearfield_server.cli.files.rows import Row
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.files.writers import Column, Output, publish

DTYPES = [np.float32, np.float16, np.int8, np.uint8]


@st.composite
def matrices(draw):
    dtype = draw(st.sampled_from(DTYPES))
    shape = (draw(st.integers(1, 9)), draw(st.integers(1, 5)))
    elements = {"allow_nan": False, "allow_infinity": False} if np.issubdtype(dtype, np.floating) else {}
    return draw(hnp.arrays(dtype, shape, elements=elements or None))


def write(folder, name, vectors, failed, *, columns=(), encoding="floats", records=None):
    """Settle rows, those in `failed` without a vector, and publish; give the paths and the rows that have one."""
    given = folder / "in.jsonl"
    total = len(vectors) + len(failed)
    records = records or [{"text": f"t{row}", "n": row} for row in range(total)]
    given.write_text("".join(json.dumps(one) + "\n" for one in records), "utf-8")
    paths, left = Paths(folder / name), iter(vectors)
    partial = Partial(paths, None, {})
    partial.open(resume=True, overwrite=False)
    with closing(partial):
        for number in range(total):
            row = Row(number, f"t{number}")
            if number in failed:
                partial.skip(row, "INVALID_ARGUMENT", "no good")
            else:
                partial.add(row, next(left), tokens=1, truncated=False)
        publish(paths, partial.finish(), Output(columns=columns, encoding=encoding), open_source(given, "text"))
    return paths, [number for number in range(total) if number not in failed]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["out.npy", "out.parquet", "out.jsonl", "base64"])
@settings(deadline=None)
@given(vectors=matrices(), data=st.data())
def test_vectors_come_back_exactly(name, vectors, data):
    failed = data.draw(st.sets(st.integers(0, len(vectors)), max_size=3)) if len(vectors) > 1 else set()
    failed = {row for row in failed if row < len(vectors) + len(failed)}
    encoding, name = ("base64", "out.jsonl") if name == "base64" else ("floats", name)
    with tempfile.TemporaryDirectory() as folder:
        paths, rows = write(Path(folder), name, vectors, failed, encoding=encoding)
        found, numbers = read(paths, vectors.dtype)
        assert (found.shape, found.dtype) == (vectors.shape, vectors.dtype)
        if paths.out.suffix == ".jsonl" and encoding == "floats":
            np.testing.assert_array_equal(found, vectors)  # JSON has no negative zero
        else:
            assert found.tobytes() == vectors.tobytes()
        assert numbers == (rows if failed or name != "out.npy" else list(range(len(vectors))))
        errors = paths.errors.read_text("utf-8").splitlines() if paths.errors.exists() else []
        assert [json.loads(line)["row"] for line in errors] == sorted(failed)
        left = {path.name for path in Path(folder).iterdir()} - {"in.jsonl", name}
        assert left <= {paths.errors.name, paths.row_numbers.name}


def read(paths, dtype):
    """Give vectors and row numbers, as a reader of the file would get them."""
    if paths.out.suffix == ".npy":
        vectors = np.load(paths.out)
        exists = paths.row_numbers.exists()
        return vectors, np.load(paths.row_numbers).tolist() if exists else list(range(len(vectors)))
    if paths.out.suffix == ".parquet":
        table = pq.read_table(paths.out)
        column = table.column("embedding").combine_chunks()
        flat = column.flatten().to_numpy()
        return flat.reshape(len(table), column.type.list_size), table.column("row").to_pylist()
    lines = [json.loads(line) for line in paths.out.read_text("utf-8").splitlines()]
    if "dtype" in lines[0]:
        raw = [np.frombuffer(base64.b64decode(one["embedding"]), np.dtype(one["dtype"])) for one in lines]
    else:
        raw = [np.array(one["embedding"], dtype) for one in lines]
    return np.stack(raw), [one["row"] for one in lines]


@pytest.mark.parametrize("suffix", ["parquet", "jsonl"])
def test_columns_are_carried_over_in_step(tmp_path, monkeypatch, suffix):
    monkeypatch.setattr(writers, "_CHUNK_ROWS", 4)
    vectors = np.arange(20, dtype=np.float32).reshape(10, 2)
    columns = (Column("n", "id"), Column("text", "text"))
    paths, rows = write(tmp_path, f"out.{suffix}", vectors, {0, 3, 11}, columns=columns)
    if suffix == "parquet":
        found = pq.read_table(paths.out).to_pylist()
    else:
        found = [json.loads(line) for line in paths.out.read_text("utf-8").splitlines()]
    assert [one["id"] for one in found] == [one["row"] for one in found] == rows
    assert [one["text"] for one in found] == [f"t{row}" for row in rows]
    assert [one["embedding"] for one in found] == vectors.tolist()


@pytest.mark.parametrize(
    ("values", "kind", "expected"),
    [
        ([1, None, 3], pa.int64(), [1, None, 3]),
        ([1, 2.5, None], pa.float64(), [1.0, 2.5, None]),
        ([2**53 + 1, 2, None], pa.int64(), [2**53 + 1, 2, None]),
        ([2**53 + 1, 2.5, None], pa.string(), [str(2**53 + 1), "2.5", None]),
        ([2**70, 1, 1], pa.string(), [str(2**70), "1", "1"]),
        ([True, False, None], pa.bool_(), [True, False, None]),
        ([True, 1, "x"], pa.string(), ["true", "1", "x"]),
        ([{"a": [1]}, "x", None], pa.string(), ['{"a": [1]}', "x", None]),
        ([None, None, None], pa.string(), [None, None, None]),
    ],
)
def test_a_json_field_gets_the_narrowest_type_for_all_its_values(tmp_path, values, kind, expected):
    records = [{"text": "x", "value": value} for value in values]
    vectors = np.zeros((3, 2), np.float32)
    paths, _ = write(tmp_path, "out.parquet", vectors, set(), columns=(Column("value", "value"),), records=records)
    column = pq.read_table(paths.out).column("value")
    assert (column.type, column.to_pylist()) == (kind, expected)


def test_an_input_that_became_shorter_is_noticed(tmp_path):
    with pytest.raises(CliError, match="shorter"):
        write(
            tmp_path,
            "out.jsonl",
            np.zeros((3, 2), np.float32),
            set(),
            columns=(Column("n", "n"),),
            records=[{"text": "only", "n": 1}],
        )
    assert not (tmp_path / "out.jsonl").exists()


def test_all_files_of_an_overwritten_output_go_together(tmp_path):
    vectors = np.ones((2, 2), np.float32)
    paths, _ = write(tmp_path, "out.npy", vectors, {1})
    assert paths.errors.exists()
    assert paths.row_numbers.exists()
    write(tmp_path, "out.npy", vectors, set())
    assert not paths.errors.exists()
    assert not paths.row_numbers.exists()
