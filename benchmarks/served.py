"""Served against offline throughput, side by side in one run.

    python benchmarks/served.py [--seconds 3] [--rounds 3] [--workload short,mixed,long] [--json OUT]

Ways to embed the same texts with the same graph, taken in turn so that a slow moment of the machine meets all of them:

    plain    one ONNX Runtime session with a thread per core, batches of 32 in order of arrival: the usual way
    offline  our encoder without a server: batches of like lengths, one single-threaded worker per core
    stream   through gRPC, one EmbedStream
    batch    through gRPC, 8 clients, calls of 32 texts
    single   through gRPC, 64 clients, calls of one text

The server and the load run in processes of their own, on the same cores. Figures are texts per second and their ratio
to `plain` in the same round; quote the ratios.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

import loads

import nearfield

WAYS = ("plain", "offline", "stream", "batch", "single")


def main() -> None:
    """Run the comparison and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=3.0, help="time for each way in each round")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--workload", default=",".join(loads.WORKLOADS), help="of " + ", ".join(loads.WORKLOADS))
    parser.add_argument("--ways", default=",".join(WAYS))
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    results = {}
    with tempfile.TemporaryDirectory() as folder:
        target = f"unix:{folder}/grpc.sock"
        serve = [str(Path(sys.executable).with_name("nearfield")), "serve", "--listen", target, "--http", ""]
        server = subprocess.Popen([*serve, "--data-dir", folder, "--log-level", "warning"])
        try:
            with nearfield.Client(target) as client:
                client.wait_ready(60)
            for workload in arguments.workload.split(","):
                results[workload] = run(workload, arguments, target)
        finally:
            server.terminate()
            server.wait(60)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


def run(workload: str, arguments: argparse.Namespace, target: str) -> dict[str, list[dict[str, float]]]:
    """Measure one workload; each way in a process of its own, in turn."""
    ways = arguments.ways.split(",")
    rounds: dict[str, list[dict[str, float]]] = {way: [] for way in ways}
    for _ in range(arguments.rounds):
        for way in ways:
            command = [sys.executable, str(Path(__file__).with_name("loads.py")), way, workload]
            command += [str(arguments.seconds), target]
            rounds[way].append(json.loads(subprocess.run(command, check=True, capture_output=True).stdout))
    print(f"\n{workload}: texts/s (min, median, max over {arguments.rounds} rounds), ratio to {ways[0]} round by round")
    for way, figures in rounds.items():
        speeds = [one["texts_per_second"] for one in figures]
        ratios = [one / rounds[ways[0]][index]["texts_per_second"] for index, one in enumerate(speeds)]
        times = "".join(f"  {name} {statistics.median(one[name] for one in figures):.1f} ms" for name in ("p50", "p99"))
        low, middle, high = min(speeds), statistics.median(speeds), max(speeds)
        print(f"  {way:8} {low:7.0f} {middle:7.0f} {high:7.0f}   {statistics.median(ratios):5.2f}{times}")
    return rounds


if __name__ == "__main__":
    main()
