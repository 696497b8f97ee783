"""Collections as files, and back by `nearfield index`."""

import itertools
import json
from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import nearfield
from nearfield_server.cli import main

_NAMES = (f"export{number}" for number in itertools.count())
WHEN = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)


@pytest.fixture
def run(capsys, server, monkeypatch):
    monkeypatch.setenv("NEARFIELD_TARGET", server.target)

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def client(server):
    with nearfield.Client(server.target) as client:
        yield client


@pytest.fixture
def filled(client):
    """More points than a part of a file, whose later ones have fields and types that the first ones lack."""
    made = client.create_collection(next(_NAMES), dimensions=3)
    rows = [{"id": f"p{n}", "text": f"text {n} ü", "vector": [1.0, n, 0.5], "n": n} for n in range(2500)]
    rows[2400] |= {"n": 2.5, "tags": ["a", "b"], "at": WHEN, "place": nearfield.GeoPoint(52.5, 13.4), "none": None}
    made.upsert(rows, vector="vector")
    yield made
    client.delete_collection(made.name)


def test_parquet_and_back(run, client, filled, tmp_path):
    file = tmp_path / "points.parquet"
    assert run("collections", "export", filled.name, file) == (0, "", f"wrote 2,500 points to {file}\n")
    table = pq.read_table(file)
    first, *fields, last = table.column_names
    assert (first, set(fields), last) == ("id", {"text", "n", "tags", "at", "place", "none"}, "vector")
    assert table.schema.field("n").type == pa.float64()
    assert table.schema.field("vector").type == pa.list_(pa.float32(), 3)
    row = table.slice(2400, 1).to_pylist()[0]
    assert (row["tags"], row["at"], row["place"]) == (["a", "b"], WHEN, {"lat": 52.5, "lon": 13.4})
    assert [one["id"] for one in table.select(["id"]).to_pylist()] == [f"p{n}" for n in range(2500)]
    back = client.create_collection(next(_NAMES), dimensions=3)
    fields = ("--id-field", "id", "--vector-field", "vector", "--payload", "n,tags,at,place")
    assert run("index", file, "-c", back.name, *fields)[0] == 0
    old, new = {one.id: one for one in filled.scroll(with_vector=True)}, list(back.scroll(with_vector=True))
    assert {one.id for one in new} == set(old)
    for one in new:
        np.testing.assert_array_equal(one.vector, old[one.id].vector)
        assert one.text == old[one.id].text
        assert one.payload["n"] == old[one.id].payload["n"]
    (odd,) = back.get(["p2400"])
    assert (odd.payload["at"], odd.payload["place"]) == (WHEN, {"lat": 52.5, "lon": 13.4})


def test_jsonl_to_a_file_and_to_stdout(run, filled, tmp_path):
    file = tmp_path / "points.jsonl"
    assert run("collections", "export", filled.name, file, "--filter", "n >= 2399")[0] == 0
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    assert [one["id"] for one in lines] == ["p2399", *(f"p{n}" for n in range(2401, 2500))]
    chosen = ("--filter", "exists(at)", "--no-vectors", "--leave-out", "place")
    code, out, _ = run("collections", "export", filled.name, "-", *chosen)
    assert code == 0
    assert json.loads(out) == {
        "id": "p2400", "text": "text 2400 ü", "n": 2.5, "tags": ["a", "b"], "none": None,
        "at": "2026-01-02T03:04:05.678901Z",
    }  # fmt: skip


def test_nothing_is_a_file_too(run, filled, tmp_path):
    for name in ("none.parquet", "none.jsonl"):
        assert run("collections", "export", filled.name, tmp_path / name, "--tenant", "nobody")[0] == 0
    assert pq.read_table(tmp_path / "none.parquet").num_rows == 0
    assert (tmp_path / "none.jsonl").read_text() == ""


def test_what_cant_be_is_told_and_leaves_the_old_file(run, client, filled, tmp_path):
    file = tmp_path / "points.parquet"
    file.write_text("old")
    filled.upsert([{"id": 7, "text": "", "vector": [1.0, 0, 0]}], vector="vector")
    code, _, err = run("collections", "export", filled.name, file)
    assert (code, "export to .jsonl" in err) == (1, True)
    assert file.read_text() == "old"
    assert [one.name for one in tmp_path.iterdir()] == [file.name]
    assert run("collections", "export", filled.name, tmp_path / "points.jsonl")[0] == 0
    filled.upsert([{"id": "x", "text": "", "v": [1.0, 0, 0], "vector": "of payload"}], vector="v")
    code, _, err = run("collections", "export", filled.name, tmp_path / "more.jsonl")
    assert (code, "--leave-out vector" in err) == (2, True)
    assert run("collections", "export", filled.name, tmp_path / "a.csv")[0] == 2
    assert run("collections", "export", "nowhere", tmp_path / "a.jsonl")[0] == 1
    assert run("collections", "export", filled.name, tmp_path / "no" / "a.jsonl")[0] == 1
