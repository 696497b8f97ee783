"""A serving worker as the server sees it: queries go out together, answers come back in order.

Queries that arrive in one turn of the loop, or while two frames are out, make one frame. A worker that leaves a frame
unanswered for too long is killed; whoever waits for a lost one gets `IndexNotReady`, and nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield_server.engines.embedded.codec import pack_sparse, pack_spec, pack_vector
from nearfield_server.engines.embedded.index.launch import start_worker
from nearfield_server.engines.embedded.index.plan import plan_of
from nearfield_server.engines.embedded.index.query import IndexNotReady, IndexQuery, IndexSettings
from nearfield_server.processes.child import Child
from nearfield_server.processes.frames import Header
from nearfield_server.types import CollectionSpec

__all__ = ["Found", "Searcher", "WorkerLost", "to_header"]

Found = list[tuple[int, float]]
"""Rows and scores, best first."""

_FRAMES_OUT = 2
_FRAME_QUERIES = 64
_ROW_BYTES = 8
_START_SECONDS = 900.0  # without a word: a copy of some GiB takes a while


class WorkerLost(Exception):
    """A worker ended; `damaged`: because the generation's files aren't what they should be."""

    def __init__(self, reason: str, *, damaged: bool = False) -> None:
        """Say why, in a few words that hold nothing of a caller."""
        super().__init__(reason)
        self.damaged = damaged


@dataclass(frozen=True, slots=True, eq=False)
class _Asked:
    query: dict[str, Any]
    data: bytes
    answer: asyncio.Future[Found]


class Searcher:
    """One serving worker."""

    def __init__(self, spec: CollectionSpec, settings: IndexSettings, on_progress: Callable[[], None]) -> None:
        """Serve a generation of `spec`; `on_progress` hears whenever a figure below changes, and of the loss."""
        self.spec = spec
        self.ready = False
        """Whether it has caught up once."""
        self.applied = 0
        self.changes = 0
        """Rows that were written since the generation was built, as far as it knows."""
        self.points = 0
        """Points of the generation."""
        self.build_seconds = 0.0
        self.memory_bytes = 0
        self.lost: asyncio.Future[WorkerLost] = asyncio.get_running_loop().create_future()
        self._settings = settings
        self._on_progress = on_progress
        self._child: Child | None = None
        self._listener: asyncio.Task[None] | None = None
        self._waiting: deque[_Asked] = deque()
        self._out: deque[tuple[list[_Asked], asyncio.TimerHandle]] = deque()
        self._flushing = False

    @property
    def pid(self) -> int:
        """Its process; 0 before it was started."""
        return self._child.pid if self._child else 0

    async def start(self, index: Path, database: Path, copy: Path) -> None:
        """Start it, and wait until it has caught up. Raises `WorkerLost`."""
        header = {"op": "serve", "spec": pack_spec(self.spec), "database": str(database)}
        self._child = await start_worker({**header, "index": str(index), "copy": str(copy)})
        while not self.ready:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    answer, _ = await self._child.read()
            except (EOFError, OSError, TimeoutError) as error:
                raise WorkerLost("the worker ended while it started") from error
            self._take(answer, b"")
        self._listener = asyncio.create_task(self._listen())

    async def search(self, queries: Sequence[IndexQuery]) -> list[Found]:
        """Answer all queries. Raises `IndexNotReady`."""
        if self.lost.done():
            raise IndexNotReady("the worker was lost")
        loop = asyncio.get_running_loop()
        asked = []
        for query in queries:
            header, data = to_header(query, self.spec, self._settings)
            asked.append(_Asked(header, data, loop.create_future()))
        self._waiting.extend(asked)
        if not self._flushing:
            self._flushing = True
            loop.call_soon(self._flush)
        if len(asked) == 1:
            return [await asked[0].answer]
        answers = await asyncio.gather(*(one.answer for one in asked), return_exceptions=True)
        failed = next((one for one in answers if isinstance(one, BaseException)), None)
        if failed is not None:
            raise failed
        return [one for one in answers if not isinstance(one, BaseException)]

    def check(self) -> None:
        """Raise `WorkerLost` if it is lost."""
        if self.lost.done():
            raise self.lost.result()

    def written(self, sequence: int) -> None:
        """Tell of a commit."""
        if self._child is not None:
            self._child.send({"op": "written", "sequence": sequence})

    async def close(self, *, drained: bool = False) -> None:
        """End it; who waits gets `IndexNotReady` or, with `drained`, the answer. Nobody asks any more."""
        asked = [*self._waiting, *(one for frame, _ in self._out for one in frame)]
        if drained and asked:
            await asyncio.wait({one.answer for one in asked})
        self._lose(WorkerLost("it was closed"))
        if self._listener is not None:
            self._listener.cancel()
            await asyncio.wait({self._listener})
        if self._child is not None:
            await self._child.close()

    def _flush(self) -> None:
        self._flushing = False
        loop = asyncio.get_running_loop()
        while self._waiting and len(self._out) < _FRAMES_OUT and not self.lost.done() and self._child is not None:
            asked: list[_Asked] = []
            while self._waiting and len(asked) < _FRAME_QUERIES:
                one = self._waiting.popleft()
                if not one.answer.done():  # its caller has gone
                    asked.append(one)
            if asked:
                header = {"op": "search", "queries": [one.query for one in asked]}
                self._child.send(header, b"".join(one.data for one in asked))
                self._out.append((asked, loop.call_later(self._settings.answer_seconds, self._hung)))

    async def _listen(self) -> None:
        if self._child is None:  # this is a bug: `start` makes it
            raise RuntimeError("there is no worker to listen to")
        try:
            while True:
                self._take(*await self._child.read())
        except (EOFError, OSError):
            self._lose(WorkerLost("the worker ended"))
        except WorkerLost as lost:
            self._lose(lost)

    def _take(self, header: Header, data: bytes) -> None:
        match header["op"]:
            case "found":
                self._settle(header["counts"], data)
            case "failed":
                raise WorkerLost(f"the worker failed: {header['kind']}", damaged=header["damaged"])
            case _:
                self.ready = self.ready or header["op"] == "ready"
                self.applied, self.changes = header["applied"], header["changes"]
                self.memory_bytes, self.points = header["memory"], header["points"]
                self.build_seconds = header["build_seconds"]
                self._on_progress()

    def _settle(self, counts: Sequence[int], data: bytes) -> None:
        asked, timer = self._out.popleft()
        timer.cancel()
        total = sum(max(0, count) for count in counts)
        rows = np.frombuffer(data, "<u8", total).tolist()
        scores = np.frombuffer(data, "<f4", total, _ROW_BYTES * total).tolist()
        at = 0
        for one, count in zip(asked, counts, strict=True):
            if not one.answer.done():
                if count < 0:
                    one.answer.set_exception(IndexNotReady("query"))
                else:
                    one.answer.set_result(list(zip(rows[at : at + count], scores[at : at + count], strict=True)))
            at += max(0, count)
        self._flush()

    def _hung(self) -> None:
        self._lose(WorkerLost("the worker didn't answer in time"))

    def _lose(self, lost: WorkerLost) -> None:
        if self.lost.done():
            return
        self.lost.set_result(lost)
        if self._child is not None:
            self._child.kill()
        for asked, timer in self._out:
            timer.cancel()
            self._waiting.extend(asked)
        self._out.clear()
        for one in self._waiting:
            if not one.answer.done():
                one.answer.set_exception(IndexNotReady("the worker was lost"))
        self._waiting.clear()
        self._on_progress()


def to_header(query: IndexQuery, spec: CollectionSpec, settings: IndexSettings) -> tuple[dict[str, Any], bytes]:
    """Give a query as it goes into a frame, and its vector. Raises `IndexNotReady` for a filter it can't answer."""
    header: dict[str, Any] = {
        "tenant": query.tenant,
        "limit": query.limit,
        "plan": None if query.filter is None else plan_of(query.filter, spec.payload_indexes),
        "exclude": query.exclude_rows,
        "exact": query.exact,
        "ef": max(query.ef or settings.ef, query.limit),
        "oversampling": settings.oversampling,
    }
    if query.sparse is not None:
        if spec.keyword is None:
            raise IndexNotReady("the index holds no words")
        header["sparse"] = len(query.sparse.ids)
        data = pack_sparse(query.sparse)
    elif query.dense is not None:
        data = pack_vector(query.dense)
    else:  # this is a bug: the store gives one of them
        raise ValueError("a query has neither a dense nor a sparse vector")
    header["bytes"] = len(data)
    return header, data
