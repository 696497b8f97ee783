"""Worker processes that compute, and the queue before them.

Two lanes, so that a call that somebody waits for isn't behind a job of an hour. A worker is started when it is needed,
stays warm for the next computation, and ends when it has been idle or has grown. A cancelled computation kills its
worker: nothing of it is kept there.
"""

from __future__ import annotations

import asyncio
import enum
import importlib.util
import logging
import os
import signal
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from nearfield_server.errors import Draining, FailedPrecondition, NearfieldError, Overloaded, TooLarge, Unavailable
from nearfield_server.processes.child import Child
from nearfield_server.processes.frames import Frame, Header
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics

__all__ = ["ComputePool", "Lane", "PoolSettings", "Told", "check_installed"]

logger = logging.getLogger("nearfield.computing")

_MODULE = "nearfield_server.core.computing.worker"
_RETRY_SECONDS = 5.0
_KEEP_BELOW_BYTES = 1 << 30
"""A worker that holds more after its work isn't kept: its memory wouldn't come back."""
_START_SECONDS = 120.0
_STARVED = {-signal.SIGABRT, -signal.SIGSEGV}
"""How a worker ends where a library doesn't check what it allocates: to try again would end the same way."""

Told = Callable[[str, float], None]
"""Hears the stage and the share that is done."""


class Lane(enum.Enum):
    """Who waits: a caller for the reply, or nobody."""

    CALLS = "calls"
    JOBS = "jobs"


@dataclass(frozen=True, slots=True, kw_only=True)
class PoolSettings:
    """How many workers each lane has, how many may wait in each, and what a worker may take."""

    workers: int
    max_waiting: int
    threads: int
    memory_bytes: int
    idle_seconds: float
    cache_dir: Path


@dataclass(slots=True)
class _Idle:
    child: Child
    since: float


def check_installed(libraries: Sequence[str], extra: str) -> None:
    """Raise `FailedPrecondition` where libraries are missing, which `extra` installs."""
    missing = [one for one in libraries if importlib.util.find_spec(one) is None]
    if missing:
        text = f"this server was installed without {', '.join(missing)}: pip install 'nearfield[{extra}]'"
        raise FailedPrecondition("server", text)


