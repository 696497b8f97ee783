"""`nearfield rerank`, `classify` and `tokenize`: what they ask for and print, against the client tests' fake server."""

import json
import os
import re

import fake_server
import pytest

from nearfield_server.cli import main


@pytest.fixture
def fake():
    return fake_server.FakeServer()


@pytest.fixture
def run(capsys, fake, monkeypatch):
    server, target = fake_server.start(fake)
    monkeypatch.setenv("NEARFIELD_TARGET", target)
    monkeypatch.setenv("COLUMNS", "60")

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    server.stop(0).wait()


@pytest.fixture
def documents(tmp_path):
    path = tmp_path / "documents.txt"
    path.write_text("xyz\nab\n" + "a " * 100 + "\nabc\n", "utf-8")
    return path


def test_rerank_prints_the_best_first(run, documents):
    code, out, err = run("rerank", "abc", documents, "--top-n", "3")
    assert (code, err) == (0, "")
    lines = out.splitlines()
    assert lines[0].split() == ["RANK", "SCORE", "DOCUMENT"]
    assert [line.split()[:3] for line in lines[1:]] == [
        ["1", "3.0000", "abc"],
        ["2", "2.0000", "ab"],
        ["3", "1.0000", "a"],
    ]
    assert len(lines[3]) > 200  # nothing is cut on a pipe


def test_documents_are_cut_to_a_terminal(run, documents, monkeypatch):
    monkeypatch.setattr("rich.console.Console.is_terminal", True)
    _, out, _ = run("rerank", "abc", documents)
    lines = [re.sub(r"\x1b\[\d+m", "", line) for line in out.splitlines()]
    assert max(map(len, lines)) == 60
    assert [line.split()[:3] for line in lines[1:3]] == [["1", "3.0000", "abc"], ["2", "2.0000", "ab"]]
    assert lines[3].endswith("…")


def test_rerank_as_json(run, fake, documents):
    code, out, _ = run("rerank", "abc", documents, "--json", "--raw", "--truncate", "none")
    content = json.loads(out)
    assert (code, [one["row"] for one in content]) == (0, [3, 1, 2, 0])
    assert content[0] == {"rank": 1, "row": 3, "score": 3.0, "truncated": False, "document": "abc"}
    assert (fake.requests[-1].raw_scores, fake.requests[-1].truncate) == (True, 1)


def test_rerank_takes_json_lines_and_any_number(run, tmp_path):
    path = tmp_path / "documents.jsonl"
    path.write_text("".join(json.dumps({"body": "a" * (index % 2)}) + "\n" for index in range(50)), "utf-8")
    code, out, err = run("rerank", "a", path, "--text-field", "body", "--json")
    assert code == 0, err
    assert [one["row"] for one in json.loads(out)] == [*range(1, 50, 2), *range(0, 50, 2)]


def test_rerank_tells_of_cuts(run, tmp_path):
    path = tmp_path / "documents.txt"
    path.write_text("b" * 501 + "\n", "utf-8")
    assert run("rerank", "b", path)[2].startswith("1 of them were cut")


def test_classify_prints_the_labels_of_each_text(run):
    code, out, err = run("classify", "cat", "dogs and more dogs", "--labels", "cats,dogs", "--top-k", "1")
    assert (code, err) == (0, "")
    assert [line.split()[-2:] for line in out.splitlines()[1:]] == [["cats", "1.0000"], ["dogs", "3.0000"]]


def test_classify_options_reach_the_server(run, fake, documents):
    arguments = ("--labels", "a", "--labels", "b, c", "--label-template", "on {}", "--multi-label", "--raw")
    code, out, err = run("classify", "--file", documents, *arguments, "--json")
    assert code == 0, err
    assert [len(one["labels"]) for one in json.loads(out)] == [3] * 4
    assert json.loads(out)[1]["labels"][0] == {"label": "a", "index": 0, "score": 1.0}
    sent = fake.requests[-1]
    assert (list(sent.labels), sent.label_template, sent.multi_label, sent.raw_scores) == (
        ["a", "b", "c"],
        "on {}",
        True,
        True,
    )


def test_classify_with_the_models_own_labels(run, fake):
    fake.model.outputs.append(4)
    fake.model.labels.extend(["a", "b"])
    code, out, _ = run("classify", "bb", "--json")
    assert (code, json.loads(out)[0]["labels"][0]["label"]) == (0, "b")


def test_tokenize(run, fake):
    code, out, _ = run("tokenize", "abc", "--no-special")
    assert (code, fake.requests[-1].add_special_tokens) == (0, False)
    assert [line.split() for line in out.splitlines()[1:4]] == [
        ["97", "a", "0", "1"],
        ["98", "b", "1", "2"],
        ["99", "c", "2", "3"],
    ]
    assert out.splitlines()[-1] == "3 tokens"
    fake.model.max_tokens = 2
    assert "it would be cut" in run("tokenize", "abc")[1]
    assert json.loads(run("tokenize", "ab", "--json")[1]) == [
        {"text": "ab", "ids": [97, 98], "tokens": ["a", "b"], "starts": [0, 1], "ends": [1, 2]}
    ]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["rerank", "", "{documents}"], 2, "the query is empty"),
        (["rerank", "q", "{empty}"], 2, "holds no documents"),
        (["rerank", "q", "{folder}/none.txt"], 2, "no such file"),
        (["rerank", "q", "{documents}", "--model", "other"], 1, "no model 'other' here; there are: toy"),
        (["rerank", "q", "{documents}", "--top-n", "0"], 2, "--top-n"),
        (["classify"], 2, "--file"),
        (["classify", "a", "--model", "x=y"], 2, "--local"),
    ],
)
def test_mistakes(run, documents, tmp_path, arguments, code, words):
    (tmp_path / "empty.txt").touch()
    names = {"documents": documents, "empty": tmp_path / "empty.txt", "folder": tmp_path}
    found, _, err = run(*(one.format(**names) for one in arguments))
    assert (found, words in " ".join(err.split())) == (code, True), err


def test_a_model_without_labels_needs_some(run, fake):
    fake.model.outputs.append(1)
    code, _, err = run("classify", "a")
    assert (code, "--labels LABEL,LABEL" in err) == (2, True)


def test_a_bad_document_is_named(run, fake, documents):
    fake.bad_texts["ab"] = "no good"
    code, _, err = run("rerank", "q", documents)
    assert (code, "documents[1]: no good" in err) == (1, True)


def test_documents_from_standard_input(run, monkeypatch):
    read, write = os.pipe()
    os.write(write, b"one\ntwo\n")
    os.close(write)
    with open(read, "rb") as file:  # noqa: PTH123
        monkeypatch.setattr("sys.stdin", file)
        code, out, _ = run("rerank", "two", "-", "--json")
    assert (code, json.loads(out)[0]["document"]) == (0, "two")
