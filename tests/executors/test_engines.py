"""The commands' side: requests in, results or words for the user out."""

import importlib.util
from contextlib import contextmanager

import numpy as np
import pytest
from typer.testing import CliRunner

from nearfield_server.cli import engines
from nearfield_server.cli.engines import ClusterRequest, DedupRequest, run_cluster, run_dedup
from nearfield_server.cli.failures import CliError
from nearfield_server.cli.program import app


@pytest.fixture
def warm(local, monkeypatch):
    """Jobs run on processes that are there already."""

    @contextmanager
    def started(engine):
        yield local

    monkeypatch.setattr(engines, "_started", started)


@pytest.fixture
def texts(write, golden):
    """A file of the golden sentences, in row groups of 100."""
    return write("a", text=golden.texts, number=list(range(len(golden.texts))))


def run(*arguments):
    return CliRunner().invoke(app, ["embed", *(str(one) for one in arguments)])


@pytest.mark.slow
def test_a_file_by_a_server(warm, server, texts, golden, parts_of, tmp_path):
    out = tmp_path / "vectors"
    done = run(texts.parent, "--out", out, "--engine", "local", "--target", server.target, "--keep", "number")
    assert done.exit_code == 0, done.output
    assert f"{len(golden.texts):,} rows" in done.output
    table = parts_of(out)
    assert table.column_names == ["row", "number", "embedding"]
    assert table.column("number").to_pylist() == list(range(len(golden.texts)))
    rows = np.stack(table.column("embedding").to_numpy())
    assert np.einsum("nw,nw->n", rows, golden.rows).mean() > 0.99
    again = run(texts.parent, "--out", out, "--engine", "local", "--target", server.target, "--keep", "number")
    assert f"{len(golden.texts):,} rows from before" in again.output
    other = run(texts.parent, "--out", out, "--engine", "local", "--target", server.target, "--keep", "*")
    assert other.exit_code == 1
    assert "--overwrite drops what is there" in other.output


@pytest.mark.slow
def test_a_file_by_encoders_in_the_workers(texts, golden, parts_of, tmp_path):
    done = run(texts, "--out", tmp_path / "vectors", "--engine", "local", "--local", "--id-field", "number")
    assert done.exit_code == 0, done.output
    table = parts_of(tmp_path / "vectors")
    assert table.column("id").to_pylist() == list(range(len(golden.texts)))
    rows = np.stack(table.column("embedding").to_numpy())
    assert np.einsum("nw,nw->n", rows, golden.rows).mean() > 0.99


