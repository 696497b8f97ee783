"""`nearfield embed` of more than a vector per text: sparse, per token, per chunk, and images."""

import base64
import json

import fake_server
import grpc
import numpy as np
import pyarrow.parquet as pq
import pytest

from nearfield_server.cli import main
from nearfield_server.cli.files import ragged

TEXTS = ["aab", "", "hello world", "z" * 9, "ü"]


@pytest.fixture
def fake():
    fake = fake_server.FakeServer()
    fake.model.accepts_images = True
    return fake


@pytest.fixture
def run(capsys, fake, monkeypatch):
    server, target = fake_server.start(fake)
    monkeypatch.setenv("NEARFIELD_TARGET", target)

    def run(*arguments):
        code = main(["embed", *(str(one) for one in arguments)])
        out, err = capsys.readouterr()
        return code, out, err

    yield run
    server.stop(0).wait()


@pytest.fixture
def texts(tmp_path):
    path = tmp_path / "texts.jsonl"
    path.write_text("".join(json.dumps({"text": text, "n": index}) + "\n" for index, text in enumerate(TEXTS)), "utf-8")
    return path


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    (folder / "deep").mkdir(parents=True)
    for name, size in (("b.JPG", 2), ("a.png", 3), ("deep/c.webp", 4), ("notes.txt", 9)):
        (folder / name).write_bytes(b"i" * size)
    return folder


