"""Scores are those of sentence-transformers' CrossEncoder and of transformers' pipelines."""

import numpy as np
import pytest
from foreign import unwarned

pytestmark = pytest.mark.slow
TOLERANCE = 1e-4
RERANKERS = ["reranker-raw", "reranker-sigmoid", "reranker-xlmr", "reranker-modern"]
CLASSIFIERS = ["topics", "sentiment", "nli"]
QUERIES = (2, 10, 84, 128)  # two questions, a text of half the limit, Japanese
LABELS = ["sports", "weather", "cooking", "a tea party"]


@pytest.fixture(scope="session")
def cross_encoder(zoo):
    """Give scores of a query with each document, each pair alone: `cross_encoder(name, query, documents, raw)`."""
    known = {}

    def scores(name, query, documents, *, raw=False):
        with unwarned():
            import torch  # noqa: PLC0415 - seconds
            from sentence_transformers import CrossEncoder  # noqa: PLC0415

            if name not in known:
                known[name] = CrossEncoder(str(zoo[name]), device="cpu", local_files_only=True)
            activation = torch.nn.Identity() if raw else None
            pairs = [(query, one) for one in documents]
            return known[name].predict(pairs, batch_size=1, activation_fn=activation, show_progress_bar=False)

    return scores


@pytest.fixture(scope="session")
def pipeline(zoo):
    """Give a pipeline of transformers: `pipeline(task, name)`."""

    def made(task, name, **options):
        with unwarned():
            from transformers import pipeline as make  # noqa: PLC0415 - seconds

            return make(task, model=str(zoo[name]), tokenizer=str(zoo[name]), device="cpu", **options)

    return made


@pytest.mark.parametrize(
    ("name", "raw"), [*((name, False) for name in RERANKERS), ("reranker-raw", True), ("reranker-sigmoid", True)]
)
def test_rerank(served, cross_encoder, texts, name, raw):
    documents = [*texts[::3], *texts[105:113], *texts[-3:]]  # those without tokens and the longest among them
    for at in QUERIES:
        expected = cross_encoder(name, texts[at], documents, raw=raw)
        ranked = served.client.rerank(texts[at], documents, model=name, raw_scores=raw)
        scores = np.empty(len(documents))
        for one in ranked:
            scores[one.index] = one.score
        print(f"greatest difference {np.abs(scores - expected).max():.1e}")
        assert np.abs(scores - expected).max() <= TOLERANCE
        assert [one.score for one in ranked] == sorted((one.score for one in ranked), reverse=True)


def test_rerank_where_query_and_document_are_both_over_the_limit(served, cross_encoder, texts):
    long = [text for text in texts if len(text) > 500]
    for query in long:
        expected = cross_encoder("reranker-raw", query, long)
        scores = {one.index: one.score for one in served.client.rerank(query, long, model="reranker-raw")}
        assert [scores[at] for at in range(len(long))] == pytest.approx(expected, abs=TOLERANCE)


@pytest.mark.parametrize("name", RERANKERS)
def test_rerank_one_document_alone(served, cross_encoder, texts, name):
    for at in range(0, len(texts), 9):
        (expected,) = cross_encoder(name, texts[2], [texts[at]])
        (one,) = served.client.rerank(texts[2], [texts[at]], model=name)
        assert one.score == pytest.approx(expected, abs=TOLERANCE)


def by_label(scores):
    return {one.label: one.score for one in scores}


@pytest.mark.parametrize("name", CLASSIFIERS)
def test_classify_with_the_labels_of_the_model(served, pipeline, texts, name):
    classify = pipeline("text-classification", name, top_k=None)
    found = served.client.classify(texts, model=name)
    for text, scores in zip(texts, found, strict=True):
        (expected,) = classify([text], truncation=True)
        assert by_label(scores) == pytest.approx({one["label"]: one["score"] for one in expected}, abs=TOLERANCE)
        assert [one.score for one in scores] == sorted((one.score for one in scores), reverse=True)
        (alone,) = served.client.classify([text], model=name)
        assert by_label(alone) == pytest.approx(by_label(scores), abs=1e-6)


def test_classify_pairs(served, pipeline, texts):
    classify = pipeline("text-classification", "nli", top_k=None)
    # The pipeline takes an empty second text for none. Pairs of two texts over the limit have a test of their own.
    both = [(text, pair) for text, pair in zip(texts, texts[::-1], strict=True) if pair and len(text + pair) < 2000]
    found = served.client.classify([text for text, _ in both], pairs=[pair for _, pair in both], model="nli")
    for (text, pair), scores in zip(both, found, strict=True):
        expected = classify({"text": text, "text_pair": pair}, truncation=True)
        assert by_label(scores) == pytest.approx({one["label"]: one["score"] for one in expected}, abs=TOLERANCE)


def test_raw_scores_of_a_classifier(served, pipeline, texts):
    classify = pipeline("text-classification", "sentiment", top_k=None, function_to_apply="none")
    for text, scores in zip(texts, served.client.classify(texts, model="sentiment", raw_scores=True), strict=True):
        (expected,) = classify([text], truncation=True)
        assert by_label(scores) == pytest.approx({one["label"]: one["score"] for one in expected}, abs=TOLERANCE)


@pytest.mark.parametrize("labels", [LABELS, LABELS[:1]], ids=["four", "one"])
@pytest.mark.parametrize("multi_label", [False, True])
def test_labels_of_the_request_by_entailment(served, pipeline, texts, labels, multi_label):
    classify = pipeline("zero-shot-classification", "nli")
    chosen = [text for text in texts if text.strip()][:40]  # the pipeline takes no empty text
    found = served.client.classify(chosen, model="nli", labels=labels, multi_label=multi_label)
    for text, scores in zip(chosen, found, strict=True):
        expected = classify(text, labels, multi_label=multi_label)
        wanted = dict(zip(expected["labels"], expected["scores"], strict=True))
        assert by_label(scores) == pytest.approx(wanted, abs=TOLERANCE)


def test_labels_of_the_request_by_similarity(served, zoo, texts):
    with unwarned():
        from sentence_transformers import SentenceTransformer  # noqa: PLC0415 - seconds

        model = SentenceTransformer(str(zoo["bert-cls"]), device="cpu", local_files_only=True)
        expected = model.similarity(
            model.encode(texts, batch_size=1), model.encode([f"It is about {one}" for one in LABELS])
        )
    options = {"model": "bert-cls", "labels": LABELS, "label_template": "It is about {}"}
    for row, scores in zip(expected.numpy(), served.client.classify(texts, raw_scores=True, **options), strict=True):
        assert by_label(scores) == pytest.approx(dict(zip(LABELS, row.tolist(), strict=True)), abs=TOLERANCE)
    for scores in served.client.classify(texts[:20], **options):
        assert sum(one.score for one in scores) == pytest.approx(1.0, abs=1e-5)


def test_what_the_models_are_said_to_give(states):
    for name in [*RERANKERS, *CLASSIFIERS]:
        assert states[name].outputs == ("scores",)
    assert states["topics"].labels == ("sports", "finance", "weather", "cooking", "travel")
    assert states["nli"].labels == ("contradiction", "entailment", "neutral")
    assert len(states["reranker-raw"].labels) == 1