@pytest.mark.slow
def test_rows_left_out_have_an_exit_code_of_their_own(warm, server, write, tmp_path):
    file = write("a", text=["a", None, "b"])
    arguments = [file, "--out", tmp_path / "out", "--engine", "local", "--target", server.target]
    failed = run(*arguments)
    assert failed.exit_code == 1
    assert "row 1 of all: column 'text' is null" in failed.output
    done = run(*arguments, "--on-error", "skip")
    assert done.exit_code == 3
    assert "1 skipped" in done.output


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.parquet", "--out", "v.npy"], "the name of a folder"),
        (["a.parquet", "--out", "-"], "the name of a folder"),
        (["a.jsonl", "--out", "v"], "reads .parquet files"),
        (["--out", "v"], "reads .parquet files"),
        (["a.parquet", "--out", "v", "--sparse"], "--sparse doesn't go with --engine"),
        (["a.parquet", "--out", "v", "--chunk", "0"], "--chunk doesn't go with --engine"),
        (["a.parquet", "--out", "v", "--limit", "3"], "--limit doesn't go with --engine"),
        (["a.parquet", "--out", "v", "--local", "--model", "mine"], "NAME=PATH"),
        (["a.parquet", "--out", "v", "--local", "--keep", "row"], "two columns 'row'"),
        (["a.parquet", "--out", "v", "--ray-address", "auto"], "--ray-address goes with --engine ray"),
        (["a.parquet", "--out", "v", "--local"], "a.parquet is not a Parquet file that can be read"),
    ],
)
def test_what_does_not_go_together(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = run(*arguments, "--engine", "local")
    assert done.exit_code != 0
    assert text in " ".join(done.output.split())
    assert not (tmp_path / "v").exists()


@pytest.mark.slow
def test_labels_are_not_mixed_with_those_of_an_earlier_run(warm, write, blobs, parts_of, tmp_path):
    file = write("a", embedding=blobs[0], name=[f"n{at}" for at in range(1200)])
    request = ClusterRequest(files=(file,), out=tmp_path / "out", k=4, shard_rows=500, id_column="name")
    found = run_cluster(request)
    assert sum(found.sizes) == 1200
    np.testing.assert_array_equal(np.load(tmp_path / "out" / "centroids.npy"), found.centroids)
    assert len(parts_of(tmp_path / "out")) == 1200
    with pytest.raises(CliError, match="--overwrite drops them"):
        run_cluster(request)
    with pytest.raises(CliError, match="k is 0"):
        run_cluster(ClusterRequest(files=(file,), out=tmp_path / "out", k=0))


@pytest.mark.slow
def test_duplicates_of_a_file(warm, write, blobs, parts_of, tmp_path):
    rows = np.concatenate([blobs[0][:200], blobs[0][:50] * 3])
    request = DedupRequest(files=(write("a", embedding=rows),), out=tmp_path / "out", threshold=0.9999)
    found = run_dedup(request)
    assert (found.rows, found.exact + found.near) == (250, 50)
    marks = parts_of(tmp_path / "out").column("duplicate_of").to_pylist()
    assert marks == [None] * 200 + list(range(50))
    with pytest.raises(CliError, match="has no column 'text'"):
        run_dedup(DedupRequest(files=request.files, out=tmp_path / "new", threshold=2.0, text_column="text"))


@pytest.mark.slow
def test_the_commands_by_an_engine(warm, write, blobs, parts_of, tmp_path):
    file = write("a", embedding=np.concatenate([blobs[0], blobs[0][:50]]), name=[f"n{at}" for at in range(1250)])
    fields = ["--vector-field", "embedding", "--engine", "local"]
    done = CliRunner().invoke(
        app, ["cluster", str(file), *fields, "-k", "4", "--id-field", "name", "--out", str(tmp_path / "c")]
    )
    assert done.exit_code == 0, done.output
    assert "1,250 rows in 4 clusters of " in done.output
    assert parts_of(tmp_path / "c").column("id").to_pylist()[:2] == ["n0", "n1"]
    again = CliRunner().invoke(app, ["cluster", str(file), *fields, "-k", "4", "--out", str(tmp_path / "c")])
    assert (again.exit_code, "--overwrite drops them" in again.output) == (2, True)
    arguments = ["dedup", str(file), *fields, "--text-field", "", "--threshold", "0.9999", "--out", str(tmp_path / "d")]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    assert "1,250 rows: 1,200 say something new" in done.output
    assert parts_of(tmp_path / "d").column("duplicate_of").to_pylist()[1200:] == list(range(50))


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["a.jsonl", "--out", "d"], "--engine reads a .parquet file"),
        (["a.parquet", "--out", "d.parquet"], "--engine writes a folder"),
        (["a.parquet", "--out", "d"], "--vector-field"),
        (["a.parquet", "--out", "d", "--vector-field", "v", "--threshold", "auto"], "give a cosine"),
        (["a.parquet", "--out", "d", "--vector-field", "v"], "have no levels"),
        (["a.parquet", "--out", "d", "--lexical-check"], "--lexical-check doesn't go with --engine"),
    ],
)
def test_what_deduplication_by_an_engine_lacks(arguments, text, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    done = CliRunner().invoke(app, ["dedup", *arguments, "--engine", "local"])
    assert done.exit_code == 2
    assert text in " ".join(done.output.replace("│", " ").split())


@pytest.mark.parametrize("command", ["cluster", "dedup"])
def test_libraries_that_are_missing_are_named(command, tmp_path, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "faiss" else found(name))
    more = ["-k", "2"] if command == "cluster" else ["--threshold", "0.9"]
    (tmp_path / "in").mkdir()
    fields = ["--vector-field", "v", "--engine", "local", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(app, [command, str(tmp_path / "in"), *fields, *more])
    assert done.exit_code == 2
    assert 'needs faiss: pip install "nearfield[cluster]"' in " ".join(done.output.split())
