"""Jobs: clusterings of collections that nobody waits for.

    queued ─▶ running ─▶ done                 the result is kept; the job stays as long as it
       ▲         │  └──▶ failed, cancelled    kept for a day
       └─────────┘ the server's end, or its process's, cut it off: begun anew, `max_attempts` times at most

What was asked for is on the disk, as its request, before the caller hears of it, and how it ended before anybody is
told: whenever the server is killed, the next one finds what is true. A result that is there makes its job done,
whatever else was written.
"""

from __future__ import annotations

import asyncio
import base64
import difflib
import enum
import json
import logging
import time
import uuid
from collections.abc import AsyncGenerator, Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from nearfield_server.core.changes import Changes
from nearfield_server.core.clustering.calls import ClusterCall
from nearfield_server.core.clustering.clusterer import Clusterer, check_count
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.core.computing.gatherer import Gatherer
from nearfield_server.core.computing.items import CollectionSource
from nearfield_server.core.computing.pool import ComputePool, Lane
from nearfield_server.core.json_file import write_json
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.uncut import uncut
from nearfield_server.errors import (
    ClusteringNotFound,
    Draining,
    FailedPrecondition,
    InvalidInput,
    NearfieldError,
    Overloaded,
    StorageFull,
    Unavailable,
)

__all__ = ["ClusterJob", "ClusterJobs", "JobSettings", "JobState", "JobTools"]

logger = logging.getLogger("nearfield.cluster")

_TELL_SECONDS = 1.0
_SWEEP_SECONDS = 60.0
_ENDED_FOR = timedelta(days=1)
_RETRY_SECONDS = 2.0
_FORMAT = 1
_LEAST_FRACTION = 0.02
"""Of the work that must be done before the time that is left is told."""


