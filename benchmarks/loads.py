"""One way to embed, for some seconds; prints JSON. Started by served.py: loads.py WAY WORKLOAD SECONDS TARGET."""

from __future__ import annotations

import itertools
import json
import random
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import onnxruntime

import nearfield
from nearfield_server.config.machine import effective_cpu_count
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.loader import load
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.types import Tokens

ROOT = Path(__file__).parents[1]
WORKLOADS = {"short": (5, 14), "mixed": (5, 200), "long": (230, 400)}
"""Words in a text, from and to: about 8 to 18, 8 to 256 and 256 tokens."""
_POOL, _BATCH, _BUDGET, _CORES = 2000, 32, 256, effective_cpu_count()

Work = Callable[[Sequence[str], float], tuple[int, list[float]]]
"""Embeds texts again and again for some seconds; gives their number, and the seconds of each call."""


def texts_of(workload: str) -> list[str]:
    """Cut texts of the workload's lengths out of the prose in the repository, the same ones every time."""
    lines = (ROOT / "server" / "nearfield_server" / "export" / "calibration.jsonl").read_text("utf-8").splitlines()
    words = " ".join(json.loads(line) for line in lines).split()
    low, high = WORKLOADS[workload]
    chosen = random.Random(7)  # noqa: S311 - a fixed choice
    cuts = [(chosen.randrange(len(words) - high), int(low * (high / low) ** chosen.random())) for _ in range(_POOL)]
    return [" ".join(words[at : at + count]) for at, count in cuts]


def plain(texts: Sequence[str], seconds: float) -> tuple[int, list[float]]:
    """Batches in order of arrival, padded to their longest, on a session with a thread per core."""
    model = load("m", builtin_folder(), device="cpu")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = _CORES
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = onnxruntime.InferenceSession(model.spec.model_file, options, providers=["CPUExecutionProvider"])

    def embed(batch: Sequence[str]) -> None:
        tokens = model.tokenizer.encode(batch, TextOptions())
        ids = np.zeros((len(batch), max(len(one.ids) for one in tokens)), np.int64)
        mask = np.zeros_like(ids)
        for row, one in enumerate(tokens):
            ids[row, : len(one.ids)], mask[row, : len(one.ids)] = one.ids, 1
        session.run(None, {"input_ids": ids, "attention_mask": mask})

    return _repeat(embed, texts, seconds)


def offline(texts: Sequence[str], seconds: float) -> tuple[int, list[float]]:
    """Sort a window of texts by length, cut it into batches of 256 padded tokens, run them on a thread per core."""
    model = load("m", builtin_folder(), device="cpu")

    def embed(window: Sequence[str]) -> None:
        tokens = model.tokenizer.encode(window, TextOptions())
        batches: list[list[Tokens]] = []
        batch: list[Tokens] = []
        for one in sorted(tokens, key=lambda one: len(one.ids)):
            if batch and (len(batch) + 1) * len(one.ids) > _BUDGET:
                batches.append(batch)
                batch = []
            batch.append(one)
        list(pool.map(model.encoder, [*batches, batch]))

    with ThreadPoolExecutor(_CORES) as pool:
        return _repeat(embed, texts, seconds, size=8 * _BATCH)


def stream(texts: Sequence[str], seconds: float) -> tuple[int, list[float]]:
    """One stream; no times of calls."""
    until = time.perf_counter() + seconds
    endless = itertools.takewhile(lambda _: time.perf_counter() < until, itertools.cycle(texts))
    with nearfield.Client(sys.argv[4]) as client:
        return sum(1 for _ in client.embed_stream(endless)), []


def batch(texts: Sequence[str], seconds: float) -> tuple[int, list[float]]:
    """Calls of 32 from 8 clients."""
    return _clients(texts, seconds, clients=8, size=_BATCH)


def single(texts: Sequence[str], seconds: float) -> tuple[int, list[float]]:
    """Calls of 1 from 64 clients."""
    return _clients(texts, seconds, clients=64, size=1)


def _clients(texts: Sequence[str], seconds: float, *, clients: int, size: int) -> tuple[int, list[float]]:
    totals: list[tuple[int, list[float]]] = []
    with nearfield.Client(sys.argv[4]) as client:
        client.embed(texts[:size])

        def work(number: int) -> None:
            mine = [*texts[number * 31 :], *texts[: number * 31]]
            totals.append(_repeat(client.embed, mine, seconds, size=size))

        workers = [threading.Thread(target=work, args=(number,)) for number in range(clients)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
    return sum(count for count, _ in totals), [one for _, times in totals for one in times]


def _repeat(
    embed: Callable[[Sequence[str]], object], texts: Sequence[str], seconds: float, *, size: int = _BATCH
) -> tuple[int, list[float]]:
    done = 0
    times: list[float] = []
    until = time.perf_counter() + seconds
    for part in _parts(texts, size):
        before = time.perf_counter()
        if before >= until:
            return done, times
        embed(part)
        times.append(time.perf_counter() - before)
        done += len(part)
    raise AssertionError


def _parts(texts: Sequence[str], size: int) -> Iterator[Sequence[str]]:
    for at in itertools.cycle(range(0, len(texts) - size + 1, size)):
        yield texts[at : at + size]


if __name__ == "__main__":
    ways: dict[str, Work] = {"plain": plain, "offline": offline, "stream": stream, "batch": batch, "single": single}
    texts = texts_of(sys.argv[2])
    ways[sys.argv[1]](texts, 0.5)  # warm
    started = time.perf_counter()
    count, times = ways[sys.argv[1]](texts, float(sys.argv[3]))
    figures = {"texts_per_second": count / (time.perf_counter() - started)}
    quantiles = np.percentile(times, [50, 99]) * 1000 if times else [0.0, 0.0]
    json.dump(figures | {"p50": float(quantiles[0]), "p99": float(quantiles[1])}, sys.stdout)