def read(path):
    if path.suffix == ".parquet":
        return pq.read_table(path).to_pylist()
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_sparse(run, texts, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    code, _, err = run(texts, "--out", out, "--sparse", "--id-field", "n")
    assert (code, "5 rows" in err) == (0, True), err
    rows = read(out)
    assert rows[0] == {"row": 0, "id": 0, "indices": [97, 98], "values": [2.0, 1.0]}
    assert (rows[1]["indices"], rows[4]["indices"]) == ([], [252])
    assert [one["id"] for one in rows] == [0, 1, 2, 3, 4]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_sparse_with_terms(run, fake, texts, tmp_path, suffix):
    fake.bad_texts["hello world"] = "no good"
    out = tmp_path / f"out.{suffix}"
    arguments = (texts, "--out", out, "--sparse", "--terms", "--truncate", "start", "--on-error", "skip")
    code, _, err = run(*arguments)
    assert (code, "1 skipped" in err) == (3, True), err
    rows = read(out)
    assert rows[0] == {"row": 0, "indices": [97, 98], "values": [2.0, 1.0], "terms": ["a", "b"]}
    assert [(one["row"], one["terms"]) for one in rows[1:]] == [(1, []), (3, ["z"]), (4, ["ü"])]
    assert fake.requests[-1].truncate == 2
    assert json.loads(run(texts, "--out", "-", "--sparse", "--terms", "--limit", "1")[1])["terms"] == ["a", "b"]


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_an_unfinished_run_with_terms_is_gone_on_with(run, fake, tmp_path, suffix):
    fake.model.vocab_size = 200  # so that eight texts with all their terms fit a reply
    path, out = tmp_path / "texts.txt", tmp_path / f"out.{suffix}"
    path.write_text("".join(f"{chr(97 + index % 26)}{index}\n" for index in range(60)), "utf-8")
    for _ in range(3):
        fake.fail("EmbedSparse", None, fake_server.make_status(grpc.StatusCode.NOT_FOUND, "gone"))
        assert run(path, "--out", out, "--sparse", "--terms", "--batch-size", "8")[0] == 1
    assert (tmp_path / f"out.{suffix}.partial.terms.json").exists()
    code, _, err = run(path, "--out", out, "--sparse", "--terms")
    assert (code, "24 rows from before" in err) == (0, True), err
    assert [sorted(one["terms"]) for one in read(out)] == [
        sorted({chr(97 + index % 26), *str(index)}) for index in range(60)
    ]
    assert not list(tmp_path.glob("*partial*"))


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_a_vector_per_token(run, texts, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    code, _, err = run(texts, "--out", out, "--multi")
    assert code == 0, err
    rows = read(out)
    assert rows[0] == {
        "row": 0,
        "token_ids": [97, 97, 98],
        "embeddings": [[97, 1, 0, 0], [97, 1, 0, 0], [98, 1, 0, 0]],
    }
    assert [len(one["embeddings"]) for one in rows] == [len(text) for text in TEXTS]


def test_vectors_of_tokens_as_base64(run, texts, tmp_path):
    assert run(texts, "--out", tmp_path / "out.jsonl", "--multi", "--encoding", "base64")[0] == 0
    first = read(tmp_path / "out.jsonl")[0]
    assert (first["dtype"], first["shape"]) == ("float32", [3, 4])
    vectors = np.frombuffer(base64.b64decode(first["embeddings"]), "<f4").reshape(first["shape"])
    assert vectors[:, 0].tolist() == [97, 97, 98]


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_chunks(run, fake, texts, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    code, _, err = run(texts, "--out", out, "--chunk", "4", "--overlap", "1", "--keep", "n")
    assert (code, "5 rows" in err) == (0, True), err
    rows = read(out)
    assert [one["row"] for one in rows] == [one["n"] for one in rows] == [0, 1, 2, 2, 2, 3, 3, 3, 4]
    assert [one["chunk"] for one in rows] == [0, 0, 0, 1, 2, 0, 1, 2, 0]
    assert [TEXTS[one["row"]][one["start"] : one["end"]] for one in rows[2:5]] == ["hell", "o wo", "rld"]
    assert [one["embedding"][0] for one in rows] == [3, 0, 4, 4, 3, 4, 4, 1, 1]
    assert rows[2]["token_count"] == 6
    (sent,) = [one.options.chunking for one in fake.requests if getattr(one, "options", None) and not one.inputs]
    assert (sent.max_tokens, sent.overlap_tokens, sent.pooling) == (4, 1, 1)


def test_chunks_as_npy_tell_their_rows(run, texts, tmp_path):
    assert run(texts, "--out", tmp_path / "out.npy", "--chunk", "4", "--output-dtype", "float16")[0] == 0
    vectors = np.load(tmp_path / "out.npy")
    assert (vectors.shape, vectors.dtype) == ((9, 4), np.float16)
    assert np.load(tmp_path / "out.npy.rows.npy").tolist() == [0, 1, 2, 2, 2, 3, 3, 3, 4]
    assert {one.name for one in tmp_path.iterdir()} == {"texts.jsonl", "out.npy", "out.npy.rows.npy"}


def test_pooled_chunks_are_plain_rows(run, texts, tmp_path):
    assert run(texts, "--out", tmp_path / "out.npy", "--chunk", "0", "--chunk-pooling", "mean")[0] == 0
    assert np.load(tmp_path / "out.npy").shape == (5, 4)


def test_lines_to_standard_output(run, texts):
    _, out, _ = run(texts, "--out", "-", "--sparse", "--limit", "1")
    assert json.loads(out) == {"row": 0, "indices": [97, 98], "values": [2.0, 1.0]}
    _, out, _ = run(texts, "--out", "-", "--chunk", "4")
    assert [json.loads(line)["chunk"] for line in out.splitlines()] == [0, 0, 0, 1, 2, 0, 1, 2, 0]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        *((f"out.{suffix}", options) for suffix in ("jsonl", "parquet") for options in (["--sparse"], ["--multi"])),
        *((f"out.{suffix}", ["--chunk", "3"]) for suffix in ("jsonl", "parquet", "npy")),
    ],
    ids=str,
)
def test_an_unfinished_run_is_gone_on_with(run, fake, tmp_path, monkeypatch, name, options):
    monkeypatch.setattr(ragged, "_GROUP_ROWS", 7)
    path = tmp_path / "texts.txt"
    path.write_text("".join(f"{'x' * (index % 8)}{index}\n" for index in range(60)), "utf-8")
    assert run(path, "--out", tmp_path / f"whole.{name}", *options)[0] == 0
    for _ in range(3):
        fake.stream_script.extend([*[None] * 14, fake_server.make_status(grpc.StatusCode.NOT_FOUND, "gone")])
        code, _, err = run(path, "--out", tmp_path / name, *options, "--batch-size", "1")
        assert (code, "run the same command again" in err) == (1, True), err
        fake.stream_script.clear()
    code, _, err = run(path, "--out", tmp_path / name, *options)
    assert (code, "from before" in err) == (0, True), err
    if name == "out.npy":
        assert (tmp_path / name).read_bytes() == (tmp_path / f"whole.{name}").read_bytes()
    else:
        assert read(tmp_path / name) == read(tmp_path / f"whole.{name}")
    assert not list(tmp_path.glob("*partial*"))


def test_an_unfinished_run_of_another_kind_is_kept(run, fake, texts, tmp_path):
    fake.stream_script.extend([None, fake_server.make_status(grpc.StatusCode.NOT_FOUND, "gone")])
    assert run(texts, "--out", tmp_path / "out.jsonl", "--sparse", "--batch-size", "1")[0] == 1
    code, _, err = run(texts, "--out", tmp_path / "out.jsonl", "--multi")
    assert (code, "with output sparse, not multi" in err) == (2, True), err


def test_rows_that_are_skipped(run, fake, texts, tmp_path):
    fake.bad_texts["hello world"] = "no good"
    code, _, _ = run(texts, "--out", tmp_path / "out.parquet", "--multi", "--on-error", "skip")
    assert code == 3
    assert [one["row"] for one in read(tmp_path / "out.parquet")] == [0, 1, 3, 4]
    assert read(tmp_path / "out.parquet.errors.jsonl")[0]["row"] == 2


@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_images_of_a_folder_and_by_name(run, pictures, tmp_path, suffix):
    out = tmp_path / f"out.{suffix}"
    code, _, err = run("--images", pictures / "deep", pictures / "a.png", pictures, "--out", out)
    assert (code, "4 rows" not in err, "images/s" in err) == (0, True, True), err
    rows = read(out)
    names = ["deep/c.webp", "a.png", "a.png", "b.JPG", "deep/c.webp"]
    assert [one["path"] for one in rows] == [str(pictures / name) for name in names]
    assert [one["embedding"][0] for one in rows] == [4, 3, 3, 2, 4]


def test_images_as_npy_and_to_standard_output(run, pictures, tmp_path):
    assert run("--images", pictures, "--out", tmp_path / "out.npy")[0] == 0
    assert np.load(tmp_path / "out.npy")[:, 0].tolist() == [3, 2, 4]
    _, out, _ = run("--images", pictures, "--out", "-")
    assert json.loads(out.splitlines()[0])["path"] == str(pictures / "a.png")


def test_an_image_that_goes_is_skipped_or_ends_the_run(run, pictures, tmp_path, monkeypatch):
    monkeypatch.setattr("nearfield_server.cli.files.images.ImageSource.rows", with_a_gap)
    code, _, err = run("--images", pictures, "--out", tmp_path / "out.npy")
    assert (code, "gone.png can't be read: No such file" in err) == (2, True), err
    code, _, _ = run("--images", pictures, "--out", tmp_path / "out.jsonl", "--on-error", "skip", "--overwrite")
    assert (code, len(read(tmp_path / "out.jsonl"))) == (3, 2)


def with_a_gap(self, *, skip=0, fields=()):
    from nearfield_server.cli.files.rows import Row  # noqa: PLC0415

    for number, path in enumerate(self._files):
        shown = "gone.png" if number == 1 else str(path)
        yield Row(number, shown, None, shown, dict.fromkeys(fields, shown))


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["{texts}", "{texts}", "--out", "o.npy"], "one file of texts at a time"),
        (["{texts}", "--out", "o.jsonl", "--sparse", "--multi"], "one of them at a time"),
        (["{texts}", "--out", "o.npy", "--sparse"], "--sparse needs .parquet or .jsonl"),
        (["{texts}", "--out", "o.npy", "--multi"], "--multi needs .parquet or .jsonl"),
        (["{texts}", "--out", "o.jsonl", "--sparse", "--encoding", "base64"], "leave it out with --sparse"),
        (["{texts}", "--out", "o.jsonl", "--multi", "--output-dtype", "int8"], "--output-dtype is for dense vectors"),
        (["{texts}", "--out", "o.jsonl", "--sparse", "--dimensions", "2"], "--dimensions is for dense vectors"),
        (["{texts}", "--out", "o.jsonl", "--multi", "--terms"], "--terms goes with --sparse"),
        (["{texts}", "--out", "o.jsonl", "--overlap", "2"], "--overlap goes with --chunk"),
        (["{texts}", "--out", "o.jsonl", "--chunk", "9", "--multi"], "leave it out with --sparse, --multi"),
        (["--images", "--out", "o.jsonl"], "images can't come from stdin"),
        (["--images", "{folder}/none.png", "--out", "o.jsonl"], "no such file"),
        (["--images", "{empty}", "--out", "o.jsonl"], "holds no images (.jpg, .jpeg, .png, .webp)"),
        (["--images", "{texts}", "--out", "o.jsonl", "--keep", "n"], "images bring their path along"),
        (["{texts}", "--out", "o.jsonl", "--chunk", "4", "--id-field", "n", "--keep", "chunk"], "no column 'chunk'"),
    ],
)
def test_what_does_not_go_together(run, texts, tmp_path, monkeypatch, arguments, words):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    code, _, err = run(*(one.format(texts=texts, folder=tmp_path, empty=tmp_path / "empty") for one in arguments))
    assert (code, words in err) == (2, True), err


def test_what_the_model_does_not_do(run, fake, texts, pictures, tmp_path):
    fake.model.accepts_images = False
    fake.model.outputs.append(1)
    code, _, err = run("--images", pictures, "--out", tmp_path / "o.npy")
    assert (code, "model toy embeds no images" in err) == (2, True)
    code, _, err = run(texts, "--sparse", "--out", tmp_path / "o.jsonl")
    assert (code, "model toy gives dense, nothing sparse" in err) == (2, True)
