"""The derived vector index of one collection, as its store sees it.

One task looks after it: it opens the generation that counts, or has one built; serves it from a worker; has the next
one built when `policy` says so, lets another worker open that and catch up, and hands over within one turn of the loop.
A worker that is lost is replaced after a pause; damage, or three losses within half a minute of opening, cost the
generation.
"""

from __future__ import annotations

import asyncio
import itertools
import os
import time
from collections.abc import Coroutine, Sequence
from pathlib import Path
from typing import Any

from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.embedded.index import generations
from nearfield_server.engines.embedded.index.launch import start_worker
from nearfield_server.engines.embedded.index.policy import Situation, worth_building
from nearfield_server.engines.embedded.index.query import IndexNotReady, IndexQuery, IndexSettings
from nearfield_server.engines.embedded.index.searcher import Found, Searcher, WorkerLost
from nearfield_server.types import CollectionSpec, IndexState

__all__ = ["VectorIndex"]

_LOSSES_OF_A_GENERATION = 3
_LOSSES_UNTIL_FAILED = 5
_LOOK_SECONDS = 1.0
_SOUND_SECONDS = 30.0
_COUNTER = itertools.count(1)


class VectorIndex:
    """Finds rows near a vector; each answer may be late by some writes, and is checked by the store."""

    def __init__(self, folder: Path, database: Path, spec: CollectionSpec, settings: IndexSettings) -> None:
        """Keep the files in `folder`, which may be deleted at any time, and read the truth from `database`."""
        self._folder = folder
        self._database = database
        self._spec = spec
        self._settings = settings
        self._message = "the index is being opened"
        self._losses = self._failed_builds = 0
        self._serving: Searcher | None = None
        self._next: Searcher | None = None
        """A worker that has caught up once, and takes over as soon as it lacks nothing that was promised."""
        self._starting: Searcher | None = None
        self._written = 0
        self._promised = 0
        """A write that some caller was told searches see."""
        self._waiters: list[tuple[int, asyncio.Future[None]]] = []
        self._progressed = asyncio.Event()
        self._changed = asyncio.Event()
        self._written_at = self._built_at = self._opened_at = time.monotonic()
        self._copy = ""
        """The folder that the serving worker has opened."""
        self._workers: set[Searcher] = set()
        self._ending: set[asyncio.Future[None]] = set()
        self._task: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Give state and figures."""
        return f"<VectorIndex {self._folder.parent.name!r} {self.state.value} applied={self.applied} {self._message!r}>"

    def start(self) -> None:
        """Begin to open the last good generation, or to build one, in the background of the running loop."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())

    @property
    def state(self) -> IndexState:
        """BUILDING, READY or FAILED."""
        if self._serving is not None and not self._serving.lost.done():
            return IndexState.READY
        return IndexState.FAILED if self._losses >= _LOSSES_UNTIL_FAILED else IndexState.BUILDING

    @property
    def message(self) -> str:
        """What is going on, or ""."""
        return self._message

    @property
    def applied(self) -> int:
        """The number of the last write that searches see, now and after the next hand-over."""
        workers = [one for one in (self._serving, self._next) if one is not None and not one.lost.done()]
        return min((one.applied for one in workers), default=0)

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the serving worker; 0 without one."""
        return 0 if self._serving is None else self._serving.memory_bytes

    @property
    def worker_pid(self) -> int:
        """The process of the serving worker; 0 without one."""
        return 0 if self._serving is None else self._serving.pid

    async def search(self, queries: Sequence[IndexQuery]) -> list[Found]:
        """Give rows and scores for each query, best first.

        Raises:
            IndexNotReady: it can't answer now, or not with such a filter; search exactly.
        """
        if self._serving is None:
            raise IndexNotReady(self._message)
        return await self._serving.search(queries)

    def written(self, sequence: int, rows: int) -> None:  # noqa: ARG002 - the worker counts what it takes over
        """Hear of a commit: its number, and how many rows it changed."""
        self._written = max(self._written, sequence)
        self._written_at = time.monotonic()
        for one in (self._serving, self._starting):
            if one is not None:
                one.written(sequence)

    async def wait_applied(self, sequence: int) -> None:
        """Wait until searches see the write `sequence`, or the index isn't ready: exact search sees everything."""
        if self._must_wait(sequence):
            waiter: asyncio.Future[None] = asyncio.get_running_loop().create_future()
            self._waiters.append((sequence, waiter))
            await waiter
        self._promise(sequence)

    async def reconfigure(self, spec: CollectionSpec) -> None:
        """Take over other payload indexes or another quantisation, by a new generation in the background."""
        other = generations.fingerprint(spec) != generations.fingerprint(self._spec)
        self._spec = spec
        if other:
            self._changed.set()

    async def close(self) -> None:
        """End the workers. The generation stays."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])  # not `gather`: that hands a second cancellation on
            self._task = None
        if self._ending:
            await asyncio.wait(self._ending)
        self._message = "the index is closed"
        self._on_progress()

    def _must_wait(self, sequence: int) -> bool:
        workers = [one for one in (self._serving, self._next) if one is not None and not one.lost.done()]
        return any(one.applied < sequence for one in workers)

    def _promise(self, sequence: int) -> None:
        self._promised = max(self._promised, min(sequence, self._written))  # a worker can't wait for what isn't there

    def _on_progress(self) -> None:
        waiting = []
        for sequence, waiter in self._waiters:
            if waiter.done():
                continue
            if self._must_wait(sequence):
                waiting.append((sequence, waiter))
            else:
                self._promise(sequence)  # at once: a hand-over may come before the waiter runs
                waiter.set_result(None)
        self._waiters = waiting
        self._progressed.set()

    async def _run(self) -> None:
        try:
            await asyncio.to_thread(self._prepare)
            while True:
                try:
                    await self._serve()
                except (WorkerLost, OSError) as lost:
                    await self._recover(lost)
        finally:
            await self._drop_workers()
            await asyncio.to_thread(self._tidy)

    async def _serve(self) -> None:
        """Open a generation and serve from it, and from those that follow. Raises `WorkerLost`."""
        if await asyncio.to_thread(generations.current, self._folder, self._spec) is None:
            await self._build()
        await self._open()
        while self._serving is not None:
            await asyncio.to_thread(self._tidy, self._copy)
            self._message = ""
            await self._wait_for_work(self._serving)
            await self._renew(self._serving)

    async def _renew(self, old: Searcher) -> None:
        """Put a worker on a new generation in the place of `old`, which serves on where that fails."""
        try:
            await self._beside(self._build(), old)
            await self._beside(self._open(), old)
        except (WorkerLost, OSError) as failed:
            old.check()
            self._failed_builds += 1
            self._message = f"no generation of the index could be built: {_reason(failed)}"
            await _first(old.lost, timeout=self._pause(self._failed_builds))
            return
        self._failed_builds = 0
        await self._end(old, drained=True)

    async def _wait_for_work(self, serving: Searcher) -> None:
        """Wait until a new generation is wanted. Raises `WorkerLost`."""
        while True:
            serving.check()
            if time.monotonic() - self._opened_at > _SOUND_SECONDS:
                self._losses = 0
            other = generations.fingerprint(self._spec) != generations.fingerprint(serving.spec)
            if other or worth_building(self._situation(serving), self._settings):
                return
            changed = asyncio.ensure_future(self._changed.wait())
            try:
                await _first(changed, serving.lost, timeout=_LOOK_SECONDS)
            finally:
                changed.cancel()

    def _situation(self, serving: Searcher) -> Situation:
        now = time.monotonic()
        return Situation(
            points=serving.points,
            changes=serving.changes,
            since_build_seconds=now - self._built_at,
            since_write_seconds=now - self._written_at,
            build_seconds=serving.build_seconds,
        )

    async def _beside(self, work: Coroutine[Any, Any, None], serving: Searcher) -> None:
        """Do some work while a worker serves; its loss ends the work."""
        task = asyncio.ensure_future(work)
        try:
            await _first(task, serving.lost)
            if not task.done():
                serving.check()
            task.result()
        finally:
            task.cancel()
            await asyncio.wait([task])

    async def _build(self) -> None:
        """Have a generation built. Raises `WorkerLost`."""
        self._message = "a generation of the index is being built"
        self._changed.clear()
        making = await asyncio.to_thread(generations.making_folder, self._folder)
        header = {"op": "build", "spec": pack_spec(self._spec), "database": str(self._database)}
        child = await start_worker({**header, "making": str(making), "threads": self._settings.build_threads})
        try:
            answer, _ = await child.read()
        except (EOFError, OSError) as error:
            raise WorkerLost("the builder ended") from error
        finally:
            await child.close()
        if answer["op"] != "built":
            raise WorkerLost(f"the builder failed: {answer['kind']}")
        self._built_at = time.monotonic()

    async def _open(self) -> None:
        """Start a worker on the generation that counts, and let it take over. Raises `WorkerLost`."""
        copy = f"live-{os.getpid()}-{next(_COUNTER)}"
        fresh = Searcher(self._spec, self._settings, self._on_progress)
        self._workers.add(fresh)
        self._starting = fresh
        try:
            await fresh.start(self._folder, self._database, self._folder / copy)
            fresh.written(self._written)  # what it was told of while it started, it may not have heard
            self._next = fresh
            while fresh.applied < self._promised and not fresh.lost.done():
                self._progressed.clear()
                await self._progressed.wait()
            fresh.check()
            self._serving = fresh
        except BaseException:
            await self._end(fresh)
            raise
        finally:
            self._starting = self._next = None
        self._copy = copy
        self._opened_at = time.monotonic()

    async def _recover(self, lost: WorkerLost | OSError) -> None:
        self._losses += 1
        self._message = f"the index is being restored: {_reason(lost)}"
        await self._drop_workers()
        if (isinstance(lost, WorkerLost) and lost.damaged) or self._losses % _LOSSES_OF_A_GENERATION == 0:
            await asyncio.to_thread(generations.forget, self._folder)
        await asyncio.to_thread(self._tidy)
        await asyncio.sleep(self._pause(self._losses))

    def _pause(self, failures: int) -> float:
        longest = self._settings.longest_restart_seconds
        return min(longest, self._settings.restart_seconds * 2.0 ** min(failures - 1, 20))

    async def _drop_workers(self) -> None:
        self._serving = None
        for worker in list(self._workers):
            await self._end(worker)
        self._on_progress()

    async def _end(self, worker: Searcher, *, drained: bool = False) -> None:
        """Close a worker to the end, even where the task that waits for it is cancelled."""
        self._workers.discard(worker)
        ending = asyncio.ensure_future(worker.close(drained=drained))
        self._ending.add(ending)
        ending.add_done_callback(self._ending.discard)
        await asyncio.shield(ending)

    def _prepare(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._tidy()

    def _tidy(self, *keep: str) -> None:
        """Remove what isn't used any more."""
        generations.clean(self._folder, frozenset(keep))


def _reason(error: WorkerLost | OSError) -> str:
    return str(error) if isinstance(error, WorkerLost) else "its files or its process can't be made"


async def _first(*futures: asyncio.Future[Any], timeout: float | None = None) -> None:  # noqa: ASYNC109 - that of `wait`
    """Wait until one of them is done."""
    await asyncio.wait(futures, timeout=timeout, return_when=asyncio.FIRST_COMPLETED)
