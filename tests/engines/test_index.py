"""The index of a collection with real worker processes: it finds, follows, survives."""

from __future__ import annotations

import asyncio
import os
import signal
import sqlite3
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import pytest

from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.embedded.database import connect_writer
from nearfield_server.engines.embedded.exact_scores import idf
from nearfield_server.engines.embedded.index import (
    IndexNotReady,
    IndexQuery,
    IndexSettings,
    Rows,
    VectorIndex,
    generations,
)
from nearfield_server.engines.embedded.schema import create_tables
from nearfield_server.engines.embedded.writes import Upsert, delete_rows, upsert
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    Equals,
    FieldType,
    Hnsw,
    IndexState,
    KeywordOptions,
    Not,
    Record,
    SimilarityMetric,
    SparseRow,
    UpsertMode,
    VectorQuantization,
    Words,
)

pytestmark = pytest.mark.slow

WIDTH = 16
SPEC = CollectionSpec(
    name="c",
    model="",
    model_version="",
    dimensions=WIDTH,
    metric=SimilarityMetric.COSINE,
    keyword=KeywordOptions(),
    quantization=VectorQuantization.INT8,
    hnsw=Hnsw(),
    payload_indexes={"n": FieldType.INTEGER},
    durability=Durability.PROCESS,
    ttl_seconds=None,
    created_at=datetime(2026, 1, 1, tzinfo=UTC),
)
CALM = IndexSettings(rebuild_rows=10**6, quiet_seconds=1e6, restart_seconds=0.01)
"""Builds only where there is no generation."""


class World:
    """A database and what should be found in it."""

    def __init__(self, folder: Path, spec: CollectionSpec = SPEC) -> None:
        self.index = folder / "index"
        self.database = folder / "points.sqlite3"
        self.spec = spec
        self.connection = connect_writer(self.database, Durability.PROCESS)
        create_tables(self.connection, pack_spec(spec))
        self.random = np.random.default_rng(5)
        self.rows: dict[int, np.ndarray] = {}

    def vector(self) -> np.ndarray:
        vector = self.random.standard_normal(WIDTH).astype(np.float32)
        return vector / np.linalg.norm(vector) if self.spec.metric is SimilarityMetric.COSINE else vector

    def store(self, ids, tenant="") -> int:
        records = [
            Record(
                id=one,
                text=f"word{one % 3} all",
                vector=self.vector(),
                sparse=SparseRow(np.array([one % 3, 9], np.uint32), np.array([1.0, 0.5], np.float32)),
                payload={"n": one % 10},
            )
            for one in ids
        ]
        call = Upsert(tenant=tenant, records=records, mode=UpsertMode.UPSERT, position=None, now=0.0)
        self.connection.execute("BEGIN")
        kept = upsert(self.connection, call)
        self.connection.execute("COMMIT")
        self.rows.update({one.row: one.record.vector for one in kept.stored})
        return kept.sequence

    def delete(self, rows) -> int:
        self.connection.execute("BEGIN")
        kept = delete_rows(self.connection, list(rows))
        self.connection.execute("COMMIT")
        for row in rows:
            del self.rows[row]
        return kept.sequence

    def best(self, vector, count, among=None):
        scores = {row: float(one @ vector) for row, one in self.rows.items() if among is None or row in among}
        return sorted(scores, key=lambda row: -scores[row])[:count]

    @asynccontextmanager
    async def open(self, settings=CALM, spec=None):
        index = VectorIndex(self.index, self.database, spec or self.spec, settings)
        index.start()
        try:
            yield index
        finally:
            await index.close()


async def until(condition, seconds=30.0):
    """Wait for something that no event tells of."""
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - processes and files
            await asyncio.sleep(0.01)


async def ready(index):
    await until(lambda: index.state is IndexState.READY and not index.message)


async def nearest(index, vector, count=10, **options):
    (found,) = await index.search([IndexQuery(options.pop("tenant", ""), count, dense=vector, **options)])
    return found


