"""What is acknowledged stays: kill -9, full disks, damaged files, two servers on one folder."""

import asyncio
import dataclasses
import os
import random
import resource
import signal
import sqlite3
import subprocess
import sys
import time
from collections import defaultdict
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nearfield_server.engines.embedded import schema
from nearfield_server.engines.embedded.engine import EmbeddedEngine
from nearfield_server.engines.embedded.gatherer import Gatherer
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.errors import ConfigError, Draining, FailedPrecondition, StorageFull
from nearfield_server.types import Durability, EngineQuery, IndexState, Record, Selection

SCRIPT = Path(__file__).with_name("crash_writer.py")
GROUP = 5


def write_and_kill(folder, start, acks):
    """Run the writer until it has told so many writes, kill it, and give the last number told of each stream."""
    command = [sys.executable, str(SCRIPT), str(folder), str(start)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        told = [process.stdout.readline() for _ in range(acks)]
        process.send_signal(signal.SIGKILL)
        rest = process.stdout.read()
        told += rest[: rest.rfind("\n") + 1].splitlines()  # the last line may be cut
    last = {}
    for line in told:
        stream, number = map(int, line.split())
        last[stream] = max(number, last.get(stream, 0))
    return last


async def check(store, start, last):
    """Every write told is there; no write is there by half; indexes, vectors and texts agree with the points."""
    page = await store.scroll("", None, Selection(vector=True), limit=10**6, cursor="")
    groups = defaultdict(list)
    for one in page.records:
        stream, group, _ = one.id.split("/")
        assert one.vector is not None
        assert one.text == str(one.payload["k"])
        groups[int(stream), int(group)].append((int(one.text), one.version))
    for points in groups.values():
        assert len(points) == GROUP
        assert len(set(points)) == 1
    for stream, number in last.items():
        for told in range(start, number + 1):
            assert groups[stream, told - (told % 3 == 2)][0][0] >= told
    counts = await store.facet("", "k", None, limit=10**6)
    assert sum(one.count for one in counts) == len(page.records)
    return max((int(number) for points in groups.values() for number, _ in points), default=0)


@pytest.mark.parametrize(
    "rounds", [pytest.param(4, marks=pytest.mark.slow), pytest.param(50, marks=[pytest.mark.slow, pytest.mark.long])]
)
async def test_kill_9_loses_no_acknowledged_write(running, tmp_path, rounds):
    folder, chance = tmp_path / "collections", random.Random(rounds)
    start, opened = 1, 0.0
    for _ in range(rounds):
        last = await asyncio.to_thread(write_and_kill, folder, start, chance.randrange(1, 400))
        began = time.perf_counter()
        async with running(folder) as engine:
            opened = max(opened, time.perf_counter() - began)
            start = 1 + await check(engine.stores()["docs"], start, last)
            start += (3 - start % 3) % 3
    print(f"opened after kill -9 in at most {opened:.3f} s")


async def test_a_full_database_refuses_one_call_and_takes_the_next(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(1))
        big = [Record(id=n, vector=kit.vector(n), text="x" * 20_000) for n in range(100, 130)]

        def limit(pages):
            return lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()

        (pages,) = await store._truth.change(lambda connection: connection.execute("PRAGMA page_count").fetchone())
        await store._truth.change(limit(pages + 10))
        small = [kit.put(store, kit.record(n)) for n in range(2, 6)]
        outcomes = await asyncio.gather(kit.put(store, *big), *small, return_exceptions=True)
        assert isinstance(outcomes[0], StorageFull)
        assert outcomes[0].retry_after_seconds > 0
        assert [one.stored for one in outcomes[1:]] == [1, 1, 1, 1]
        assert (await store.stats()).points == 5
        await store._truth.change(limit(10**6))
        assert (await kit.put(store, *big)).stored == 30
    async with running() as engine:
        assert (await engine.stores()["docs"].stats()).points == 35


@pytest.mark.parametrize("durability", Durability)
async def test_a_disk_that_takes_no_more_loses_nothing(running, kit, durability):
    """Writes fail beyond a limit on the size of files, as they do beyond a quota."""
    async with running() as engine:
        store = await engine.create(kit.spec(durability=durability))
        for number in range(20):
            await kit.put(store, kit.record(number))
        log = store._truth.path.with_name("points.sqlite3-wal")
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (log.stat().st_size + 20_000, hard))
        kept, refused = 20, 0
        try:
            for number in range(20, 40):
                try:
                    await kit.put(store, kit.record(number, text="y" * 5000))
                    kept += 1
                except StorageFull:
                    refused += 1
            assert refused > 0
            assert await store.count("", None, estimate=False) == (kept, True)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        await kit.put(store, kit.record("after"))
        assert (await store.stats()).points == kept + 1
    async with running() as engine:
        assert await engine.stores()["docs"].count("", None, estimate=False) == (kept + 1, True)


