"""One load on a server's search, or on Qdrant Edge itself; prints JSON. Started by search_served.py, see there.

    search_loads.py unary   TARGET QUERIES.npz FILTER CALLERS SECONDS
    search_loads.py batch   TARGET QUERIES.npz FILTER SIZE SECONDS
    search_loads.py stream  TARGET QUERIES.npz FILTER WINDOW SECONDS
    search_loads.py edge    SHARD  QUERIES.npz FILTER SIZE SECONDS
    search_loads.py embed   TARGET SECONDS|- (until standard input ends)

It is lean, since it shares the cores with the server: requests are made beforehand, and bytes go in and out of gRPC
without a message class. FILTER is one of `FILTERS`. QUERIES.npz holds `queries` [n, width] and, by filter, the rows of
the exact answer [n, 10].
"""

from __future__ import annotations

import itertools
import json
import queue
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import numpy as np

from nearfield.v1 import embed_pb2, search_pb2

COLLECTION, FIELD, LIMIT = "bench", "n", 10
FILTERS = {"all": "", "10%": f"{FIELD} < 10", "1%": f"{FIELD} = 7"}
_SERVICE = "/nearfield.v1.SearchService/"

Answers = dict[int, list[int]]
"""Rows found, by number of the query."""


def requests_of(queries: Any, condition: str) -> list[search_pb2.SearchRequest]:
    """Give a search by vector for each query: ids and scores, neither payload nor text."""
    select = search_pb2.PointSelection(without_payload=True, without_text=True)
    return [
        search_pb2.SearchRequest(
            collection=COLLECTION,
            query=search_pb2.SearchQuery(vector=one.tobytes()),
            top_k=LIMIT,
            filter_expression=FILTERS[condition],
            select=select,
        )
        for one in queries
    ]


def _unary(channel: grpc.Channel, rpc: str) -> Any:
    return channel.unary_unary(f"{_SERVICE}{rpc}")


def unary(channel: grpc.Channel, requests: Sequence[Any], callers: int, seconds: float) -> dict[str, Any]:
    """Call after call, by some callers at once."""
    packed = [one.SerializeToString() for one in requests]
    replies, times, took = repeated(_unary(channel, "Search"), packed, callers, seconds)
    return figures(len(times), took, times, {at: _rows(one) for at, one in replies.items()})


