"""Search through a server: ingest, build, latency, throughput, recall, memory, disk; beside the engine's library.

    python benchmarks/search_vectors.py vectors.npy FILE...
    python benchmarks/search_served.py vectors.npy [--points 100000] [--quantization int8,none] [--json OUT]
    python benchmarks/search_served.py vectors.npy --embed-during-build [--points 100000] [--json OUT]

Starts `nearfield serve` on a temporary data folder, stores the vectors over one UpsertStream with a payload of one
indexed integer, waits until all of them are in the graph, and starts the server anew. Then each load of `search_loads`
runs for some seconds in a process of its own, on the same cores as the server. `edge` is the engine's library called
directly, on a copy of the very shard that the server serves; ratios are to its queries one by one. Queries are
vectors of the set with a little noise; recall@10 is against exact search in numpy.

`--embed-during-build` embeds short texts, one call after the other, without and with a build of the index of all
points beside them. Figures depend on what else the machine does: quote them from an idle one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import queue
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import psutil
from search_loads import COLLECTION, FIELD, FILTERS, LIMIT
from search_vectors import Rows, spread, unit

import nearfield
from nearfield.v1 import search_pb2, search_pb2_grpc

QUERIES, MESSAGE_POINTS, WINDOW = 1000, 256, 4
HTTP = "127.0.0.1:18080"
LOADS = (
    *(("unary", "all", callers) for callers in (1, 4, 8, 16)),
    ("batch", "all", 16),
    ("stream", "all", 32),
    *(("unary", name, 1) for name in ("10%", "1%")),
    *(("unary", name, 8) for name in ("10%", "1%")),
    *(("edge", name, 1) for name in FILTERS),
    ("edge", "all", 16),
)


@dataclass(frozen=True)
class Served:
    """A server that runs."""

    process: subprocess.Popen[bytes]
    target: str
    serving_seconds: float
    """From the start of the process until it answers."""
    open_seconds: float
    """From the start of the process until the index answers, where that was waited for."""
    stub: search_pb2_grpc.SearchServiceStub

    def memory(self) -> dict[str, float]:
        """Give MiB of the server and of its worker."""
        server = psutil.Process(self.process.pid)
        workers = sum(one.memory_info().rss for one in server.children(recursive=True))
        return {"server_rss_mib": server.memory_info().rss / 2**20, "worker_rss_mib": workers / 2**20}


@contextmanager
def serve(folder: Path, *, ready: bool = False) -> Iterator[Served]:
    """Serve `folder`; with `ready`, wait until the index answers."""
    socket = folder / "grpc.sock"
    socket.unlink(missing_ok=True)
    target = f"unix:{socket}"
    command = [str(Path(sys.executable).with_name("nearfield")), "serve", "--listen", target, "--http", HTTP]
    started = time.perf_counter()
    process = subprocess.Popen([*command, "--data-dir", str(folder), "--log-level", "warning"])
    try:
        while not socket.exists():  # a channel that finds nobody waits for a second
            time.sleep(0.005)
        with nearfield.Client(target) as client:
            client.wait_ready(120)
            serving = time.perf_counter() - started
        with grpc.insecure_channel(target) as channel:
            stub = search_pb2_grpc.SearchServiceStub(channel)
            while ready and _collection(stub).index_state != search_pb2.INDEX_STATE_READY:
                time.sleep(0.02)
            yield Served(process, target, serving, time.perf_counter() - started, stub)
    finally:
        process.terminate()
        process.wait(60)


def _collection(stub: Any) -> Any:
    return stub.GetCollection(search_pb2.GetCollectionRequest(collection=COLLECTION)).collection


def create(stub: Any, width: int, quantization: str) -> None:
    """Make the collection."""
    stub.CreateCollection(
        search_pb2.CreateCollectionRequest(
            name=COLLECTION,
            dimensions=width,
            keyword_search=search_pb2.KeywordSearch(disabled=True),
            quantization=_quantization(quantization),
            payload_indexes={FIELD: search_pb2.FIELD_TYPE_INTEGER},
        )
    )


def _quantization(name: str) -> Any:
    return search_pb2.VectorQuantization.Value(f"VECTOR_QUANTIZATION_{name.upper()}")


def ingest(stub: Any, vectors: Rows) -> float:
    """Store all vectors over one stream, some messages ahead of their acknowledgement; give the seconds."""
    slots: queue.SimpleQueue[None] = queue.SimpleQueue()
    for _ in range(WINDOW):
        slots.put(None)
    payloads = [search_pb2.Payload() for _ in range(100)]
    for number, one in enumerate(payloads):
        one.fields[FIELD] = number

    def messages() -> Iterator[search_pb2.UpsertStreamRequest]:
        for start in range(0, len(vectors), MESSAGE_POINTS):
            slots.get()
            points = [
                search_pb2.Point(id={"number": start + at}, vector=one.tobytes(), payload=payloads[(start + at) % 100])
                for at, one in enumerate(vectors[start : start + MESSAGE_POINTS])
            ]
            yield search_pb2.UpsertStreamRequest(
                id=str(start), upsert=search_pb2.UpsertRequest(collection=COLLECTION, points=points)
            )

    started = time.perf_counter()
    for reply in stub.UpsertStream(messages()):
        if reply.HasField("error"):
            raise RuntimeError(reply.error.message)
        slots.put(None)
    return time.perf_counter() - started


def wait_built(folder: Path, points: int) -> dict[str, float]:
    """Wait until a generation holds all points; give the time since the last write, and that of the last build."""
    started = time.perf_counter()
    while (manifest := _manifest(folder)).get("points") != points:
        time.sleep(0.1)
    return {"built_after_seconds": time.perf_counter() - started, "build_seconds": manifest["build_seconds"]}


def _index(folder: Path) -> Path:
    return folder / "collections" / COLLECTION / "index"


def _manifest(folder: Path) -> dict[str, Any]:
    try:
        current = (_index(folder) / "CURRENT").read_text("utf-8").strip()
        found: dict[str, Any] = json.loads((_index(folder) / current / "manifest.json").read_text("utf-8"))
    except (OSError, ValueError):
        return {}
    return found


def questions(vectors: Rows, file: Path) -> None:
    """Write queries, and by filter the rows of their exact answers."""
    chosen = np.random.default_rng(2)
    noise = 0.3 * unit(chosen.standard_normal((QUERIES, vectors.shape[1]), np.float32))
    queries = unit(vectors[chosen.integers(0, len(vectors), QUERIES)] + noise)
    among = {"all": range(100), "10%": range(10), "1%": range(7, 8)}
    expected = {name: best(queries, vectors, kept) for name, kept in among.items()}
    np.savez(file, queries=queries, **expected)


def best(queries: Rows, vectors: Rows, kept: range) -> Any:
    """Give [n, 10] rows: the nearest of those whose field is in `kept`."""
    rows = np.arange(len(vectors))
    rows = rows[np.isin(rows % 100, kept)]
    found = []
    for part in np.array_split(queries, max(1, len(rows) // 50_000)):
        scores = part @ vectors[rows].T
        top = np.argpartition(-scores, LIMIT, axis=1)[:, :LIMIT]
        found.append(rows[top])
    return np.concatenate(found)


def measure(vectors: Rows, quantization: str, seconds: float, folder: Path) -> dict[str, Any]:
    """Take all figures of one size and quantisation."""
    figures: dict[str, Any] = {"points": len(vectors), "quantization": quantization}
    with serve(folder) as served:
        create(served.stub, vectors.shape[1], quantization)
        figures["ingest_points_per_second"] = len(vectors) / ingest(served.stub, vectors)
        figures |= wait_built(folder, len(vectors))
    collection = folder / "collections" / COLLECTION
    figures["sqlite_bytes_per_point"] = sum(one.stat().st_size for one in collection.glob("points*")) / len(vectors)
    figures["generation_bytes_per_point"] = _bytes(_index(folder)) / len(vectors)
    shutil.copytree(next(_index(folder).glob("gen-*")) / "shard", folder / "shard")
    questions(vectors, folder / "queries.npz")
    with serve(folder, ready=True) as served:
        figures |= {"serving_seconds": served.serving_seconds, "open_seconds": served.open_seconds}
        figures["idle"] = served.memory()
        figures["loads"] = {}
        for way, condition, size in LOADS:
            target = str(folder / "shard") if way == "edge" else served.target
            result = load(way, target, str(folder / "queries.npz"), condition, str(size), str(seconds))
            figures["loads"][f"{way} {condition} {size}"] = result
            print(f"  {way} {condition} {size}: {json.dumps(result)}", flush=True)
        figures |= served.memory()
        figures["disk_bytes_per_point"] = _bytes(collection) / len(vectors)
    alone = figures["loads"]["edge all 1"]["per_second"]
    figures["ratio_to_library"] = {
        name: one["per_second"] / alone for name, one in figures["loads"].items() if " all " in name
    }
    return figures


def _bytes(folder: Path) -> int:
    """Give what the files of a folder take; blocks that two of them share are counted twice."""
    return sum(one.stat().st_blocks * 512 for one in folder.rglob("*") if one.is_file())


def load(*arguments: str) -> dict[str, Any]:
    """Run one load to its end."""
    command = [sys.executable, str(Path(__file__).with_name("search_loads.py")), *arguments]
    result: dict[str, Any] = json.loads(subprocess.run(command, check=True, capture_output=True).stdout)
    return result


def embed_during_build(vectors: Rows, seconds: float, folder: Path) -> dict[str, Any]:
    """Give times of Embed without a build, during one of all points, and without once more."""
    with serve(folder) as served:
        create(served.stub, vectors.shape[1], "int8")
        ingest(served.stub, vectors)
        wait_built(folder, len(vectors))
        time.sleep(2.0)  # the worker takes the generation over
        load("embed", served.target, "2")
        figures: dict[str, Any] = {"points": len(vectors), "before": load("embed", served.target, str(seconds))}
        lag = lateness()
        beside = [sys.executable, str(Path(__file__).with_name("search_loads.py")), "embed", served.target, "-"]
        with subprocess.Popen(beside, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as running:
            number = _manifest(folder)["spec"]
            change = search_pb2.UpdateCollectionRequest(collection=COLLECTION, quantization=_quantization("none"))
            served.stub.UpdateCollection(change)
            started = time.perf_counter()
            while _manifest(folder).get("spec", number) == number:
                time.sleep(0.05)
            figures["build_seconds"] = time.perf_counter() - started
            output, _ = running.communicate()
        figures["during"] = json.loads(output)
        figures["loop_lag_during"] = {bound: count - lag[bound] for bound, count in lateness().items()}
        time.sleep(2.0)
        figures["after"] = load("embed", served.target, str(seconds))
    return figures


def lateness() -> dict[str, float]:
    """Give how often the server's event loop was late by at most so many seconds, from its metrics."""
    with urllib.request.urlopen(f"http://{HTTP}/metrics") as reply:
        lines = [
            one for one in reply.read().decode().splitlines() if one.startswith("nearfield_event_loop_lag_seconds_b")
        ]
    return {one.split('"')[1]: float(one.rpartition(" ")[2]) for one in lines}


def main() -> None:
    """Print figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--points", default="100000", help="sizes, with commas")
    parser.add_argument("--quantization", default="int8,none")
    parser.add_argument("--seconds", type=float, default=5.0, help="time for each load")
    parser.add_argument("--embed-during-build", action="store_true")
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    base = np.load(arguments.vectors)
    results: list[dict[str, Any]] = []
    kinds = ["int8"] if arguments.embed_during_build else arguments.quantization.split(",")
    for count, kind in itertools.product((int(one) for one in arguments.points.split(",")), kinds):
        with tempfile.TemporaryDirectory() as folder:
            made = spread(base, count)
            if arguments.embed_during_build:
                results.append(embed_during_build(made, 3 * arguments.seconds, Path(folder)))
            else:
                results.append(measure(made, kind, arguments.seconds, Path(folder)))
        print(json.dumps(results[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
