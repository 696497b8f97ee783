"""How good search is on labelled sets, through the server: NDCG@10 and Recall@100 by vectors, by words, by both.

    python benchmarks/search_quality.py FOLDER [--sets scifact1200,scifact,cranfield] [--rerank NAME=DIR] [--json OUT]

    python benchmarks/search_quality.py FOLDER [--sets cranfield,scifact1200,scifact] [--rerank NAME=DIR] [--json OUT]
relevant ids). Starts `nearfield serve` on a temporary data folder; with `--rerank` that model looks at the best 50 too.
"""

from __future__ import annotations

import argparse
import gzip
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

import nearfield

NEARFIELD = str(Path(sys.executable).with_name("nearfield"))


def main() -> None:
    """Measure each set and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--sets", default="cranfield,scifact1200,scifact")
    parser.add_argument("--rerank", default="", metavar="NAME=DIR", help="a folder of a cross-encoder")
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        target = f"unix:{folder}/grpc.sock"
        models = ["--model", "default=builtin", "--model", arguments.rerank] if arguments.rerank else []
        serve = [NEARFIELD, "serve", "--listen", target, "--http", "", "--data-dir", folder, "--log-level", "warning"]
        server = subprocess.Popen([*serve, *models])
        try:
            with nearfield.Client(target) as client:
                client.wait_ready(60)
                for name in arguments.sets.split(","):
                    results[name] = _measure(client, arguments.folder, name, arguments.rerank.partition("=")[0])
                    for way, (ndcg, recall) in results[name].items():
                        print(f"{name:14}{way:16}NDCG@10 {ndcg:.4f}  Recall@100 {recall:.4f}", flush=True)
        finally:
            server.terminate()
            server.wait(60)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


def _measure(client: nearfield.Client, folder: Path, name: str, reranker: str) -> dict[str, tuple[float, float]]:
    """Give NDCG@10 and Recall@100, means over all queries, by the way of searching."""
    queries = _rows(folder / f"{name}_queries.jsonl.gz")
    texts = ((one["id"], f"{one['title']} {one['text']}".strip()) for one in _rows(folder / f"{name}_corpus.jsonl.gz"))
    collection = client.create_collection(name)
    collection.upsert({"id": str(id_), "text": text} for id_, text in texts if text)
    ways: dict[str, dict[str, Any]] = {mode: {"mode": mode} for mode in ("dense", "keyword", "hybrid")}
    if reranker:
        ways["hybrid, reranked"] = {"mode": "hybrid", "rerank": reranker, "rerank_candidates": 50}
    figures = {}
    for way, options in ways.items():
        found = []
        for query in queries:
            hits = collection.search(query["text"], top_k=100, with_text=False, **options)
            ranked, relevant = [hit.id for hit in hits], set(map(str, query["rel"]))
            found.append((_ndcg(ranked, relevant), len(relevant & set(ranked)) / len(relevant)))
        ndcg, recall = np.mean(found, axis=0)
        figures[way] = float(ndcg), float(recall)
    return figures


def _ndcg(ranked: Sequence[object], relevant: set[str], depth: int = 10) -> float:
    gain = sum(1 / np.log2(rank + 2) for rank, one in enumerate(ranked[:depth]) if one in relevant)
    return float(gain / sum(1 / np.log2(rank + 2) for rank in range(min(depth, len(relevant)))))


def _rows(path: Path) -> list[dict[str, Any]]:
    with gzip.open(path, "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


if __name__ == "__main__":
    main()
