"""Near duplicates on labelled pairs (DBLP-ACM, titles with authors and venue), and what the levels make of them."""

import gzip
import json

import numpy as np
import pytest
from sklearn.metrics import average_precision_score

import nearfield
from nearfield_server.core.dedup.lexical import words_of
from nearfield_server.core.dedup.seen import agree

pytestmark = [pytest.mark.slow, pytest.mark.long, pytest.mark.timeout(300)]


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def f1(labels, found):
    right = (labels & found).sum()
    return 2 * right / (labels.sum() + found.sum())


@pytest.fixture(scope="module")
def data(shared_data):
    folder = shared_data / "dedup"
    records, pairs = (rows_of(folder / f"dblp_acm_{name}.jsonl.gz") for name in ("records", "pairs"))
    scores = json.loads((shared_data / "reference.json").read_text("utf-8"))["scores"]
    return records, pairs, scores["dedup/dblp_acm"]


@pytest.fixture(scope="module")
def judged(server, data):
    """Texts of the pairs, similarities, labels, and which are for testing."""
    records, pairs, _ = data
    texts = {one["id"]: one["text"] for one in records}
    with nearfield.Client(server.target) as client:
        found = client.embed_stream(texts.values(), input_type="clustering", normalize=True, ordered=True)
        rows = dict(zip(texts, (one.embedding for one in found), strict=True))
    similarities = np.array([rows[one["a"]] @ rows[one["b"]] for one in pairs])
    labels, held_out = (
        np.array(one) for one in zip(*((p["label"] == 1, p["split"] == "test") for p in pairs), strict=True)
    )
    return [(texts[one["a"]], texts[one["b"]]) for one in pairs], similarities, labels, held_out


def test_average_precision_is_that_of_the_reference(judged, data):
    _, similarities, labels, held_out = judged
    every = average_precision_score(labels, similarities)
    test = average_precision_score(labels[held_out], similarities[held_out])
    print(
        f"\naverage precision: all pairs {every:.4f} ({data[2]['ap']:.4f}), test {test:.4f} ({data[2]['ap_test']:.4f})"
    )
    assert every >= data[2]["ap"] - 0.002
    assert test >= data[2]["ap_test"] - 0.002


def test_the_lexical_check_finds_more_and_errs_less(judged, data):
    texts, similarities, labels, held_out = judged
    threshold = data[2]["threshold"]
    plain = f1(labels[held_out], similarities[held_out] >= threshold)
    checked = np.array(
        [
            agree(words_of(one), words_of(other), similarity, threshold)
            for (one, other), similarity in zip(texts, similarities, strict=True)
        ]
    )
    both = f1(labels[held_out], checked[held_out])
    print(f"\nF1 of the test pairs at {threshold}: cosine {plain:.4f}, with lexical_check {both:.4f}")
    assert plain >= data[2]["f1_test"] - 0.005
    assert both >= 0.94


def test_a_stream_finds_what_pairs_say(server, data):
    records, pairs, _ = data
    ids = [one["id"] for one in records]
    matches = {}
    for one in pairs:
        if one["label"]:
            matches.setdefault(one["b"], set()).add(one["a"])
    with nearfield.Client(server.target) as client:
        options = {"ids": ids, "lexical_check": True, "level": "normal", "compare_all": True}
        verdicts = dict(zip(ids, client.deduplicate((one["text"] for one in records), **options), strict=True))
    found = {id_: one.of for id_, one in verdicts.items() if one.kind != "unique"}
    right = sum(found.get(b) in of for b, of in matches.items())
    assert right / len(matches) >= 0.88
    assert right / sum(id_.startswith("B") for id_ in found) >= 0.9
