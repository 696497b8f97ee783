"""Real weights that packages carry: the vectors are the reference's, and they find and compare as they should."""

import gzip
import json

import numpy as np
import pytest
from foreign import unwarned
from scipy.stats import spearmanr

from nearfield import Client

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def folders():
    with unwarned():
        import real  # noqa: PLC0415 - seconds of torch

        return {"splade": real.splade(), "paraphrase": real.paraphrase(), "e5": real.multilingual()}


@pytest.fixture(scope="module")
def client(folders, start_server):
    handle = start_server(models={name: str(folder) for name, folder in folders.items()})
    with Client(handle.target, timeout=600.0) as client:
        yield client


def rows_of(file):
    with gzip.open(file, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def sts_b(client, file, model, **options):
    rows = rows_of(file)
    left, right = (client.embed([row[key] for row in rows], model=model, **options) for key in ("s1", "s2"))
    unit = [side / np.linalg.norm(side, axis=1, keepdims=True) for side in (left, right)]
    return spearmanr((unit[0] * unit[1]).sum(axis=1), [row["score"] for row in rows]).statistic


def ndcg(scores, relevant, k=10):
    best = np.argsort(-scores, kind="stable")[:k]
    discounts = 1 / np.log2(np.arange(k) + 2)
    gained = sum(discount for discount, at in zip(discounts, best, strict=True) if at in relevant)
    return gained / discounts[: min(k, len(relevant))].sum()


def test_splade_finds_documents(client, shared_data):
    corpus = rows_of(shared_data / "retrieval" / "cranfield_corpus.jsonl.gz")
    queries = rows_of(shared_data / "retrieval" / "cranfield_queries.jsonl.gz")
    position = {one["id"]: at for at, one in enumerate(corpus)}
    documents = client.embed_sparse([f"{one['title']} {one['text']}" for one in corpus], model="splade").to_scipy()
    asked = client.embed_sparse([one["text"] for one in queries], model="splade", input_type="query").to_scipy()
    scores = (asked @ documents.T).toarray()
    found = [
        ndcg(row, {position[one] for one in query["rel"] if one in position})
        for row, query in zip(scores, queries, strict=True)
        if query["rel"]
    ]
    print(f"Cranfield, NDCG@10 {np.mean(found):.4f}, {documents.nnz / len(corpus):.0f} weights a document")
    assert np.mean(found) == pytest.approx(0.376, abs=0.005)


def test_splade_is_the_reference(client, folders, golden):
    with unwarned():
        import torch  # noqa: PLC0415 - seconds
        from transformers import AutoTokenizer, BertForMaskedLM  # noqa: PLC0415

        tokenizer = AutoTokenizer.from_pretrained(folders["splade"])
        model = BertForMaskedLM.from_pretrained(folders["splade"]).eval()
    found = client.embed_sparse(golden.texts, model="splade").to_scipy().toarray()
    for row, text in zip(found, golden.texts, strict=True):
        with torch.no_grad():
            logits = model(**tokenizer(text, truncation=True, return_tensors="pt")).logits[0]
        expected = torch.log1p(torch.relu(logits)).max(dim=0).values.numpy()
        assert np.abs(row - expected).max() <= 1e-4


def test_a_model_whose_outputs_have_no_telling_names(client, folders, golden, shared_data):
    import onnxruntime  # noqa: PLC0415 - a quarter of a second
    from tokenizers import Tokenizer  # noqa: PLC0415

    session = onnxruntime.InferenceSession(next(folders["paraphrase"].glob("*.onnx")))
    tokenizer = Tokenizer.from_file(str(folders["paraphrase"] / "tokenizer.json"))
    tokenizer.no_padding()
    tokenizer.enable_truncation(128)
    rows = client.embed(golden.texts, model="paraphrase")
    for row, text in zip(rows, golden.texts, strict=True):
        ids = np.array([tokenizer.encode(text).ids])
        (expected,) = session.run(["461"], {"input_ids": ids, "attention_mask": np.ones_like(ids)})
        assert np.abs(row - expected[0]).max() <= 1e-4
    score = sts_b(client, shared_data / "sts" / "stsb_en_test.jsonl.gz", "paraphrase")
    print(f"STS-B {score:.4f}")
    assert score == pytest.approx(0.824, abs=0.002)


def test_a_multilingual_model(client, folders, shared_data):
    pairs = rows_of(shared_data / "multilingual" / "tatoeba_open.jsonl.gz")
    texts = [row["text"] for row in pairs[::50]]
    with unwarned():
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds

        model = SentenceTransformer(str(folders["e5"]), device="cpu", local_files_only=True)
        expected = model.encode(texts, batch_size=1, prompt_name="query")
    rows = client.embed(texts, model="e5", input_type="query")
    print(f"greatest difference {np.abs(rows - expected).max():.1e}")
    assert np.abs(rows - expected).max() <= 1e-4


@pytest.mark.parametrize(("language", "least"), [("zh", 0.780), ("de", 0.786), ("en", 0.837)])
def test_a_multilingual_model_compares(client, shared_data, language, least):
    score = sts_b(client, shared_data / "sts" / f"stsb_{language}_test.jsonl.gz", "e5", input_type="query")
    print(f"STS-B {language} {score:.4f}")
    assert score >= least