@pytest.fixture
def world(tmp_path):
    made = World(tmp_path)
    yield made
    made.connection.close()


async def test_it_finds_follows_and_hands_over(world):
    world.store(range(300))
    world.store(range(1000, 1050), tenant="other")
    others = {row for row in world.rows if row > 300}
    async with world.open() as index:
        assert index.state is IndexState.BUILDING
        with pytest.raises(IndexNotReady):
            await nearest(index, world.vector())
        await index.wait_applied(2)  # at once: exact search sees everything
        await ready(index)
        assert index.memory_bytes > 0
        ours = set(world.rows) - others
        vector = world.vector()
        found = await nearest(index, vector)
        assert [row for row, _ in found] == world.best(vector, 10, ours)
        assert [score for _, score in found] == pytest.approx(
            [float(world.rows[r] @ vector) for r, _ in found], abs=1e-6
        )
        assert {row for row, _ in await nearest(index, vector, 100, tenant="other")} == others

        sequence = world.store([3, 5, 400, 401])
        index.written(sequence, 4)
        sequence = world.delete([10, 20, *world.best(vector, 3, ours)])
        index.written(sequence, 5)
        await index.wait_applied(sequence)
        assert index.applied == sequence
        ours = set(world.rows) - others
        assert [row for row, _ in await nearest(index, vector)] == world.best(vector, 10, ours)
        await _queries(world, index, vector, ours)

        await index.reconfigure(replace(world.spec, payload_indexes={"": FieldType.TEXT}))
        with pytest.raises(IndexNotReady, match="filter"):
            await nearest(index, vector, filter=Words("", ("word1",)))
        await until(lambda: (world.index / "CURRENT").read_text() == "gen-2" and not index.message)
        found = await nearest(index, vector, 500, filter=Words("", ("word1",)))
        assert {row for row, _ in found} == await _with_word(world, "word1")
        assert sorted(path.name.split("-")[0] for path in world.index.iterdir()) == ["CURRENT", "gen", "live"]
    assert sorted(path.name for path in world.index.iterdir()) == ["CURRENT", "gen-2"]


async def _queries(world, index, vector, ours):
    """Several at once; filters, exclusions, words, exact ones."""
    some = tuple(sorted(ours)[:40])
    excluded = tuple(world.best(vector, 5, ours))
    filtered, left_out, words, exact = await index.search(
        [
            IndexQuery("", 500, dense=vector, filter=Not(Equals("n", 4))),
            IndexQuery("", 10, dense=vector, exclude_rows=excluded, filter=Rows(some)),
            IndexQuery("", 500, sparse=SparseRow(np.array([1], np.uint32), np.ones(1, np.float32))),
            IndexQuery("", 10, dense=vector, exact=True, ef=4),
        ]
    )
    numbers = dict(world.connection.execute("SELECT row, json_extract(payload, '$.n') FROM points"))
    assert {row for row, _ in filtered} == {row for row in ours if numbers[row] != 4}
    assert [row for row, _ in left_out] == [row for row in world.best(vector, 15, set(some)) if row not in excluded][
        :10
    ]
    ids = dict(world.connection.execute("SELECT row, id FROM points"))
    assert {row for row, _ in words} == {row for row in ours if ids[row] % 3 == 1}
    assert [row for row, _ in exact] == world.best(vector, 10, ours)
    many = [asyncio.create_task(nearest(index, world.rows[row], 1)) for row in some * 5]
    many[3].cancel()
    found = await asyncio.gather(*many, return_exceptions=True)
    assert isinstance(found.pop(3), asyncio.CancelledError)
    assert [one[0][0] for one in found] == [row for number, row in enumerate(some * 5) if number != 3]


async def _with_word(world, word):
    texts = world.connection.execute("SELECT row, text FROM texts JOIN points USING (row) WHERE tenant = ''")
    return {row for row, text in texts if word in text.split()}


