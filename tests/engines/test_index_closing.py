"""Whenever an index is closed, no process of it is left."""

import asyncio
import os
import uuid
from pathlib import Path

import pytest
import uvloop

from nearfield_server.engines.embedded.index import IndexSettings, VectorIndex
from nearfield_server.processes import child as child_module

from .test_index import SPEC, World

pytestmark = pytest.mark.slow


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.connection.close()


def processes(mark):
    """The processes that carry `mark` in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if mark in (folder / "environ").read_bytes() and int(folder.name) != os.getpid():
                found.append(int(folder.name))
        except OSError:
            continue
    return found


@pytest.mark.parametrize("run", [asyncio.run, uvloop.run])
@pytest.mark.parametrize("process", [1, 2], ids=["builder", "server"])
@pytest.mark.parametrize("step", ["create_subprocess_exec", "open_unix_connection"])
@pytest.mark.parametrize("impatient", [False, True])
def test_a_child_that_is_just_made_is_ended_too(world, monkeypatch, run, process, step, impatient):
    mark = uuid.uuid4().hex
    monkeypatch.setenv("NEARFIELD_TEST_MARK", mark)
    world.store(range(20))
    seen = 0
    real = getattr(asyncio, step)

    async def main():
        there = asyncio.Event()

        async def slow(*args, **options):
            nonlocal seen
            seen += 1
            made = real(*args, **options)
            if seen != process:
                return await made
            there.set()
            if step == "create_subprocess_exec":
                return await made
            for _ in range(5):  # it is cancelled in the midst of it
                try:
                    await asyncio.sleep(0)
                except BaseException:
                    made.close()
                    raise
            return await made

        monkeypatch.setattr(asyncio, step, slow)
        index = VectorIndex(world.index, world.database, SPEC, IndexSettings())
        index.start()
        await there.wait()
        closing = asyncio.create_task(index.close())
        if impatient:
            await asyncio.sleep(0)
            closing.cancel()
            await asyncio.gather(closing, return_exceptions=True)
            await index.close()
        else:
            await closing
        assert processes(mark.encode()) == []

    assert child_module.asyncio is asyncio
    run(main())
