"""The newer commands against the real server: what they print and write is what the client gives."""

import json

import numpy as np
import pyarrow.parquet as pq
import pytest
import small_models

import nearfield
from nearfield_server.cli import main

pytestmark = pytest.mark.slow
TEXTS = ["a dog barks", "", "shares fell on Monday", "日本語のテキスト"]


@pytest.fixture(scope="module")
def target(start_server, tmp_path_factory):
    root = tmp_path_factory.mktemp("models")
    models = {
        "small": "builtin",
        "everything": str(small_models.everything(root / "everything")),
        "ranker": str(small_models.ranker(root / "ranker")),
    }
    return start_server(models=models).target


@pytest.fixture
def run(capsys, target, monkeypatch):
    monkeypatch.setenv("NEARFIELD_TARGET", target)

    def run(*arguments):
        code = main([str(one) for one in arguments])
        out, err = capsys.readouterr()
        return code, out, err

    return run


@pytest.fixture
def client(target):
    with nearfield.Client(target) as client:
        yield client


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(TEXTS) + "\n", "utf-8")
    return path


def test_sparse_and_multi(run, client, texts, tmp_path):
    for kind in ("sparse", "multi"):
        out = tmp_path / f"{kind}.parquet"
        code, _, err = run("embed", texts, "--out", out, f"--{kind}", "--model", "everything")
        assert code == 0, err
    rows, expected = (
        pq.read_table(tmp_path / "sparse.parquet").to_pylist(),
        client.embed_sparse(TEXTS, model="everything"),
    )
    for row, weights in zip(rows, expected, strict=True):
        assert dict(zip(row["indices"], row["values"], strict=True)) == pytest.approx(weights, abs=1e-6)
    rows, vectors = pq.read_table(tmp_path / "multi.parquet").to_pylist(), client.embed_multi(TEXTS, model="everything")
    for row, one in zip(rows, vectors, strict=True):
        np.testing.assert_allclose(row["embeddings"], one, atol=1e-6)


def test_chunks(run, client, tmp_path):
    book = "This is a sentence of a book. " * 40
    (tmp_path / "book.jsonl").write_text(json.dumps({"text": book}) + "\n", "utf-8")
    code, _, err = run(
        "embed", tmp_path / "book.jsonl", "--chunk", "64", "--overlap", "16", "--out", tmp_path / "out.jsonl"
    )
    assert code == 0, err
    rows = [json.loads(line) for line in (tmp_path / "out.jsonl").read_text("utf-8").splitlines()]
    expected = client.embed(book, chunking=nearfield.Chunking(max_tokens=64, overlap_tokens=16))
    assert [(one["start"], one["end"]) for one in rows] == [(one.start, one.end) for one in expected.chunks]
    np.testing.assert_allclose([one["embedding"] for one in rows], expected.vectors, atol=1e-5)
    assert len(rows) > 5


def test_rerank(run, client, texts):
    code, out, err = run("rerank", "dogs", texts, "--model", "ranker", "--json")
    assert code == 0, err
    expected = client.rerank("dogs", TEXTS, model="ranker")
    assert [(one["row"], one["score"]) for one in json.loads(out)] == [(one.index, one.score) for one in expected]


def test_classify(run):
    code, out, err = run(
        "classify", "a dog barks", "the market fell", "--labels", "animals,finance", "--json", "-k", "1"
    )
    assert code == 0, err
    assert [one["labels"][0]["label"] for one in json.loads(out)] == ["animals", "finance"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["embed", "{texts}", "--sparse", "--out", "{folder}/o.jsonl"], "model small gives dense, nothing sparse"),
        (["embed", "--images", "{folder}", "--out", "{folder}/o.jsonl"], "model small embeds no images"),
        (["rerank", "q", "{texts}"], "model"),
        (["classify", "text"], "--labels LABEL,LABEL"),
    ],
)
def test_the_wrong_model(run, texts, tmp_path, arguments, words):
    (tmp_path / "a.png").touch()
    code, _, err = run(*(one.format(texts=texts, folder=tmp_path) for one in arguments))
    assert (code in {1, 2}, words in err) == (True, True), err
