"""The child process (`processes.worker`) that builds an index, or searches it.

The first frame says what to do:

    build   make a generation from the database, answer {"op": "built"}, end
    serve   copy a generation, replay what it lacks, answer {"op": "ready"}, then answer queries; between them go on
            replaying, and tell of it by {"op": "applied"}

Queries carry their vectors as float32, sparse ones as uint32 ids and float32 weights; answers carry rows as uint64,
then scores as float32. What goes wrong is told by {"op": "failed"}: `damaged` asks for a new generation. Standard error
is no place for it: texts of Edge's errors may hold what callers sent.
"""

from __future__ import annotations

import itertools
import os
import select
import shutil
import socket
import sqlite3
import time
from pathlib import Path
from typing import Any

import numpy as np
import qdrant_edge as edge

from nearfield_server.engines.embedded.codec import unpack_spec
from nearfield_server.engines.embedded.index.edge import create_shard, load_shard, request_of
from nearfield_server.engines.embedded.index.generations import (
    DamagedGeneration,
    current,
    fingerprint,
    publish,
    take_copy,
)
from nearfield_server.engines.embedded.index.replay import Replay, open_database
from nearfield_server.engines.embedded.index.word_counts import WordCounts
from nearfield_server.engines.embedded.schema import read_meta
from nearfield_server.processes.frames import Frame, Header, receive_frame, to_bytes
from nearfield_server.processes.worker import attach, resident_bytes
from nearfield_server.types import CollectionSpec, SimilarityMetric

__all__ = ["main"]

_WORDS = "words.npy"
_NICE = 10
_CHUNK_SECONDS = 0.005  # a query waits for one chunk at most
_BUILD_CHUNK_SECONDS = 1.0
_PROGRESS_SECONDS = 0.05


def main() -> None:
    """Serve or build, as the first frame says."""
    connection = attach()
    try:
        header, _ = receive_frame(connection)
        spec = unpack_spec(header["spec"])
        database = open_database(Path(header["database"]))
        if header["op"] == "build":
            _build(connection, header, spec, database)
        else:
            _Server(connection, header, spec, database).run()
    except (EOFError, ConnectionError):
        pass
    except Exception as error:  # noqa: BLE001 - the server decides what to do
        _tell_failure(connection, error)
    os._exit(0)  # Edge's threads aren't waited for, and its files aren't needed any more


def _tell_failure(connection: socket.socket, error: Exception) -> None:
    damaged = isinstance(error, DamagedGeneration)
    try:
        connection.sendall(to_bytes({"op": "failed", "damaged": damaged, "kind": type(error).__name__}))
    except OSError:
        return


def _build(connection: socket.socket, header: Header, spec: CollectionSpec, database: sqlite3.Connection) -> None:
    os.nice(_NICE)
    started = time.perf_counter()
    making = Path(header["making"])
    shutil.rmtree(making, ignore_errors=True)
    (making / "shard").mkdir(parents=True)
    shard = create_shard(making / "shard", spec, header["threads"])
    words = WordCounts()
    replay = Replay(shard, spec, database, words=words, applied=0, chunk_seconds=_BUILD_CHUNK_SECONDS)
    sequence = int(read_meta(database, "sequence"))
    while not replay.step(sequence):
        pass
    shard.optimize()
    shard.flush()
    points = shard.info().points_count
    shard.close()
    words.save(making / "shard" / _WORDS)
    seconds = time.perf_counter() - started
    facts = {"spec": fingerprint(spec), "sequence": replay.applied}
    publish(making, {**facts, "points": points, "build_seconds": seconds})
    connection.sendall(to_bytes({"op": "built"}))


class _Server:
    """Answers queries, and replays between them."""

    def __init__(
        self, connection: socket.socket, header: Header, spec: CollectionSpec, database: sqlite3.Connection
    ) -> None:
        self._connection = connection
        self._spec = spec
        self._database = database
        self._target = int(read_meta(database, "sequence"))
        index, copy = Path(header["index"]), Path(header["copy"])
        generation = current(index, spec)
        if generation is None:
            raise DamagedGeneration("there is none")
        take_copy(generation, copy)
        try:
            self._words = WordCounts.load(copy / _WORDS)
            self._shard = load_shard(copy)
        except Exception as error:
            raise DamagedGeneration("it can't be opened") from error
        self._replay = Replay(
            self._shard,
            spec,
            database,
            words=self._words,
            applied=generation.sequence,
            chunk_seconds=_CHUNK_SECONDS,
        )
        self._generation = generation
        self._ready = False
        self._told = 0.0
        self._behind = True

    def run(self) -> None:
        """Go on until the server goes. Raises `EOFError` then."""
        while True:
            waiting, _, _ = select.select([self._connection], [], [], 0.0 if self._behind else None)
            if waiting:
                self._answer(receive_frame(self._connection))
            if self._behind:
                self._advance()

    def _advance(self) -> None:
        self._behind = not self._replay.step(self._target)
        now = time.monotonic()
        if self._behind and now - self._told < _PROGRESS_SECONDS:
            return
        self._told = now
        ready = not self._behind and not self._ready
        self._ready = self._ready or ready
        progress = {
            "op": "ready" if ready else "applied",
            "applied": self._replay.applied,
            "changes": self._replay.changes,
            "memory": resident_bytes(),
            "points": self._generation.points,
            "build_seconds": self._generation.build_seconds,
        }
        self._connection.sendall(to_bytes(progress))

    def _answer(self, frame: Frame) -> None:
        header, data = frame
        if header["op"] == "written":
            self._target = max(self._target, header["sequence"])
            self._behind = self._replay.applied < self._target
            return
        counts, rows, scores = [], [], []
        for found in self._search(header["queries"], data):
            counts.append(-1 if found is None else len(found))
            for row, score in found or ():
                rows.append(row)
                scores.append(score)
        body = np.array(rows, "<u8").tobytes() + np.array(scores, "<f4").tobytes()
        self._connection.sendall(to_bytes({"op": "found", "counts": counts}, body))

    def _search(self, queries: list[dict[str, Any]], data: bytes) -> list[list[tuple[int, float]] | None]:
        """Answer together; where that fails each by itself, so that only the culprit goes without."""
        ends = itertools.accumulate(query["bytes"] for query in queries)
        parts = [data[end - query["bytes"] : end] for query, end in zip(queries, ends, strict=True)]
        try:
            requests = [self._request(query, part) for query, part in zip(queries, parts, strict=True)]
            answers = self._shard.query_batch(edge.QueryBatchRequest(requests))
        except Exception:  # noqa: BLE001 - Edge raises nothing narrower
            return [self._alone(query, part) for query, part in zip(queries, parts, strict=True)]
        return [self._ranked(query, answer) for query, answer in zip(queries, answers, strict=True)]

    def _alone(self, query: dict[str, Any], part: bytes) -> list[tuple[int, float]] | None:
        try:
            return self._ranked(query, self._shard.query(self._request(query, part)))
        except Exception:  # noqa: BLE001 - as above
            return None

    def _request(self, query: dict[str, Any], part: bytes) -> Any:
        return request_of(query, part, self._spec, self._words)

    def _ranked(self, query: dict[str, Any], answer: Any) -> list[tuple[int, float]]:
        sign = -1.0 if self._spec.metric is SimilarityMetric.EUCLIDEAN and "sparse" not in query else 1.0
        return sorted(((one.id, sign * one.score) for one in answer), key=lambda one: (-one[1], one[0]))


if __name__ == "__main__":
    main()
