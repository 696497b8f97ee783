"""Quality on public retrieval sets, through the server."""

import gzip
import json

import numpy as np
import pytest

import nearfield


def rows_of(path):
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def ndcg(ranked, relevant, depth=10):
    gain = sum(1 / np.log2(rank + 2) for rank, one in enumerate(ranked[:depth]) if one in relevant)
    return gain / sum(1 / np.log2(rank + 2) for rank in range(min(depth, len(relevant))))


@pytest.mark.slow
@pytest.mark.long
@pytest.mark.timeout(300)
@pytest.mark.parametrize(("name", "dense", "recall"), [("cranfield", 0.395, 0.776), ("scifact1200", 0.776, 0.986)])
def test_hybrid_is_no_worse_than_either(server, shared_data, name, dense, recall):
    corpus = rows_of(shared_data / "retrieval" / f"{name}_corpus.jsonl.gz")
    queries = rows_of(shared_data / "retrieval" / f"{name}_queries.jsonl.gz")
    texts = {str(one["id"]): f"{one['title']} {one['text']}".strip() for one in corpus}
    with nearfield.Client(server.target) as client:
        made = client.create_collection(name)
        made.upsert(({"id": id_, "body": text} for id_, text in texts.items() if text), text="body", wait=True)
        quality = {}
        for mode in ("dense", "keyword", "hybrid"):
            found = []
            for query in queries:
                ranked = [hit.id for hit in made.search(query["text"], top_k=100, mode=mode, with_text=False)]
                relevant = set(map(str, query["rel"]))
                found.append((ndcg(ranked, relevant), len(relevant & set(ranked)) / len(relevant)))
            quality[mode] = np.mean(found, axis=0)
    print(name, {mode: one.round(4).tolist() for mode, one in quality.items()})
    assert quality["dense"] == pytest.approx([dense, recall], abs=0.01)
    assert quality["hybrid"][0] >= max(quality["dense"][0], quality["keyword"][0])