class ComputePool:
    """Runs operations of `worker`. Used on the event loop."""

    def __init__(self, settings: PoolSettings, metrics: ClusterMetrics) -> None:
        """Start nothing yet."""
        self.settings = settings
        self._metrics = metrics
        self._slots = {lane: asyncio.Semaphore(settings.workers) for lane in Lane}
        self._waiting = dict.fromkeys(Lane, 0)
        self._idle: list[_Idle] = []
        self._busy: set[Child] = set()
        self._reaper: asyncio.Task[None] | None = None
        self._closing = False

    def __repr__(self) -> str:
        """Show what it does."""
        waiting = sum(self._waiting.values())
        return f"<ComputePool {len(self._busy)} working, {waiting} waiting, {len(self._idle)} idle>"

    @property
    def pids(self) -> list[int]:
        """The processes that are working."""
        return [one.pid for one in self._busy]

    def check_room(self, lane: Lane) -> None:
        """Raise `Overloaded` where so many wait that no more may."""
        if self._slots[lane].locked() and self._waiting[lane] >= self.settings.max_waiting:
            text = f"{self._waiting[lane]} computations wait, as many as may (cluster.max_waiting); try again"
            raise Overloaded(text, retry_after_seconds=_RETRY_SECONDS, limited_by="computations")

    @asynccontextmanager
    async def turn(self, lane: Lane) -> AsyncIterator[None]:
        """Wait for a free worker, which is the caller's for the block.

        Raises `Overloaded` where too many calls wait. Jobs were accepted already: they wait however many there are.
        """
        if lane is Lane.CALLS:
            self.check_room(lane)
        self._waiting[lane] += 1
        self._metrics.entered("queued")
        try:
            await self._slots[lane].acquire()
        finally:
            self._waiting[lane] -= 1
            self._metrics.left("queued")
        self._metrics.entered("running")
        try:
            yield
        finally:
            self._slots[lane].release()
            self._metrics.left("running")

    async def close(self) -> None:
        """End all workers."""
        self._closing = True
        if self._reaper is not None:
            self._reaper.cancel()
        children = [*self._busy, *(one.child for one in self._idle)]
        self._idle.clear()
        await asyncio.gather(*(child.close() for child in children))

    async def run(self, header: Header, data: bytes, told: Told) -> Frame:
        """Do an operation (`header["op"]`), in a `turn`; give its result. Cancelling ends it.

        Raises:
            TooLarge: it took more memory than a worker may.
            Unavailable: the worker was lost.
            NearfieldError: anything else went wrong; the log tells what.
        """
        child = await self._worker()
        self._busy.add(child)
        keep = False
        try:
            child.send({**header, "memory_bytes": self.settings.memory_bytes}, data)
            while True:
                answer, body = await child.read()
                if answer["op"] == "progress":
                    told(answer["stage"], answer["fraction"])
                elif answer["op"] == "done":
                    keep = answer["resident"] < _KEEP_BELOW_BYTES
                    return answer, body
                else:
                    raise self._failure(header["op"], answer["kind"])
        except (EOFError, OSError) as error:
            raise await self._lost(child) from error
        finally:
            self._busy.discard(child)
            if keep and not self._closing:
                self._rest(child)
            else:
                await child.close()

    async def _worker(self) -> Child:
        while self._idle:
            one = self._idle.pop()
            if one.child.running:
                return one.child
            await one.child.close()
        if self._closing:
            raise Draining("the server is stopping", retry_after_seconds=1.0)
        cache = self.settings.cache_dir
        await asyncio.to_thread(cache.mkdir, parents=True, exist_ok=True)
        threads = str(self.settings.threads)
        environment = {
            "NUMBA_NUM_THREADS": threads,
            "OMP_NUM_THREADS": threads,
            # Threads that spin while they wait take the cores from those that they wait for: a fit took 25 times as
            # long on a busy machine. numpy's own threads always spin; what is large goes through faiss.
            "OMP_WAIT_POLICY": "PASSIVE",
            "OPENBLAS_NUM_THREADS": "1",
            # Whoever set it has a reason: a folder that is filled when the image is built, for one.
            "NUMBA_CACHE_DIR": os.environ.get("NUMBA_CACHE_DIR", str(cache.absolute())),
        }
        child = await Child.start(_MODULE, environment)
        try:
            async with asyncio.timeout(_START_SECONDS):
                await child.read()
        except (EOFError, OSError, TimeoutError) as error:
            await child.close()
            raise Unavailable("a worker process didn't start", retry_after_seconds=_RETRY_SECONDS) from error
        except BaseException:
            await child.close()
            raise
        return child

    async def _lost(self, child: Child) -> NearfieldError:
        if self._closing:
            return Draining("the server is stopping", retry_after_seconds=1.0)
        status = await child.ended()
        if status < 0:
            logger.error("a worker ended by %s: it may have been out of memory", signal.Signals(-status).name)
        if status in _STARVED:
            return self._too_large("its process broke off, as it does where libraries get no more memory")
        text = "the worker process ended before it was done, maybe for want of memory: try fewer items"
        return Unavailable(text, retry_after_seconds=_RETRY_SECONDS)

    def _failure(self, operation: str, kind: str) -> NearfieldError:
        if kind == "memory":
            return self._too_large("it took too much memory")
        logger.error("the operation %s failed in its worker: %s", operation, kind)
        return NearfieldError(f"the computation failed in its worker: {kind}")

    def _too_large(self, why: str) -> TooLarge:
        limit = self.settings.memory_bytes
        text = f"{why}: at most {limit >> 20} MiB (cluster.memory_bytes) may be taken; try fewer items"
        return TooLarge(text, limit=limit)

    def _rest(self, child: Child) -> None:
        self._idle.append(_Idle(child, time.monotonic()))
        if self._reaper is None or self._reaper.done():
            self._reaper = asyncio.create_task(self._reap(), name="nearfield-compute-reaper")

    async def _reap(self) -> None:
        while self._idle:
            left = self._idle[0].since + self.settings.idle_seconds - time.monotonic()
            if left > 0:
                await asyncio.sleep(left)
                continue
            await self._idle.pop(0).child.close()