class JobState(enum.Enum):
    """Life of a job."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    FAILED = "failed"
    CANCELLED = "cancelled"


@dataclass(slots=True, kw_only=True)
class ClusterJob:
    """A job, as it is now. `request`: what was asked for, as it came. `items` are those that match.

    `error` is of a FAILED one, as (reason, message).
    """

    id: str
    request: bytes
    call: ClusterCall
    created_at: datetime
    state: JobState = JobState.QUEUED
    attempts: int = 0
    items: int = 0
    ended_at: datetime | None = None
    error: tuple[str, str] | None = None
    stage: str = "queued"
    fraction: float = 0.0
    started: float = 0.0

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return self.state not in {JobState.QUEUED, JobState.RUNNING}

    @property
    def remaining_seconds(self) -> float | None:
        """Time that is left, an estimate; `None`: not known."""
        if self.state is not JobState.RUNNING or self.fraction < _LEAST_FRACTION:
            return None
        return (time.monotonic() - self.started) * (1.0 - self.fraction) / self.fraction


@dataclass(frozen=True, slots=True)
class JobTools:
    """What jobs are done with. `parse` gives the call of a request; it raises `InvalidInput`."""

    parse: Callable[[bytes], ClusterCall]
    clusterer: Clusterer
    gatherer: Gatherer
    pool: ComputePool
    kept: KeptClusterings
    models: ModelRegistry


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSettings:
    """`folder` holds the journal; a job is begun `max_attempts` times at most."""

    folder: Path
    max_attempts: int


class ClusterJobs:
    """Begins, follows and ends jobs. Used on the event loop."""

    def __init__(self, tools: JobTools, settings: JobSettings) -> None:
        """Nothing is read before `start`."""
        self._tools = tools
        self._settings = settings
        self._jobs: dict[str, ClusterJob] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changes = Changes()
        self._sweeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Show how many are under way."""
        return f"<ClusterJobs {len(self._tasks)} under way, {len(self._jobs)} known>"

    async def start(self) -> None:
        """Read the journal, and begin anew what was cut off; once there are collections."""
        self._jobs = await asyncio.to_thread(_load, self._settings.folder, self._tools.parse)
        for job in list(self._jobs.values()):
            if job.ended:
                continue
            if self._tools.kept.has(job.id):
                await self._end(job, JobState.DONE)
            else:
                self._spawn(job)
        self._sweeper = asyncio.create_task(self._sweep(), name="nearfield-cluster-jobs-sweeper")

    async def close(self) -> None:
        """Stop; what is under way is begun anew by the next server."""
        if self._sweeper is not None:
            self._sweeper.cancel()
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def all(self) -> list[ClusterJob]:
        """Give all that are known, newest first."""
        return sorted(self._jobs.values(), key=lambda one: one.created_at, reverse=True)

    def get(self, id_: str) -> ClusterJob:
        """Give one. Raises `ClusteringNotFound`."""
        if (found := self._jobs.get(id_)) is None:
            raise ClusteringNotFound(id_, tuple(difflib.get_close_matches(id_[:64], self._jobs)))
        return found

    async def begin(self, request: bytes) -> ClusterJob:
        """Queue what a request asks for.

        Raises:
            InvalidInput: the request is wrong, or there are fewer points than clusters.
            CollectionNotFound: of its name.
            FailedPrecondition: no point matches; and as `Clusterer.check`.
            TooLarge: it would take too much memory.
            Overloaded: too many wait.
            StorageFull: it can't be noted.
        """
        call = self._tools.parse(request)
        assert isinstance(call.source, CollectionSource)  # noqa: S101 - rpc makes no others
        checker = self._tools.clusterer.check(call)
        self._tools.pool.check_room(Lane.JOBS)
        count = await self._tools.gatherer.count(call.source, checker)
        check_count(call, count)
        job = ClusterJob(
            id=uuid.uuid4().hex[:12], request=request, call=call, created_at=datetime.now(UTC), items=count
        )
        await uncut(self._add(job))
        return job

    async def follow(self, id_: str) -> AsyncGenerator[ClusterJob, None]:
        """Give how far a job is: at once, with every change, about once a second, and at its end.

        Raises:
            ClusteringNotFound: there is none of that id.
            Draining: the server stops.
        """
        job = self.get(id_)
        while True:
            changed = asyncio.ensure_future(self._changes.wait())
            try:
                ended, before = job.ended, (job.state, job.stage, job.fraction)
                yield replace(job)
                if ended:
                    return
                deadline = time.monotonic() + _TELL_SECONDS
                while (job.state, job.stage, job.fraction) == before and time.monotonic() < deadline:
                    await asyncio.wait([changed], timeout=deadline - time.monotonic())
                    if changed.done():
                        changed = asyncio.ensure_future(self._changes.wait())
            finally:
                changed.cancel()
            if self._tools.models.draining and not job.ended:
                raise Draining("the server stops; the job is begun anew when it is back", retry_after_seconds=5.0)

    async def wait(self, id_: str, seconds: float | None) -> ClusterJob:
        """Wait for a job's end, but not longer than that; give it as it is. Raises as `follow`."""
        job = self.get(id_)
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                async for _ in self.follow(id_):
                    pass
        return job

    async def cancel(self, id_: str) -> ClusterJob:
        """End a job; one that has ended stays as it is. Raises `ClusteringNotFound`."""
        job = self.get(id_)
        if (task := self._tasks.get(id_)) is not None:
            task.cancel()
            await asyncio.wait([task])
        if not job.ended:
            await uncut(self._end(job, JobState.CANCELLED))
        return job

    async def forget(self, id_: str) -> None:
        """Delete a job that has ended. Raises `ClusteringNotFound` or `FailedPrecondition`."""
        job = self.get(id_)
        if not job.ended:
            raise FailedPrecondition(f"operations/{id_}", "the job hasn't ended: cancel it first")
        await self._remove(id_)

    def check_ended(self, id_: str) -> None:
        """Raise `FailedPrecondition` where a job of that id has no result: not yet, or never."""
        job = self._jobs.get(id_)
        if job is None or job.state is JobState.DONE:
            return
        if not job.ended:
            raise FailedPrecondition(f"operations/{id_}", f"its job is {job.state.value}: wait for it")
        reason = job.error[1] if job.error else "it was cancelled"
        raise FailedPrecondition(f"operations/{id_}", f"its job has no result: {reason}")

    async def _add(self, job: ClusterJob) -> None:
        await self._save(job)
        self._jobs[job.id] = job
        self._spawn(job)

    def _spawn(self, job: ClusterJob) -> None:
        task = asyncio.create_task(self._run(job), name=f"nearfield-cluster-{job.id}")
        self._tasks[job.id] = task
        task.add_done_callback(lambda _: self._tasks.pop(job.id, None))

    async def _run(self, job: ClusterJob) -> None:
        while not job.ended:
            try:
                await self._try(job)
            except Draining:
                return
            except Overloaded as error:  # other callers' items are in the way: it hasn't failed
                job.attempts -= 1
                await asyncio.sleep(error.retry_after_seconds)
            except (Unavailable, StorageFull) as error:
                if job.attempts >= self._settings.max_attempts:
                    await self._failed(job, error)
                    return
                logger.warning("a clustering job is begun anew", extra={"id": job.id, "reason": error.message})
                await asyncio.sleep(error.retry_after_seconds or _RETRY_SECONDS)
            except NearfieldError as error:
                await self._failed(job, error)
            except Exception:
                logger.exception("a clustering job failed", extra={"id": job.id})
                await self._failed(job, NearfieldError("internal error: the server's log has the cause"))

    async def _try(self, job: ClusterJob) -> None:
        if job.attempts >= self._settings.max_attempts:
            text = f"it was begun {job.attempts} times, and each time its process or the server ended before it did"
            raise NearfieldError(text)
        job.state, job.stage, job.fraction = JobState.QUEUED, "queued", 0.0
        self._changes.notify()
        async with self._tools.pool.turn(Lane.JOBS):
            job.state, job.attempts, job.started = JobState.RUNNING, job.attempts + 1, time.monotonic()
            await self._save(job)  # before it can take the server down with it

            def told(stage: str, fraction: float) -> None:
                job.stage, job.fraction = stage, fraction
                self._changes.notify()

            told("read", 0.0)
            gathered = self._tools.gatherer.begin(self._tools.clusterer.check(job.call))
            try:
                await self._tools.clusterer.gather(job.call, gathered, told)
                job.items = 0 if gathered.matter is None else len(gathered.matter)
                await self._tools.clusterer.fit(job.call, gathered, told, id_=job.id)
            finally:
                gathered.close()
        await uncut(self._end(job, JobState.DONE))

    async def _failed(self, job: ClusterJob, error: NearfieldError) -> None:
        job.error = (error.reason, error.message)
        await uncut(self._end(job, JobState.FAILED))

    async def _end(self, job: ClusterJob, state: JobState) -> None:
        job.ended_at = datetime.now(UTC)
        # The disk hears of it first: nobody is told what the next server wouldn't know.
        try:
            await self._save(replace(job, state=state))
        except StorageFull as error:
            logger.warning("the end of a clustering job can't be noted", extra={"id": job.id, "reason": error.message})
        job.state, job.stage = state, state.value
        if state is JobState.DONE:
            job.fraction = 1.0
        self._changes.notify()

    async def _save(self, job: ClusterJob) -> None:
        file = self._settings.folder / f"{job.id}.json"
        try:
            await asyncio.to_thread(write_json, file, _packed(job))
        except OSError as error:
            raise StorageFull(f"{file} can't be written: {error.strerror}", retry_after_seconds=5.0) from error

    async def _remove(self, id_: str) -> None:
        self._jobs.pop(id_, None)
        await asyncio.to_thread((self._settings.folder / f"{id_}.json").unlink, missing_ok=True)

    async def _sweep(self) -> None:
        while True:
            now = datetime.now(UTC)
            for job in list(self._jobs.values()):
                over = job.state is JobState.DONE and not self._tools.kept.has(job.id)
                if over or (
                    job.ended_at is not None and job.ended_at + _ENDED_FOR <= now and job.state is not JobState.DONE
                ):
                    await self._remove(job.id)
            await asyncio.sleep(_SWEEP_SECONDS)