async def test_scores_of_words_are_exact_after_many_updates_and_deletes(world):
    """Edge's own IDF would count each of the replaced and deleted points until the next generation."""
    world.store(range(300))
    async with world.open() as index:
        await ready(index)
        for start in (0, 40, 80):
            world.store(range(start, start + 150))
        doomed = [row for row in world.rows if row % 4 == 0 or row % 3 == 1]
        sequence = world.delete(doomed)
        index.written(sequence, 500)
        await index.wait_applied(sequence)
        await _scores_of_words(world, index)
    async with world.open(replace(CALM, quiet_seconds=0.05)) as index:
        await until(lambda: (world.index / "CURRENT").read_text() == "gen-2" and not index.message)
        await _scores_of_words(world, index)
        sequence = world.store(range(50))
        index.written(sequence, 50)
        await index.wait_applied(sequence)
        await _scores_of_words(world, index)


async def _scores_of_words(world, index):
    ids = dict(world.connection.execute("SELECT row, id FROM points"))
    query = {0: 1.0, 1: 0.5, 2: 2.0, 9: 1.5, 77: 1.0}
    words = SparseRow(np.array(list(query), np.uint32), np.array(list(query.values()), np.float32))
    (found,) = await index.search([IndexQuery("", 500, sparse=words)])
    holding = {n: sum(id_ % 3 == n for id_ in ids.values()) for n in range(3)}
    expected = {
        row: query[id_ % 3] * idf(len(ids), holding[id_ % 3]) + query[9] * 0.5 * idf(len(ids), len(ids))
        for row, id_ in ids.items()
    }
    assert len(set(holding.values())) > 1
    assert {row for row, _ in found} == expected.keys()
    assert [score for _, score in found] == pytest.approx([expected[row] for row, _ in found], abs=1e-5)


async def test_a_killed_worker_costs_nobody_more_than_an_exact_search(world):
    world.store(range(200))
    async with world.open() as index:
        await ready(index)
        vector = world.vector()
        os.kill(index.worker_pid, signal.SIGSTOP)
        queries = [asyncio.create_task(nearest(index, vector)) for _ in range(20)]
        waiting = asyncio.create_task(index.wait_applied(10**6))
        await asyncio.sleep(0)
        first = index.worker_pid
        os.kill(first, signal.SIGKILL)
        outcomes = await asyncio.gather(*queries, return_exceptions=True)
        assert {type(one) for one in outcomes} == {IndexNotReady}
        await waiting
        sequence = world.store([7, 900])
        index.written(sequence, 2)
        await until(lambda: index.worker_pid not in {0, first})
        await index.wait_applied(sequence)
        assert [row for row, _ in await nearest(index, vector)] == world.best(vector, 10)


async def test_a_hung_worker_is_replaced(world):
    world.store(range(50))
    async with world.open(replace(CALM, answer_seconds=0.2)) as index:
        await ready(index)
        first = index.worker_pid
        os.kill(first, signal.SIGSTOP)
        with pytest.raises(IndexNotReady):
            await nearest(index, world.vector())
        await until(lambda: index.worker_pid not in {0, first})
        assert len(await nearest(index, world.vector())) == 10


async def test_workers_end_with_the_server(world):
    world.store(range(50))
    async with world.open() as index:
        await ready(index)
        pid = index.worker_pid
        index._serving._child._writer.close()  # what the worker sees when the server is gone
        await until(lambda: index.worker_pid not in {0, pid})
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def _flip(folder):
    path = max((folder / "gen-1" / "shard").rglob("*.dat"), key=lambda one: one.stat().st_blocks)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)


def _remove_folder(folder):
    for path in sorted(folder.rglob("*"), reverse=True):
        path.rmdir() if path.is_dir() else path.unlink()
    folder.rmdir()


def _leave_rubbish(folder):
    (folder / "making-9" / "shard").mkdir(parents=True)
    (folder / "live-1-1").mkdir()
    (folder / "CURRENT").write_bytes(b"\xff\xfe")


