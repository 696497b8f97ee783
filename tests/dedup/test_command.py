"""`nearfield dedup`: files in, files out."""

import csv
import json

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from nearfield_server.cli.program import run

TEXTS = ["a dog barks", "Tax returns are due in April.", " a dog barks", "the dog is barking", "zebra crossing"]


@pytest.fixture
def dedup(server, tmp_path, capfd):
    """Run the command in a folder; give exit code and stderr."""

    def call(*arguments):
        code = run(["dedup", *map(str, arguments), "--target", server.target])
        return code, capfd.readouterr().err

    return call


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.slow
def test_jsonl_keeps_every_field_of_the_rows_that_stay(dedup, tmp_path):
    rows = [{"text": text, "n": at} | ({"extra": [1]} if at == 1 else {}) for at, text in enumerate(TEXTS)]
    (tmp_path / "in.jsonl").write_text("".join(json.dumps(row) + "\n\n" for row in rows))
    code, told = dedup(tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl", "--threshold", "0.8")
    assert code == 0
    assert lines(tmp_path / "out.jsonl") == [rows[at] for at in (0, 1, 4)]
    assert "5 rows: 3 kept" in told
    assert "2 removed (1 the same, 1 near)" in told
    gone = lines(tmp_path / "out.removed.jsonl")
    assert [(one["row"], one["why"], one["of"]) for one in gone] == [(2, "exact", 0), (3, "near", 0)]
    assert gone[1]["text"] == TEXTS[3]
    assert 0.8 <= gone[1]["similarity"] < 1


@pytest.mark.slow
def test_the_longest_stays_when_asked_for(dedup, tmp_path):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    code, _ = dedup(tmp_path / "in.txt", "--out", tmp_path / "out.txt", "--threshold", "0.8", "--keep", "longest")
    assert code == 0
    assert (tmp_path / "out.txt").read_text().splitlines() == [TEXTS[1], TEXTS[3], TEXTS[4]]
    gone = lines(tmp_path / "out.removed.jsonl")
    assert [(one["row"], one["of"]) for one in gone] == [(0, 3), (2, 3)]


@pytest.mark.slow
def test_from_csv_to_parquet_and_back_with_a_parquet_report(dedup, tmp_path):
    with (tmp_path / "in.csv").open("w", newline="") as file:
        csv.writer(file).writerows([["id", "body"], *enumerate(TEXTS)])
    report = tmp_path / "gone.parquet"
    arguments = ["--text-field", "body", "--threshold", "0.8"]
    code, _ = dedup(tmp_path / "in.csv", "--out", tmp_path / "out.parquet", "--report", report, *arguments)
    assert code == 0
    assert pq.read_table(tmp_path / "out.parquet").to_pydict() == {
        "id": ["0", "1", "4"],
        "body": [TEXTS[at] for at in (0, 1, 4)],
    }
    assert pq.read_table(report).column("of").to_pylist() == [0, 0]
    code, _ = dedup(tmp_path / "out.parquet", "--out", tmp_path / "out.csv", *arguments)
    assert code == 0
    assert (tmp_path / "out.csv").read_text().splitlines()[0] == "id,body"
    assert lines(tmp_path / "out.removed.jsonl") == []


def test_parquet_keeps_its_types_and_vectors_are_compared_as_they_are(dedup, tmp_path):
    vectors = pa.array([[1.0, 0.0], [0.0, 1.0], [1.0, 0.1]], pa.list_(pa.float32(), 2))
    table = pa.table({"n": pa.array([1, 2, 3], pa.int8()), "v": vectors})
    pq.write_table(table, tmp_path / "in.parquet")
    options = ["--text-field", "", "--vector-field", "v", "--threshold", "0.9"]
    code, _ = dedup(tmp_path / "in.parquet", "--out", tmp_path / "out.parquet", *options)
    assert code == 0
    assert pq.read_table(tmp_path / "out.parquet").equals(table.slice(0, 2))


@pytest.mark.slow
def test_against_a_collection(dedup, tmp_path, collection):
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    code, _ = dedup(tmp_path / "in.txt", "--out", tmp_path / "out.txt", "--collection", collection.name)
    assert code == 0
    assert (tmp_path / "out.txt").read_text().splitlines()[-1] == TEXTS[4]
    first = lines(tmp_path / "out.removed.jsonl")[0]
    assert (first["row"], first["why"], first["point"], first["of"]) == (0, "exact", "dog", None)


@pytest.mark.slow
def test_auto_takes_the_valley_or_says_that_there_is_none(dedup, tmp_path):
    rng = np.random.default_rng(0)
    base = rng.standard_normal((150, 64))
    rows = np.concatenate([base, base[:60] + 0.1 * rng.standard_normal((60, 64))])
    options = ["--text-field", "", "--vector-field", "v", "--threshold", "auto"]
    path = tmp_path / "in.jsonl"
    path.write_text("".join(json.dumps({"v": row.tolist()}) + "\n" for row in rows))
    code, told = dedup(path, "--out", tmp_path / "out.jsonl", *options)
    assert code == 0
    assert "<- threshold" in told
    assert "150 kept" in told
    path.write_text("".join(json.dumps({"v": row.tolist()}) + "\n" for row in base))
    code, told = dedup(path, "--out", tmp_path / "2.jsonl", *options)
    assert code == 2
    assert "no valley" in told
    (tmp_path / "in.txt").write_text("\n".join(TEXTS))
    code, told = dedup(tmp_path / "in.txt", "--out", tmp_path / "3.txt", "--threshold", "auto")
    assert code == 0
    assert "taking --threshold normal" in told


def test_rows_that_cannot_be_compared_stay_and_are_named(dedup, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"v": [1, 0]}\n{"v": [0, 0]}\n{"v": [1, 0.0]}\n')
    options = ["--text-field", "", "--vector-field", "v", "--threshold", "0.9"]
    code, told = dedup(tmp_path / "in.jsonl", "--out", tmp_path / "out.jsonl", *options)
    assert code == 3
    assert lines(tmp_path / "out.jsonl") == [{"v": [1, 0]}, {"v": [0, 0]}]
    assert "row 1 couldn't be compared and was kept" in told
    assert [one["why"] for one in lines(tmp_path / "out.removed.jsonl")] == ["failed", "exact"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--out", "out.xls"], "can't tell the format"),
        (["--out", "out.jsonl", "--threshold", "1.5"], "give a cosine from -1 to 1"),
        (["--out", "out.jsonl", "--threshold", "often"], "give a cosine from -1 to 1"),
        (["--out", "out.jsonl", "--vector-field", "v"], "vectors of your own have no levels"),
        (["--out", "out.jsonl", "--text-field", ""], "rows need a text or a vector"),
        (["--out", "out.jsonl", "--text-field", "body"], "has no field 'body'"),
        (["--out", "out.jsonl", "--report", "out.jsonl"], "same file as --out"),
        (["--out", "there.jsonl"], "add --overwrite"),
        (["--out", "no/out.jsonl"], "no such folder"),
        (["--out", "out.jsonl", "--local", "--collection", "c"], "leave --local out"),
    ],
)
def test_what_is_wrong_is_told_and_nothing_is_written(dedup, tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in.jsonl").write_text('{"text": "a"}\n{"text": "b"}\n')
    (tmp_path / "there.jsonl").write_text("as it was")
    code, told = dedup("in.jsonl", *arguments)
    assert code == 2
    assert message in told
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "there.jsonl"}
    assert (tmp_path / "there.jsonl").read_text() == "as it was"


@pytest.mark.slow
def test_a_run_that_fails_leaves_the_old_file(dedup, tmp_path):
    (tmp_path / "in.jsonl").write_text('{"text": "a\\nb"}\n')
    (tmp_path / "out.txt").write_text("old")
    code, told = dedup(tmp_path / "in.jsonl", "--out", tmp_path / "out.txt", "--overwrite")
    assert code == 2
    assert "line ends" in told
    assert (tmp_path / "out.txt").read_text() == "old"
    assert {path.name for path in tmp_path.iterdir()} == {"in.jsonl", "out.txt"}
