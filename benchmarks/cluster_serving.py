"""What a clustering job costs those who are served meanwhile.

    python benchmarks/cluster_serving.py [--points 100000] [--method kmeans|density] [--clusters 279] [--seconds 20]

Starts `nearfield serve`, stores random vectors of 384 components around that many directions as a collection, and
embeds short texts one call after the other: first alone, then while a job clusters the collection, alternating so that
the machine's moods hit both. Prints p50 and p99 of each and their ratios, the job's seconds and its peak memory.
Figures depend on what else the machine does: quote them from an idle one.
"""

from __future__ import annotations

import argparse
import itertools
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import grpc
import numpy as np
from google.longrunning import operations_pb2, operations_pb2_grpc
from loads import texts_of

import nearfield
from nearfield.v1 import cluster_pb2, cluster_pb2_grpc

DIMENSIONS = 384
METHODS = {"kmeans": cluster_pb2.CLUSTER_METHOD_KMEANS, "density": cluster_pb2.CLUSTER_METHOD_DENSITY}


@contextmanager
def serve(folder: Path) -> Iterator[str]:
    """Serve a folder; give the address."""
    target = f"unix:{folder}/grpc.sock"
    command: list[str | Path] = [Path(sys.executable).with_name("nearfield"), "serve", "--listen", target, "--http", ""]
    command += ["--data-dir", folder / "data"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    try:
        with nearfield.Client(target) as client:
            client.wait_ready(60)
        yield target
    finally:
        process.terminate()
        process.wait()


def fill(client: nearfield.Client, points: int, groups: int) -> None:
    """Store vectors around so many directions."""
    chance = np.random.default_rng(0)
    centres = chance.normal(size=(groups, DIMENSIONS))
    collection = client.create_collection("points", dimensions=DIMENSIONS)
    for start in range(0, points, 10_000):
        size = min(10_000, points - start)
        rows = centres[chance.integers(groups, size=size)] + chance.normal(scale=0.8, size=(size, DIMENSIONS))
        wide = rows.astype(np.float32)
        collection.upsert([{"id": start + at, "vector": row} for at, row in enumerate(wide)], vector="vector")


def embed_for(client: nearfield.Client, texts: Iterator[str], seconds: float) -> list[float]:
    """Embed one text after the other; give the milliseconds of each call."""
    times, end = [], time.perf_counter() + seconds
    while (started := time.perf_counter()) < end:
        client.embed(next(texts))
        times.append((time.perf_counter() - started) * 1000)
    return times


def percentiles(times: list[float]) -> dict[str, float]:
    """Give p50 and p99."""
    return {"p50_ms": round(float(np.percentile(times, 50)), 2), "p99_ms": round(float(np.percentile(times, 99)), 2)}


def measured(target: str, arguments: argparse.Namespace) -> dict[str, object]:
    """Embed alone and beside jobs, in turns."""
    options = cluster_pb2.ClusterOptions(method=METHODS[arguments.method])
    if arguments.method == "kmeans":
        options.k = arguments.clusters
    source = cluster_pb2.ClusterCollection(collection="points")
    request = cluster_pb2.StartClusteringRequest(options=options, collection=source)
    alone: list[float] = []
    beside: list[float] = []
    jobs: list[float] = []
    peak = 0
    with nearfield.Client(target) as client, grpc.insecure_channel(target) as channel:
        fill(client, arguments.points, arguments.clusters)
        texts = itertools.cycle(texts_of("short"))
        embed_for(client, texts, 2.0)
        stub, operations = cluster_pb2_grpc.ClusterServiceStub(channel), operations_pb2_grpc.OperationsStub(channel)
        while sum(jobs) < arguments.seconds:
            alone += embed_for(client, texts, arguments.seconds / 2)
            started = time.perf_counter()
            operation = stub.StartClustering(request)
            while not operation.done:
                beside += embed_for(client, texts, 0.5)
                operation = operations.GetOperation(operations_pb2.GetOperationRequest(name=operation.name))
            jobs.append(time.perf_counter() - started)
            head = cluster_pb2.Clustering()
            if not operation.response.Unpack(head):
                raise SystemExit(f"the job failed: {operation.error.message}")
            peak = max(peak, head.peak_memory_bytes)
    one, other = percentiles(alone), percentiles(beside)
    return {
        "alone": one,
        "beside": other,
        "p50_ratio": round(other["p50_ms"] / one["p50_ms"], 2),
        "p99_ratio": round(other["p99_ms"] / one["p99_ms"], 2),
        "job_seconds": [round(each, 1) for each in jobs],
        "peak_memory_mib": peak >> 20,
    }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--points", type=int, default=100_000)
    parser.add_argument("--method", choices=METHODS, default="kmeans")
    parser.add_argument("--clusters", type=int, default=279)
    parser.add_argument("--seconds", type=float, default=20.0)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder, serve(Path(folder)) as target:
        print(json.dumps(measured(target, arguments), indent=1))


if __name__ == "__main__":
    main()
