"""Jobs that were accepted: they wait for each other and for room, and none is lost for want of it."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from nearfield_server.core.clustering.calls import ClusterCall
from nearfield_server.core.clustering.jobs import ClusterJobs, JobSettings, JobState, JobTools
from nearfield_server.core.clustering.nouns import FitOptions
from nearfield_server.core.computing.items import CollectionSource
from nearfield_server.core.computing.pool import ComputePool, Lane, PoolSettings
from nearfield_server.errors import Overloaded, Unavailable
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import EmbedOptions


class Gatherer:
    """Gathers nothing, after refusing so many times."""

    def __init__(self, refusals=()):
        self.refusals = list(refusals)
        self.closed = 0

    async def count(self, source, checker):
        return 5

    def begin(self, checker):
        if self.refusals:
            raise self.refusals.pop(0)
        return SimpleNamespace(matter=None, close=self.close)

    def close(self):
        self.closed += 1


class Clusterer:
    """Fits when it is told to."""

    def __init__(self):
        self.go = asyncio.Event()
        self.fitted = []

    def check(self, call):
        return None

    async def gather(self, call, gathered, told):
        told("read", 0.5)

    async def fit(self, call, gathered, told, id_):
        await self.go.wait()
        self.fitted.append(id_)


class World:
    """Jobs over fakes, in a folder."""

    def __init__(self, folder, refusals=(), max_waiting=1):
        self.clusterer, self.gatherer = Clusterer(), Gatherer(refusals)
        settings = PoolSettings(
            workers=1, max_waiting=max_waiting, threads=1, memory_bytes=1, idle_seconds=1.0, cache_dir=Path(folder)
        )
        pool = ComputePool(settings, Metrics([], version="1", effective_threads=1).cluster)
        kept = SimpleNamespace(has=lambda id_: id_ in self.clusterer.fitted)
        models = SimpleNamespace(draining=False)
        tools = JobTools(parse, self.clusterer, self.gatherer, pool, kept, models)
        self.jobs = ClusterJobs(tools, JobSettings(folder=Path(folder), max_attempts=2))

    async def __aenter__(self):
        await self.jobs.start()
        return self

    async def __aexit__(self, *_):
        await self.jobs.close()


async def until(condition):
    """Let others work until it holds."""
    for _ in range(10_000):
        if condition():
            return
        await asyncio.sleep(0.001)
    pytest.fail("it never held")


def parse(request):
    source = CollectionSource(collection=request.decode())
    return ClusterCall(options=FitOptions(k=1), embedding=EmbedOptions(), source=source, ttl_seconds=60.0)


@pytest.fixture
def hurry(monkeypatch):
    """Waits end at once, and are counted."""
    waits, sleep = [], asyncio.sleep

    async def quick(seconds):
        waits.append(seconds)
        await sleep(0)

    monkeypatch.setattr("nearfield_server.core.clustering.jobs.asyncio.sleep", quick)
    return waits


async def test_all_that_were_accepted_are_done_by_the_next_server(tmp_path):
    async with World(tmp_path, max_waiting=4) as first:
        ids = [(await first.jobs.begin(f"c{at}".encode())).id for at in range(4)]
    async with World(tmp_path, max_waiting=0) as second:
        second.clusterer.go.set()
        for id_ in ids:
            assert (await second.jobs.wait(id_, 10)).state is JobState.DONE
        assert sorted(second.clusterer.fitted) == sorted(ids)
        assert second.gatherer.closed == 4


async def test_more_than_may_wait_are_refused(tmp_path):
    async with World(tmp_path, max_waiting=1) as world:
        await world.jobs.begin(b"a")
        await until(lambda: world.jobs.all()[0].state is JobState.RUNNING)
        await world.jobs.begin(b"b")
        await until(lambda: world.jobs._tools.pool._waiting[Lane.JOBS])
        with pytest.raises(Overloaded):
            await world.jobs.begin(b"c")
        assert len(world.jobs.all()) == 2


async def test_want_of_room_is_no_failure(tmp_path, hurry):
    refusals = [Overloaded("full", retry_after_seconds=5.0) for _ in range(5)]
    async with World(tmp_path, refusals) as world:
        world.clusterer.go.set()
        job = await world.jobs.begin(b"a")
        ended = await world.jobs.wait(job.id, 10)
        assert (ended.state, ended.attempts) == (JobState.DONE, 1)
        assert hurry.count(5.0) == 5


async def test_a_lost_process_is_an_attempt(tmp_path, hurry):
    refusals = [Unavailable("lost", retry_after_seconds=5.0) for _ in range(5)]
    async with World(tmp_path, refusals) as world:
        job = await world.jobs.begin(b"a")
        ended = await world.jobs.wait(job.id, 10)
        assert (ended.state, ended.attempts, ended.error) == (JobState.FAILED, 2, ("UNAVAILABLE", "lost"))


async def test_what_was_noted_is_what_comes_back(tmp_path):
    async with World(tmp_path) as world:
        world.clusterer.go.set()
        job = await world.jobs.begin(b"a")
        await world.jobs.wait(job.id, 10)
        cancelled = await world.jobs.begin(b"b")
        await world.jobs.cancel(cancelled.id)
        before = {one.id: (one.state, one.request, one.created_at, one.ended_at, one.items) for one in world.jobs.all()}
        (tmp_path / "broken.json").write_text("{", "utf-8")
    async with World(tmp_path) as world:
        assert {
            one.id: (one.state, one.request, one.created_at, one.ended_at, one.items) for one in world.jobs.all()
        } == before
        assert world.jobs.get(job.id).created_at - datetime.now(UTC) < timedelta(0)
