"""The shipped folder, as files and as vectors."""

import hashlib
import json
from pathlib import Path

import numpy as np
import pytest
import yaml

from nearfield_server.export import verify

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "server/nearfield_server/builtin/all-MiniLM-L6-v2"
GOLDEN = ROOT / "tests/golden"


def read(path):
    return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]


@pytest.fixture(scope="module")
def manifest():
    return yaml.safe_load((FOLDER / "nearfield.yaml").read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def session():
    return verify.open_session(str(FOLDER / "onnx/model.onnx"))


def test_digests_are_those_of_the_files(manifest):
    for name, digest in manifest["sha256"].items():
        assert hashlib.sha256((FOLDER / name).read_bytes()).hexdigest() == digest, name


def test_the_folder_is_small_enough_to_ship():
    assert sum(path.stat().st_size for path in FOLDER.rglob("*")) < 24.5e6


def test_tokens_equal_the_reference(manifest):
    rows = read(GOLDEN / "sentences.jsonl")
    found = verify.tokenise(FOLDER / "tokenizer.json", [row["text"] for row in rows], manifest["max_tokens"])
    assert found == [row["ids"] for row in read(GOLDEN / "reference_tokens.jsonl")]


@pytest.mark.slow
def test_vectors_are_close_to_the_reference(session):
    ids = [row["ids"] for row in read(GOLDEN / "reference_tokens.jsonl")]
    parity = verify.compare(verify.embed(session, ids), np.load(GOLDEN / "reference_fp32.npy"))
    assert parity.cosine_mean >= 0.998
    assert parity.cosine_min >= 0.985
    assert parity.top10_kept >= 0.96


@pytest.mark.slow
def test_vectors_do_not_depend_on_the_batch(session):
    ids = [row["ids"] for row in read(GOLDEN / "reference_tokens.jsonl")]
    assert verify.batch_dependence(session, ids) <= 1e-6


@pytest.mark.slow
def test_a_paraphrase_is_nearer_than_shared_words(session, manifest):
    rows = read(GOLDEN / "paraphrases.jsonl")

    def vectors(key):
        texts = [row[key] for row in rows]
        return verify.embed(session, verify.tokenise(FOLDER / "tokenizer.json", texts, manifest["max_tokens"]))

    a, b, c = (vectors(key) for key in "abc")
    assert ((a * b).sum(axis=1) > (a * c).sum(axis=1)).all()
