"""`nearfield classifiers` and `nearfield classify --classifier`, against a real server."""

import json

import pytest

from nearfield_server.cli import main

pytestmark = pytest.mark.slow


@pytest.fixture
def run(capsys, server, monkeypatch):
    monkeypatch.setenv("NEARFIELD_TARGET", server.target)

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def file(tmp_path, examples):
    path = tmp_path / "examples.jsonl"
    path.write_text("".join(json.dumps({"said": text, "kind": label}) + "\n" for text, label in examples), "utf-8")
    return path


FIELDS = ("--text-field", "said", "--label-field", "kind")


def test_the_life_of_a_classifier(run, file, tmp_path):
    code, out, err = run("classifiers", "train", file, "--name", "cli", *FIELDS, "--seed", 2)
    assert (code, err) == (0, "")
    assert "3 labels, 15 examples" in out
    assert [line.split()[:2] for line in out.splitlines()[-3:]] == [["animals", "5"], ["money", "5"], ["weather", "5"]]
    code, out, _ = run("classify", "two puppies play", "zqx 0x7f kernel panic", "--classifier", "cli", "-k", 1)
    assert [line.split()[-1] for line in out.splitlines()[1:]][1] == "abstained"
    assert "animals" in out.splitlines()[1]
    _, out, _ = run("classify", "two puppies play", "--classifier", "cli", "--min-score", 1, "--json")
    (told,) = json.loads(out)
    assert (told["abstained"], told["answer"], len(told["labels"])) == (True, None, 3)
    assert "cli@1" in run("classifiers", "list")[1]
    assert json.loads(run("classifiers", "show", "cli@1", "--json")[1])["seed"] == 2
    moved = tmp_path / "moved.bin"
    assert run("classifiers", "export", "cli", moved)[0] == 0
    assert run("classifiers", "import", moved, "--name", "cli-moved")[1] == "made cli-moved@1: 3 labels\n"
    assert run("classifiers", "delete", "cli-moved", "--yes")[1] == "deleted 1 version of cli-moved\n"
    assert run("classifiers", "show", "cli-moved")[0] == 1


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (("train", "FILE"), "--name"),
        (("train", "--name", "n"), "--collection"),
        (("train", "FILE", "--name", "n"), "'text'"),
        (("train", "FILE", "--name", "n", "--text-field", "said", "--label-field", "sort"), "sort"),
        (("train", "FILE", "--name", "n", *FIELDS, "--method", "tree"), "--method is 'tree'"),
    ],
)
def test_what_is_wrong_is_told(run, file, arguments, text):
    code, _, err = run("classifiers", *(file if one == "FILE" else one for one in arguments))
    assert code == 2
    assert text in err


@pytest.mark.parametrize(
    ("options", "text"),
    [
        (("--classifier", "c", "--labels", "a,b"), "brings its own model and labels"),
        (("--labels", "a,b", "--min-score", "0.5"), "go with --classifier"),
    ],
)
def test_options_that_do_not_go_together(run, options, text):
    code, _, err = run("classify", "x", *options)
    assert code == 2
    assert text in err
