"""Texts into a collection, beside the same texts embedded over one stream: what storing costs.

    python benchmarks/search_ingest.py [--texts 2000] [--rounds 3] [--workload short,mixed,long] [--json OUT]

Starts `nearfield serve` on a temporary data folder. In each round every way takes the same texts of a workload, one
way after the other: `stream` is `embed_stream`, which keeps nothing; `upsert` is `Collection.upsert` of rows; `index`
is the command `nearfield index` on a JSONL file, its start included. Each goes into a new collection. Ratios are to
`stream` in the same round. Figures depend on what else the machine does: quote them from an idle one.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import loads

import nearfield

NEARFIELD = str(Path(sys.executable).with_name("nearfield"))


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=2000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workload", default=",".join(loads.WORKLOADS), help="of " + ", ".join(loads.WORKLOADS))
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        target = f"unix:{folder}/grpc.sock"
        serve = [NEARFIELD, "serve", "--listen", target, "--http", "", "--data-dir", folder, "--log-level", "warning"]
        server = subprocess.Popen(serve)
        try:
            with nearfield.Client(target) as client:
                client.wait_ready(60)
                for workload in arguments.workload.split(","):
                    texts = _many(loads.texts_of(workload), arguments.texts)
                    rounds = [_round(client, target, Path(folder), texts) for _ in range(arguments.rounds)]
                    results[workload] = rounds
                    _show(workload, rounds)
        finally:
            server.terminate()
            server.wait(60)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


def _many(pool: Sequence[str], count: int) -> list[str]:
    return [f"{pool[at % len(pool)]} {at}" for at in range(count)]


def _round(client: nearfield.Client, target: str, folder: Path, texts: Sequence[str]) -> dict[str, float]:
    """Give texts a second of each way."""
    file = folder / "texts.jsonl"
    file.write_text("".join(json.dumps({"id": str(at), "text": one}) + "\n" for at, one in enumerate(texts)))

    def stream() -> None:
        for one in client.embed_stream(texts, priority="bulk"):
            if one.error is not None:
                raise one.error

    def upsert() -> None:
        rows = ({"id": str(at), "text": one} for at, one in enumerate(texts))
        client.create_collection("upsert").upsert(rows)

    def index() -> None:
        command = [NEARFIELD, "index", str(file), "--collection", "index", "--id-field", "id", "--target", target]
        subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    figures = {}
    for way in (stream, upsert, index):
        started = time.perf_counter()
        way()
        figures[way.__name__] = len(texts) / (time.perf_counter() - started)
    for name in ("upsert", "index"):
        client.delete_collection(name)
    return figures


def _show(workload: str, rounds: Sequence[dict[str, float]]) -> None:
    for way in rounds[0]:
        rate = statistics.median(one[way] for one in rounds)
        ratios = [one[way] / one["stream"] for one in rounds]
        spread = f"{min(ratios):.2f} to {max(ratios):.2f}"
        print(
            f"{workload:8}{way:8}{rate:8.0f} texts/s  {statistics.median(ratios):.2f} of stream ({spread})", flush=True
        )


if __name__ == "__main__":
    main()