@pytest.mark.parametrize("harm", ["noise", "cut", "empty", "gone"])
async def test_a_damaged_collection_is_listed_and_the_others_live(running, kit, tmp_path, harm):
    async with running() as engine:
        for name in ("broken", "whole"):
            store = await engine.create(kit.spec(name))
            await kit.put(store, kit.record(1))
            await store.update(dataclasses.replace(store.spec, ttl_seconds=9.0))
    path = tmp_path / "collections" / "broken" / "points.sqlite3"
    if harm == "noise":
        path.write_bytes(os.urandom(20_000))
    elif harm == "cut":
        path.write_bytes(path.read_bytes()[:9000])
    elif harm == "empty":
        path.write_bytes(b"")
    else:
        path.unlink()
    async with running() as engine:
        broken, whole = engine.stores()["broken"], engine.stores()["whole"]
        assert await whole.count("", None, estimate=False) == (1, True)
        stats = await broken.stats()
        assert stats.index_state is IndexState.FAILED
        assert "delete the collection" in stats.index_message
        assert broken.spec == kit.spec("broken", ttl_seconds=9.0)
        with pytest.raises(FailedPrecondition, match="damaged"):
            await broken.count("", None, estimate=False)
        await engine.drop("broken")
        await kit.put(await engine.create(kit.spec("broken")), kit.record(1))


async def test_damage_found_later_fails_that_collection(running, kit, tmp_path):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, *[kit.record(n, text="z" * 3000) for n in range(400)])
    path = tmp_path / "collections" / "docs" / "points.sqlite3"
    with path.open("r+b") as file:
        file.seek(100 * 8192)
        file.write(os.urandom(60 * 8192))
    async with running() as engine:
        store = engine.stores()["docs"]
        with pytest.raises(FailedPrecondition, match="damaged"):
            await store.get("", list(range(400)), Selection())
        assert (await store.stats()).index_state is IndexState.FAILED
        with pytest.raises(FailedPrecondition, match="damaged"):
            await kit.put(store, kit.record(1))


async def test_a_newer_format_is_refused(running, kit, tmp_path):
    async with running() as engine:
        await engine.create(kit.spec())
    connection = sqlite3.connect(tmp_path / "collections" / "docs" / "points.sqlite3")
    schema.write_meta(connection, "format", schema.FORMAT + 1)
    connection.commit()
    connection.close()
    async with running() as engine:
        assert "newer server" in (await engine.stores()["docs"].stats()).index_message


async def test_files_of_the_first_format_are_brought_up_to_date(running, kit, tmp_path):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(1), kit.record(2), kit.record(3))
        await store.delete("", [1], wait=True)
    connection = sqlite3.connect(tmp_path / "collections" / "docs" / "points.sqlite3")
    connection.executescript("ALTER TABLE deleted DROP COLUMN tenant; ALTER TABLE deleted DROP COLUMN id;")
    schema.write_meta(connection, "format", 1)
    connection.commit()
    connection.close()
    for _ in range(2):
        async with running() as engine:
            store = engine.stores()["docs"]
            await store.delete("", [2], wait=True)
            changes = await store.changes(0, 100)
            assert ([one.record.id for one in changes.stored], changes.removed) == ([3], [("", 2)])