_NOTED = ("id", "attempts", "items")


def _packed(job: ClusterJob) -> dict[str, Any]:
    return {
        "format": _FORMAT,
        **{name: getattr(job, name) for name in _NOTED},
        "state": job.state.value,
        "created_at": job.created_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
        "error": job.error,
        "request": base64.b64encode(job.request).decode(),
    }


def _load(folder: Path, parse: Callable[[bytes], ClusterCall]) -> dict[str, ClusterJob]:
    jobs = {}
    for file in folder.glob("*.json") if folder.is_dir() else ():
        try:
            plain = json.loads(file.read_bytes())
            if plain["format"] != _FORMAT:
                raise ValueError(plain["format"])  # noqa: TRY301
            request = base64.b64decode(plain["request"])
            job = ClusterJob(
                **{name: plain[name] for name in _NOTED},
                state=JobState(plain["state"]),
                created_at=datetime.fromisoformat(plain["created_at"]),
                ended_at=None if plain["ended_at"] is None else datetime.fromisoformat(plain["ended_at"]),
                error=None if plain["error"] is None else (plain["error"][0], plain["error"][1]),
                request=request,
                call=parse(request),
            )
        except (OSError, ValueError, KeyError, TypeError, InvalidInput) as error:
            logger.warning("%s can't be read (%s): this job isn't known any more", file, type(error).__name__)
            continue
        job.stage, job.fraction = job.state.value, float(job.state is JobState.DONE)
        jobs[job.id] = job
    return jobs