@pytest.mark.parametrize("damage", [_flip, _remove_folder, _leave_rubbish])
async def test_damage_is_found_and_the_index_built_anew(world, damage):
    world.store(range(60))
    async with world.open() as index:
        await ready(index)
    damage(world.index)
    world.store(range(40, 100))
    async with world.open() as index:
        await ready(index)
        vector = world.vector()
        assert [row for row, _ in await nearest(index, vector)] == world.best(vector, 10)
        assert generations.current(world.index, world.spec).sequence == 2
    assert len(list(world.index.iterdir())) == 2


async def test_a_good_generation_is_opened_again_and_caught_up(world):
    world.store(range(60))
    async with world.open() as index:
        await ready(index)
    before = {path: path.read_bytes() for path in sorted((world.index / "gen-1").rglob("*")) if path.is_file()}
    sequence = world.store(range(40, 100))
    async with world.open() as index:
        await ready(index)
        assert index.applied == sequence
        vector = world.vector()
        assert [row for row, _ in await nearest(index, vector)] == world.best(vector, 10)
    assert before == {path: path.read_bytes() for path in before}  # only copies are changed
    assert (world.index / "CURRENT").read_text() == "gen-1"


async def test_another_spec_is_built_anew_and_euclidean_scores_are_negative_distances(tmp_path):
    world = World(tmp_path, replace(SPEC, metric=SimilarityMetric.EUCLIDEAN, quantization=VectorQuantization.NONE))
    world.store(range(50))
    async with world.open(spec=SPEC) as index:
        await ready(index)
    async with world.open() as index:
        await ready(index)
        vector = world.vector()
        distances = {row: float(np.linalg.norm(one - vector)) for row, one in world.rows.items()}
        found = await nearest(index, vector)
        assert [row for row, _ in found] == sorted(distances, key=distances.get)[:10]
        assert [score for _, score in found] == pytest.approx([-distances[row] for row, _ in found], abs=1e-5)
        assert (world.index / "CURRENT").read_text() == "gen-2"
    world.connection.close()


async def test_an_index_that_cannot_be_built_says_so_and_comes_back(world):
    world.store(range(50))
    hidden = world.database.with_suffix(".away")
    world.connection.close()
    world.database.rename(hidden)
    async with world.open(replace(CALM, longest_restart_seconds=0.02)) as index:
        await until(lambda: index.state is IndexState.FAILED)
        assert "the builder failed: OperationalError" in index.message
        hidden.rename(world.database)
        world.connection = sqlite3.connect(world.database)
        await ready(index)
        assert index.message == ""


async def test_a_build_that_fails_leaves_the_serving_worker_alone(world):
    world.store(range(50))
    async with world.open(replace(CALM, longest_restart_seconds=0.02)) as index:
        await ready(index)
        pid = index.worker_pid
        index._database = world.database.with_name("missing")
        await index.reconfigure(replace(world.spec, quantization=VectorQuantization.NONE))
        await until(lambda: "could be built: the builder failed" in index.message)
        assert len(await nearest(index, world.vector())) == 10
        assert index.worker_pid == pid
        index._database = world.database
        await until(lambda: index.worker_pid not in {0, pid} and not index.message)
        assert len(await nearest(index, world.vector())) == 10


async def test_a_quiet_collection_ends_in_the_graph(world):
    world.store(range(50))
    async with world.open(replace(CALM, quiet_seconds=0.05)) as index:
        await ready(index)
        index.written(world.store(range(50, 60)), 10)
        asking = asyncio.create_task(_ask_on(index, world.vector()))
        await until(lambda: (world.index / "CURRENT").read_text() != "gen-1" and not index.message)
        assert generations.current(world.index, world.spec).points == 60
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):  # and no IndexNotReady: a hand-over costs nobody an answer
            await asking


async def _ask_on(index, vector):
    while True:
        assert len(await nearest(index, vector)) == 10