def repeated(
    call: Callable[[bytes], bytes], packed: Sequence[bytes], callers: int, seconds: float
) -> tuple[dict[int, bytes], list[float], float]:
    """Call again and again from some threads; give the last reply to each request, the times, and the seconds."""
    replies: dict[int, bytes] = {}
    times: list[float] = []

    def caller(first: int, until: float) -> None:
        for number in itertools.cycle([*range(first, len(packed)), *range(first)]):
            before = time.perf_counter()
            if before >= until:
                return
            replies[number] = call(packed[number])
            times.append(time.perf_counter() - before)

    def together(duration: float) -> float:
        started = time.perf_counter()
        offsets = [number * len(packed) // callers for number in range(callers)]
        threads = [threading.Thread(target=caller, args=(one, started + duration)) for one in offsets]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return time.perf_counter() - started

    together(0.5)
    times.clear()
    took = together(seconds)
    return replies, times, took


def batch(channel: grpc.Channel, requests: Sequence[Any], size: int, seconds: float) -> dict[str, Any]:
    """Two callers of BatchSearch, so that one is served while the other reads; the times are those of their calls."""
    call = _unary(channel, "BatchSearch")
    starts = range(0, len(requests) - size + 1, size)
    packed = [search_pb2.BatchSearchRequest(searches=requests[at : at + size]).SerializeToString() for at in starts]
    replies, times, took = repeated(call, packed, 2, seconds)
    found: Answers = {}
    for number, reply in replies.items():
        for at, one in enumerate(search_pb2.BatchSearchResponse.FromString(reply).results):
            found[number * size + at] = [hit.id.number for hit in one.hits]
    return figures(size * len(times), took, times, found)


def stream(channel: grpc.Channel, requests: Sequence[Any], window: int, seconds: float) -> dict[str, Any]:
    """One SearchStream with `window` searches under way; the times are from sending to receiving."""
    call: Any = channel.stream_stream(f"{_SERVICE}SearchStream")
    packed = [
        search_pb2.SearchStreamRequest(id=str(number), search=one).SerializeToString()
        for number, one in enumerate(requests)
    ]
    numbers: queue.SimpleQueue[int | None] = queue.SimpleQueue()
    for number in range(window):
        numbers.put(number)

    def sent() -> Iterator[bytes]:
        while (number := numbers.get()) is not None:
            starts.append(time.perf_counter())
            yield packed[number % len(packed)]

    starts: list[float] = []
    replies: list[bytes] = []
    times: list[float] = []
    started = time.perf_counter()
    following = itertools.count(window)
    for reply in call(sent()):
        now = time.perf_counter()
        times.append(now - starts[len(times)])  # replies come nearly in order: right on average
        replies.append(reply)
        if now < started + seconds:
            numbers.put(next(following))
        elif len(replies) == len(starts):
            numbers.put(None)
    took = time.perf_counter() - started
    found: Answers = {}
    for data in replies[-len(packed) :]:
        one = search_pb2.SearchStreamResponse.FromString(data)
        found[int(one.id)] = [hit.id.number for hit in one.result.hits]
    return figures(len(replies), took, times, found)


def edge(shard_folder: str, queries: Any, condition: str, size: int, seconds: float) -> dict[str, Any]:
    """Ask a copy of the server's own shard without a server: one query after the other, or some at once."""
    import qdrant_edge  # noqa: PLC0415 - only here: it keeps the GIL in every call

    from nearfield_server.engines.embedded.index.edge import load_shard, request_of  # noqa: PLC0415
    from nearfield_server.engines.embedded.index.plan import plan_of  # noqa: PLC0415
    from nearfield_server.engines.embedded.index.query import IndexSettings  # noqa: PLC0415
    from nearfield_server.engines.embedded.index.word_counts import WordCounts  # noqa: PLC0415
    from nearfield_server.filters import parse_filter  # noqa: PLC0415

    spec, settings = spec_of(queries.shape[1]), IndexSettings()
    wanted = parse_filter(FILTERS[condition]) if FILTERS[condition] else None
    header = {
        "tenant": "",
        "limit": LIMIT,
        "plan": None if wanted is None else plan_of(wanted, spec.payload_indexes),
        "exclude": (),
        "exact": False,
        "ef": settings.ef,
        "oversampling": settings.oversampling,
    }
    shard = load_shard(Path(shard_folder))
    asked = [request_of(header, one.tobytes(), spec, WordCounts()) for one in queries]
    batches = [qdrant_edge.QueryBatchRequest(asked[at : at + size]) for at in range(0, len(asked) - size + 1, size)]
    ask: Callable[[int], list[Any]] = lambda number: shard.query_batch(batches[number])  # noqa: E731
    if size == 1:
        ask = lambda number: [shard.query(asked[number])]  # noqa: E731
    found: Answers = {}
    times: list[float] = []
    for duration in (0.5, seconds):
        times.clear()
        started = time.perf_counter()
        for number in itertools.cycle(range(len(batches))):
            before = time.perf_counter()
            if before >= started + duration:
                break
            answers = ask(number)
            times.append(time.perf_counter() - before)
            for at, answer in enumerate(answers):
                found[number * size + at] = [one.id - 1 for one in answer]  # rows count from 1, ids from 0
    return figures(size * len(times), time.perf_counter() - started, times, found)


def embed(channel: grpc.Channel, seconds: str) -> dict[str, Any]:
    """Embed one short text after the other."""
    call: Any = channel.unary_unary("/nearfield.v1.EmbedService/Embed")
    texts = (f"A sentence of some words, the {number}th of its kind." for number in itertools.count())
    ended = threading.Event()
    if seconds == "-":

        def wait() -> None:
            sys.stdin.read()
            ended.set()

        threading.Thread(target=wait, daemon=True).start()
    times: list[float] = []
    started = time.perf_counter()
    until = started + (1e9 if seconds == "-" else float(seconds))
    while not ended.is_set() and time.perf_counter() < until:
        request = embed_pb2.EmbedRequest(inputs=[{"text": next(texts)}]).SerializeToString()
        before = time.perf_counter()
        call(request)
        times.append(time.perf_counter() - before)
    return figures(len(times), time.perf_counter() - started, times, {})


def spec_of(width: int) -> Any:
    """Give the spec that the benchmark's collection has, as far as a query needs it."""
    from nearfield_server.types import (  # noqa: PLC0415
        CollectionSpec,
        Durability,
        FieldType,
        Hnsw,
        SimilarityMetric,
        VectorQuantization,
    )

    return CollectionSpec(
        name=COLLECTION,
        model="",
        model_version="",
        dimensions=width,
        metric=SimilarityMetric.COSINE,
        keyword=None,
        quantization=VectorQuantization.INT8,  # rescoring is asked for; a shard of float32 has nothing to rescore
        hnsw=Hnsw(),
        payload_indexes={FIELD: FieldType.INTEGER},
        durability=Durability.PROCESS,
        ttl_seconds=None,
        created_at=datetime.now(UTC),
    )


def figures(count: int, seconds: float, times: Sequence[float], found: Answers) -> dict[str, Any]:
    """Give what is told of a load."""
    middle, late = np.percentile(times, [50, 99]) * 1000
    return {"per_second": count / seconds, "p50_ms": middle, "p99_ms": late, "found": found}


def recall(found: Answers, expected: Any) -> float:
    """Give the share of the exact answers that were found."""
    return sum(len({*rows} & {*expected[at].tolist()}) for at, rows in found.items()) / max(1, LIMIT * len(found))


def _rows(reply: bytes) -> list[int]:
    return [hit.id.number for hit in search_pb2.SearchResponse.FromString(reply).hits]


def main() -> None:
    """Run the load that the command line names."""
    way, target, *rest = sys.argv[1:]
    if way == "embed":
        with grpc.insecure_channel(target) as channel:
            result = embed(channel, rest[0])
    else:
        file, condition, size, seconds = rest
        with np.load(file) as data:
            queries, expected = data["queries"], data[condition]
        if way == "edge":
            result = edge(target, queries, condition, int(size), float(seconds))
        else:
            load = {"unary": unary, "batch": batch, "stream": stream}[way]
            with grpc.insecure_channel(target) as channel:
                result = load(channel, requests_of(queries, condition), int(size), float(seconds))
        result["recall"] = recall(result["found"], expected)
    del result["found"]
    json.dump(result, sys.stdout)


if __name__ == "__main__":
    main()
