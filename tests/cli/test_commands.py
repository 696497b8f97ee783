"""The commands as a user types them, against a real server."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pyarrow.parquet
import pytest

from nearfield_server.cli import main

NEARFIELD = Path(sys.executable).with_name("nearfield")
TEXTS = ["a dog barks", "", "ein Hund bellt", "日本語のテキスト", 'a, b "quoted" c']


@pytest.fixture
def run(capsys, server, monkeypatch):
    """Run a command in this process; give exit code, stdout and stderr."""
    monkeypatch.setenv("NEARFIELD_TARGET", server.target)
    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text(
        "".join(json.dumps({"text": text, "id": index}) + "\n" for index, text in enumerate(TEXTS)), "utf-8"
    )
    return path


@pytest.mark.slow
def test_every_output_format_holds_the_same_vectors(run, texts, tmp_path, client):
    expected = client.embed(TEXTS)
    for name in ("out.npy", "out.parquet", "out.jsonl"):
        code, _, err = run("embed", texts, "--out", tmp_path / name)
        assert (code, "5 rows" in err) == (0, True), err
    from_parquet = pyarrow.parquet.read_table(tmp_path / "out.parquet").column("embedding").to_pylist()
    lines = (tmp_path / "out.jsonl").read_text("utf-8").splitlines()
    for rows in (np.load(tmp_path / "out.npy"), from_parquet, [json.loads(line)["embedding"] for line in lines]):
        np.testing.assert_allclose(np.array(rows, np.float32), expected, atol=1e-5)


@pytest.mark.slow
def test_input_formats_agree(run, tmp_path):
    plain = ["one line", "another line"]
    (tmp_path / "a.txt").write_text("\n".join(plain) + "\n", "utf-8")
    (tmp_path / "a.csv").write_text("id,body\n1,one line\n2,another line\n", "utf-8")
    pyarrow.parquet.write_table(pyarrow.table({"body": plain}), tmp_path / "a.parquet")
    for name, options in (("a.txt", ()), ("a.csv", ("--text-field", "body")), ("a.parquet", ("--text-field", "body"))):
        code, _, err = run("embed", tmp_path / name, "--out", tmp_path / f"{name}.npy", *options)
        assert code == 0, err
    vectors = [np.load(tmp_path / f"a.{kind}.npy") for kind in ("txt", "csv", "parquet")]
    np.testing.assert_allclose(vectors[0], vectors[1], atol=1e-6)
    np.testing.assert_allclose(vectors[0], vectors[2], atol=1e-6)


@pytest.mark.slow
def test_int8_and_dimensions_reach_the_file(run, texts, tmp_path):
    assert run("embed", texts, "--out", tmp_path / "v.npy", "--output-dtype", "int8", "--dimensions", "64")[0] == 0
    vectors = np.load(tmp_path / "v.npy")
    assert (vectors.dtype, vectors.shape) == (np.int8, (5, 64))


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"text": "fine"}\n{"text": 3}\n', ["line 2", "not a string"]),
        ('{"body": "x"}\n', ["no field 'text'", "body"]),
        ('{"text": \n', ["line 1"]),
        ('{"text": "caf\udce9"}\n', ["line 1", "UTF-8"]),
    ],
)
def test_bad_rows_end_the_run_and_are_named(run, tmp_path, content, words):
    path = tmp_path / "bad.jsonl"
    path.write_bytes(content.encode("utf-8", "surrogateescape"))
    code, _, err = run("embed", path, "--out", tmp_path / "out.npy")
    assert code == 2
    assert all(word in err for word in words), err
    assert not (tmp_path / "out.npy").exists()


@pytest.mark.slow
def test_bad_rows_can_be_skipped_and_are_listed(run, tmp_path):
    path = tmp_path / "bad.jsonl"
    path.write_text('{"text": "fine"}\n{"text": 3}\n{"text": "also"}\n', "utf-8")
    code, _, err = run("embed", path, "--out", tmp_path / "out.jsonl", "--on-error", "skip")
    assert code == 3, err
    assert [json.loads(line)["row"] for line in (tmp_path / "out.jsonl").read_text().splitlines()] == [0, 2]
    assert len((tmp_path / "out.jsonl.errors.jsonl").read_text().splitlines()) == 1


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embed", "nowhere.txt", "--out", "x.npy"], ["nowhere.txt", "no such file"]),
        (["embed", "{texts}", "--out", "x.xyz"], [".npy", ".parquet", ".jsonl"]),
        (["embed", "{texts}", "--out", "{folder}/none/x.npy"], ["none"]),
        (["models", "nothere"], ["nothere"]),
        pytest.param(
            ["models", "--target", "localhost:1"],
            ["no server at localhost:1", "nearfield serve", "--local"],
            marks=pytest.mark.slow,  # the client tries more than once
        ),
        (["serve", "--listen", "here"], ["listen", "flag --listen"]),
        (["serve", "--model", "a"], ["NAME=PATH"]),
        (["similarity", "one"], ["2 to 100"]),
    ],
)
def test_mistakes_get_one_clear_line(run, texts, tmp_path, arguments, words):
    code, _, err = run(*(one.format(texts=texts, folder=tmp_path) for one in arguments))
    assert code in {1, 2}
    assert all(word in err for word in words), err
    assert "Traceback" not in err


def test_an_existing_output_is_kept(run, texts, tmp_path):
    (tmp_path / "out.npy").write_bytes(b"precious")
    code, _, err = run("embed", texts, "--out", tmp_path / "out.npy")
    assert (code, "--overwrite" in err) == (2, True)
    assert (tmp_path / "out.npy").read_bytes() == b"precious"


def test_unknown_options_are_met_with_a_suggestion(run):
    code, _, err = run("serve", "--listn", "x")
    assert (code, "--listen" in err) == (2, True)


def test_models_and_similarity(run):
    code, out, _ = run("models", "--json")
    assert (code, json.loads(out)[0]["name"]) == (0, "all-MiniLM-L6-v2")
    code, out, _ = run("similarity", "a dog barks", "a hound bays", "stocks fell", "--json")
    scores = json.loads(out)["scores"]
    assert scores[0][1] > scores[0][2]


def test_print_config_tells_where_each_value_comes_from(run, monkeypatch):
    monkeypatch.setenv("NEARFIELD_LIMITS__MAX_INPUTS", "7")
    code, out, _ = run("serve", "--print-config", "--device", "cpu")
    assert code == 0
    assert "max_inputs: 7  # environment NEARFIELD_LIMITS__MAX_INPUTS" in out
    assert 'device: "cpu"  # flag --device' in out or "device: cpu  # flag --device" in out


@pytest.mark.long
@pytest.mark.slow
def test_a_killed_run_goes_on_and_ends_the_same(server, tmp_path):
    lines = [f"sentence {index} of many, {'and more ' * (index % 20)}" for index in range(6000)]
    (tmp_path / "in.txt").write_text("\n".join(lines) + "\n", "utf-8")

    def command(out):
        return [NEARFIELD, "embed", tmp_path / "in.txt", "--out", out, "--target", server.target]

    subprocess.run(command(tmp_path / "whole.npy"), check=True, capture_output=True)
    killed = subprocess.Popen(command(tmp_path / "out.npy"), stderr=subprocess.DEVNULL)
    journal = tmp_path / "out.npy.partial.json"
    while killed.poll() is None and not (journal.exists() and b'"rows": 0' not in journal.read_bytes()):
        os.sched_yield()
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    assert not (tmp_path / "out.npy").exists()
    again = subprocess.run(command(tmp_path / "out.npy"), check=True, capture_output=True, text=True)
    assert "6,000 rows" in again.stderr
    np.testing.assert_allclose(np.load(tmp_path / "out.npy"), np.load(tmp_path / "whole.npy"), atol=1e-6)
    assert not journal.exists()
