"""The vector index of a collection: speed, recall and size, and a soak with writes and builds.

    python benchmarks/search_vectors.py vectors.npy FILE...
    python benchmarks/search_index.py vectors.npy [--points 10000,100000] [--soak 600] [--json OUT]

Points are written to SQLite as the store does; the index builds its generation from there, and is asked through its
worker process, as the server asks it. Queries are vectors of the set with a little noise; recall is against exact
search in numpy. `--soak` runs two searchers, a writer of new and changed points and one build after the other for some
seconds, and counts what must not happen: an answer that misses a row whose write was waited for, an error, a stalled
event loop. Figures depend on what else the machine does: quote them from an idle one.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from search_vectors import Rows, spread, unit

from nearfield_server.engines.embedded.codec import pack_spec, pack_vector
from nearfield_server.engines.embedded.disk import folder_bytes
from nearfield_server.engines.embedded.index import IndexFilter, IndexNotReady, IndexQuery, IndexSettings, VectorIndex
from nearfield_server.engines.embedded.schema import create_tables
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    Equals,
    FieldType,
    Hnsw,
    IndexState,
    NumberRange,
    SimilarityMetric,
    VectorQuantization,
)

LIMIT, QUERIES, CALLERS = 10, 300, 8
STALL_SECONDS = 0.005
FILTERS: dict[str, tuple[IndexFilter | None, Callable[[Any], Any]]] = {
    "all": (None, lambda rows: rows >= 0),
    "10%": (NumberRange(field="n", lt=10.0), lambda rows: rows % 100 < 10),  # noqa: PLR2004
    "1%": (Equals("n", 7), lambda rows: rows % 100 == 7),  # noqa: PLR2004
}
CALM = IndexSettings(rebuild_rows=10**9, quiet_seconds=1e9)


def spec_of(width: int, quantization: VectorQuantization) -> CollectionSpec:
    """Give a collection as a user makes it, with one payload index."""
    return CollectionSpec(
        name="bench",
        model="",
        model_version="",
        dimensions=width,
        metric=SimilarityMetric.COSINE,
        keyword=None,
        quantization=quantization,
        hnsw=Hnsw(),
        payload_indexes={"n": FieldType.INTEGER},
        durability=Durability.PROCESS,
        ttl_seconds=None,
        created_at=datetime.now(UTC),
    )


class Points:
    """The database, with row r holding vector r."""

    def __init__(self, path: Path, spec: CollectionSpec) -> None:
        """Make it."""
        self.path = path
        self.connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
        self.connection.execute("PRAGMA journal_mode = WAL")
        self.connection.execute("PRAGMA synchronous = NORMAL")
        create_tables(self.connection, pack_spec(spec))
        self.sequence = 0

    def write(self, first: int, vectors: Rows) -> int:
        """Store or replace the rows from `first` on in one write."""
        self.sequence += 1
        rows = range(first, first + len(vectors))
        run = self.connection
        run.execute("BEGIN IMMEDIATE")
        run.executemany(
            "INSERT OR REPLACE INTO points (row, tenant, id, sequence, kinds, payload) VALUES (?, '', ?, ?, '', ?)",
            [(row, row, self.sequence, f'{{"n":{row % 100}}}') for row in rows],
        )
        packed = [(row, pack_vector(vector)) for row, vector in zip(rows, vectors, strict=True)]
        run.executemany("INSERT OR REPLACE INTO vectors (row, vector) VALUES (?, ?)", packed)
        run.execute("UPDATE meta SET value = ? WHERE key = 'sequence'", (self.sequence,))
        run.execute("COMMIT")
        return self.sequence


async def ready(index: VectorIndex) -> float:
    """Wait until the index answers; give the seconds."""
    started = time.perf_counter()
    while index.state is not IndexState.READY or index.message:  # noqa: ASYNC110 - a benchmark
        await asyncio.sleep(0.005)
    return time.perf_counter() - started


async def measure(vectors: Rows, count: int, quantization: VectorQuantization, folder: Path) -> dict[str, Any]:
    """Build, open again, search."""
    spec = spec_of(vectors.shape[1], quantization)
    made = spread(vectors, count)
    points = Points(folder / "points.sqlite3", spec)
    for start in range(0, count, 1000):
        points.write(start, made[start : start + 1000])
    index = VectorIndex(folder / "index", points.path, spec, CALM)
    index.start()
    figures: dict[str, Any] = {"points": count, "quantization": quantization.value, "build_seconds": await ready(index)}
    await index.close()
    index = VectorIndex(folder / "index", points.path, spec, CALM)
    index.start()
    figures["open_seconds"] = await ready(index)
    chosen = np.random.default_rng(2)
    noise = 0.3 * unit(chosen.standard_normal((QUERIES, made.shape[1]), np.float32))
    queries = unit(made[chosen.integers(0, count, QUERIES)] + noise)
    exact = queries @ made.T
    for name, (condition, among) in FILTERS.items():
        scores = np.where(among(np.arange(count)), exact, -9.0)
        best = np.argsort(-scores, axis=1)[:, :LIMIT]
        figures[name] = await _searched(index, queries, condition, best)
    figures["callers"] = await _together(index, queries)
    figures["rss_mib"] = index.memory_bytes / 2**20
    figures["disk_bytes_per_point"] = folder_bytes(folder) / count
    await index.close()
    return figures


async def _searched(index: VectorIndex, queries: Rows, condition: IndexFilter | None, best: Any) -> dict[str, float]:
    took, hits = [], 0
    for query, expected in zip(queries, best, strict=True):
        started = time.perf_counter()
        (found,) = await index.search([IndexQuery("", LIMIT, dense=query, filter=condition)])
        took.append(time.perf_counter() - started)
        hits += len({row for row, _ in found} & set(expected.tolist()))
    return {
        "recall": hits / best.size,
        "p50_ms": 1e3 * float(np.median(took)),
        "p99_ms": 1e3 * float(np.quantile(took, 0.99)),
        "per_second": len(took) / sum(took),
    }


async def _together(index: VectorIndex, queries: Rows) -> float:
    """Give queries per second of several callers at once."""

    async def caller(own: Rows) -> None:
        for query in own:
            await index.search([IndexQuery("", LIMIT, dense=query)])

    started = time.perf_counter()
    await asyncio.gather(*(caller(queries) for _ in range(CALLERS)))
    return CALLERS * len(queries) / (time.perf_counter() - started)


class Soak:
    """Two searchers, a writer, and a build after every so many writes."""

    def __init__(self, index: VectorIndex, points: Points, vectors: Rows) -> None:
        """Search `index`, write `vectors` to `points`."""
        self.index, self.points, self.vectors = index, points, vectors
        self.seen = {"searches": 0, "exact": 0, "missed": 0, "writes": 0, "stalls": 0, "own_stalls": 0}
        self.slowest_seconds = self.stall_seconds = 0.0
        self.known = 0
        self.pids: set[int] = set()
        self.ending = False

    async def run(self, seconds: float) -> dict[str, Any]:
        """Go on for some seconds."""
        tasks = [asyncio.create_task(one()) for one in (self._search, self._search, self._write, self._tick)]
        await asyncio.sleep(seconds)
        self.ending = True
        await asyncio.wait_for(asyncio.gather(*tasks), 60)
        return {
            **self.seen,
            "seconds": seconds,
            "workers": len(self.pids),
            "slowest_search_ms": 1e3 * self.slowest_seconds,
            "longest_stall_ms": 1e3 * self.stall_seconds,
        }

    async def _search(self) -> None:
        chosen = np.random.default_rng()
        while not self.ending:
            row = int(chosen.integers(max(0, self.known - 2000), self.known))  # the newest are the ones to miss
            started = time.perf_counter()
            try:
                (found,) = await self.index.search([IndexQuery("", LIMIT, dense=self.vectors[row])])
                self.seen["missed"] += row not in {one for one, _ in found}
            except IndexNotReady:
                self.seen["exact"] += 1
                await asyncio.sleep(0.001)
            self.slowest_seconds = max(self.slowest_seconds, time.perf_counter() - started)
            self.seen["searches"] += 1
            self.pids.add(self.index.worker_pid)

    async def _write(self) -> None:
        for start in itertools.count(self.known, 20):
            if self.ending or start + 20 > len(self.vectors):
                return
            sequence = await asyncio.to_thread(self._store, start)
            self.index.written(sequence, 40)
            await self.index.wait_applied(sequence)
            self.known = start + 20
            self.seen["writes"] += 1
            await asyncio.sleep(0.02)

    def _store(self, start: int) -> int:
        self.points.write(start, self.vectors[start : start + 20])
        again = start // 2
        return self.points.write(again, self.vectors[again : again + 20])  # replaced by the same

    async def _tick(self) -> None:
        while not self.ending:
            started, busy = time.perf_counter(), time.thread_time()
            await asyncio.sleep(0.001)
            self.seen["own_stalls"] += time.thread_time() - busy > STALL_SECONDS  # not the machine's doing, but ours
            late = time.perf_counter() - started - 0.001
            self.stall_seconds = max(self.stall_seconds, late)
            self.seen["stalls"] += late > STALL_SECONDS


async def soak(vectors: Rows, seconds: float, folder: Path) -> dict[str, Any]:
    """Start with 10,000 points, and build a generation about every 2,000 changes."""
    spec = spec_of(vectors.shape[1], VectorQuantization.INT8)
    made = spread(vectors, 200_000)
    points = Points(folder / "points.sqlite3", spec)
    for start in range(0, 10_000, 1000):
        points.write(start, made[start : start + 1000])
    index = VectorIndex(folder / "index", points.path, spec, replace(CALM, rebuild_rows=0, busy_share=0.1))
    index.start()
    await ready(index)
    run = Soak(index, points, made)
    run.known = 10_000
    figures = await run.run(seconds)
    await index.close()
    return figures


def main() -> None:
    """Print figures as they come."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--points", default="10000,100000")
    parser.add_argument("--quantization", default="none,int8")
    parser.add_argument("--soak", type=float, default=0.0, help="seconds")
    parser.add_argument("--json", type=Path, help="write all figures here")
    arguments = parser.parse_args()
    vectors = np.load(arguments.vectors)
    results: list[dict[str, Any]] = []
    kinds: Sequence[str] = arguments.quantization.split(",")
    for count, kind in itertools.product((int(one) for one in arguments.points.split(",") if one), kinds):
        with tempfile.TemporaryDirectory() as folder:
            results.append(asyncio.run(measure(vectors, count, VectorQuantization(kind), Path(folder))))
        print(json.dumps(results[-1]), flush=True)
    if arguments.soak:
        with tempfile.TemporaryDirectory() as folder:
            results.append(asyncio.run(soak(vectors, arguments.soak, Path(folder))))
        print(json.dumps(results[-1]), flush=True)
    if arguments.json:
        arguments.json.write_text(json.dumps(results, indent=1))


if __name__ == "__main__":
    main()