async def test_a_second_server_is_kept_out(running, tmp_path):
    async with running():
        other = EmbeddedEngine(tmp_path / "collections", EmbeddedSettings())
        with pytest.raises(ConfigError, match=f"in use by process {os.getpid()};"):
            await other.start()
        await other.close()
    async with running():
        pass


async def test_a_folder_that_cannot_be_used_is_said(tmp_path):
    (tmp_path / "file").write_text("")
    engine = EmbeddedEngine(tmp_path / "file" / "collections", EmbeddedSettings())
    with pytest.raises(ConfigError, match="can't be used"):
        await engine.start()
    await engine.close()


async def test_a_write_that_fails_leaves_its_batch_mates_alone(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await store._truth.change(lambda connection: connection.execute("PRAGMA synchronous").fetchone())

        def fail(connection):
            connection.execute("DELETE FROM points")
            raise ValueError("wrong")

        outcomes = await asyncio.gather(
            kit.put(store, kit.record(1)),
            store._truth.change(fail),
            kit.put(store, kit.record(2)),
            return_exceptions=True,
        )
        assert isinstance(outcomes[1], ValueError)
        assert await store.count("", None, estimate=False) == (2, True)


@pytest.mark.parametrize(("durability", "level"), [(Durability.PROCESS, 1), (Durability.DISK, 2)])
async def test_durability_is_sqlites(running, kit, durability, level):
    async with running() as engine:
        store = await engine.create(kit.spec(durability=durability))

        def read(connection):
            return [connection.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")]

        assert await store._truth.change(read) == ["wal", level]


async def test_writes_under_way_end_before_the_files_close(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        writes = [asyncio.ensure_future(kit.put(store, kit.record(n))) for n in range(50)]
        await asyncio.sleep(0)  # each has handed its write over
    assert [(await one).stored for one in writes] == [1] * 50
    for _ in range(2):
        with pytest.raises(Draining):
            await kit.put(store, kit.record(1))
    async with running() as engine:
        assert await engine.stores()["docs"].count("", None, estimate=False) == (50, True)


async def test_a_collection_that_cannot_be_made_leaves_nothing(running, kit, tmp_path):
    async with running() as engine:
        soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (10_000, hard))
        try:
            with pytest.raises(StorageFull):
                await engine.create(kit.spec())
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
        assert engine.stores() == {}
        assert [one.name for one in (tmp_path / "collections").iterdir()] == [".lock"]
        await kit.put(await engine.create(kit.spec()), kit.record(1))


async def test_what_waits_for_a_thread_when_the_server_stops_is_told():
    executor = ThreadPoolExecutor(1)
    gatherer = Gatherer(executor, list, most=1)
    assert await gatherer.ask(1) == 1
    waiting = [asyncio.ensure_future(gatherer.ask(number)) for number in range(3)]
    executor.shutdown()
    for outcome in await asyncio.gather(*waiting, return_exceptions=True):
        assert isinstance(outcome, Draining)


async def test_memory_that_cannot_follow_is_given_up(running, kit, monkeypatch):
    async with running() as engine:
        store = await engine.create(kit.spec())
        monkeypatch.setattr(store._truth.memory, "apply", lambda kept: 1 / 0)
        assert (await kit.put(store, kit.record(1))).stored == 1
        (ranked,) = await store.search([EngineQuery(tenant="", limit=1, dense=kit.vector(0))])
        assert [hit.id for hit in ranked.hits] == [1]


async def test_a_clean_end_empties_the_log(running, kit, tmp_path):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(1))
        await store.get("", [1], Selection())
    names = {one.name for one in (tmp_path / "collections" / "docs").iterdir() if one.is_file()}
    assert names == {"points.sqlite3", "spec.json"}
