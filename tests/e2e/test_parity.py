"""The vectors are the reference implementation's, whatever else is in the batch and however they are asked for."""

import gzip
import json

import numpy as np
import pytest
from scipy.stats import spearmanr

from nearfield import Client

MEAN, LEAST, NEIGHBOURS = 0.9965, 0.979, 0.95
STS_B = 82.03


def neighbours_kept(rows, reference, k=10):
    def nearest(vectors):
        scores = vectors @ vectors.T
        np.fill_diagonal(scores, -2)
        return np.argsort(-scores, axis=1)[:, :k]

    pairs = zip(nearest(rows), nearest(reference), strict=True)
    return float(np.mean([len(set(a) & set(b)) / k for a, b in pairs]))


def sentences_of(folder):
    lines = (folder / "reference" / "sentences500.jsonl").read_text("utf-8").splitlines()
    return [json.loads(line)["text"] for line in lines], np.load(folder / "reference" / "embeddings_fp32.npy")


def assert_close_to_reference(client, texts, reference):
    rows = client.embed(texts)
    cosines = (rows * reference).sum(axis=1)
    kept = neighbours_kept(rows, reference)
    print(f"cosine mean {cosines.mean():.5f} min {cosines.min():.5f}, top-10 neighbours kept {kept:.4f}")
    assert cosines.mean() >= MEAN
    assert cosines.min() >= LEAST
    assert kept >= NEIGHBOURS


def assert_independent_of_company(client, texts, model=""):
    together = client.embed(texts, model=model)
    by_32 = np.concatenate([client.embed(texts[at : at + 32], model=model) for at in range(0, len(texts), 32)])
    alone = np.array([client.embed(text, model=model) for text in texts])
    streamed = np.empty_like(together)
    for result in client.embed_stream(texts, model=model):
        streamed[result.index] = result.embedding
    worst = max(float(np.abs(one - alone).max()) for one in (together, by_32, streamed))
    print(f"greatest difference {worst:.1e}")
    assert worst <= 1e-5


@pytest.mark.slow
def test_golden_sentences(client, golden):
    assert_close_to_reference(client, golden.texts, golden.rows)


@pytest.mark.slow
def test_golden_sentences_alone_in_batches_and_streamed(client, golden):
    assert_independent_of_company(client, golden.texts)


@pytest.mark.slow
def test_the_500_shared_sentences(client, shared_data):
    texts, reference = sentences_of(shared_data)
    assert_close_to_reference(client, texts, reference)
    assert_independent_of_company(client, texts)


def sts_b(client, folder, model=""):
    with gzip.open(folder / "sts" / "stsb_en_test.jsonl.gz", "rt", encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    left, right = (client.embed([row[key] for row in rows], model=model) for key in ("s1", "s2"))
    score = 100 * spearmanr((left * right).sum(axis=1), [row["score"] for row in rows]).statistic
    print(f"STS-B {score:.3f}")
    return score


@pytest.mark.slow
def test_sts_b(client, shared_data):
    assert sts_b(client, shared_data) == pytest.approx(STS_B, abs=0.4)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_fp32_export_equals_the_reference(start_server, fp32_folder, golden):
    with Client(start_server(models={"fp32": str(fp32_folder)}).target) as client:
        rows = client.embed(golden.texts)
        print(f"fp32: least cosine {(rows * golden.rows).sum(axis=1).min():.7f}")
        assert (rows * golden.rows).sum(axis=1).min() >= 0.99999
        assert_independent_of_company(client, golden.texts)


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_the_fp32_export_on_shared_data(start_server, fp32_folder, shared_data):
    with Client(start_server(models={"fp32": str(fp32_folder)}).target) as client:
        texts, reference = sentences_of(shared_data)
        assert (client.embed(texts) * reference).sum(axis=1).min() >= 0.99999
        assert sts_b(client, shared_data) == pytest.approx(STS_B, abs=0.01)


def test_paraphrases_win(client, paraphrases):
    a, b, c = (client.embed([row[key] for row in paraphrases]) for key in "abc")
    assert ((a * b).sum(axis=1) > (a * c).sum(axis=1)).all()


def test_tokens_are_those_of_the_reference(client, golden, golden_tokens):
    for text, expected, seen in zip(golden.texts, golden_tokens, client.tokenize(golden.texts), strict=True):
        assert len(seen.ids) == expected["n_tokens"], text
        assert list(seen.ids[:255]) == expected["ids"][:255]


@pytest.mark.slow
def test_tokens_of_the_500_shared_sentences(client, shared_data):
    texts, _ = sentences_of(shared_data)
    lines = (shared_data / "reference" / "tokens.jsonl").read_text("utf-8").splitlines()
    for line, seen in zip(map(json.loads, lines), client.tokenize(texts), strict=True):
        assert len(seen.ids) == line["n_tokens"]
        assert list(seen.ids[:255]) == line["ids"][:255]
