"""Searches: in memory, in one pass over the database, and by an index that may be late or wrong."""

import asyncio
import dataclasses
import math
from collections import Counter

import numpy as np
import pytest

from nearfield_server.engines.embedded.changes import read_changes
from nearfield_server.engines.embedded.database import connect_reader
from nearfield_server.engines.embedded.index import IndexNotReady, Rows
from nearfield_server.engines.embedded.known_rows import KnownRows
from nearfield_server.engines.embedded.recall import sample_queries
from nearfield_server.engines.embedded.searching import Searching
from nearfield_server.types import (
    And,
    EngineQuery,
    Equals,
    FieldType,
    Ids,
    IndexState,
    Not,
    Record,
    Selection,
    SimilarityMetric,
    UpsertMode,
)


def query(vector=None, limit=10, tenant="", **values):
    return EngineQuery(tenant=tenant, limit=limit, dense=vector, **values)


async def ask(store, *queries):
    """Ask in memory and, where that is over, over the database; both must say the same."""
    ranked = await store.search(queries)
    memory = store._truth.memory
    if memory is not None:
        store._truth.memory = None
        streamed = await store.search(queries)
        store._truth.memory = memory
        assert all(one.exact for one in [*ranked, *streamed])
        assert [one.hits for one in ranked] == [one.hits for one in streamed]
    return [one.hits for one in ranked]


@pytest.mark.parametrize("metric", SimilarityMetric)
async def test_exact_search_agrees_with_numpy(running, kit, metric):
    rng = np.random.default_rng(1)
    vectors = rng.standard_normal((300, kit.width)).astype(np.float32)
    if metric is SimilarityMetric.COSINE:
        vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    vectors[100:110] = vectors[7]
    async with running() as engine:
        store = await engine.create(kit.spec(metric=metric))
        await kit.put(store, *[Record(id=n, vector=vectors[n], payload={"n": n % 5}) for n in range(300)])
        hits, few, one = await ask(
            store,
            query(vectors[7], 20),
            query(vectors[7], 5, filter=Equals("n", 3), exclude=(8, 103)),
            query(vectors[0], 10_000),
        )
    wide = vectors.astype(np.float64)
    scores = -np.linalg.norm(wide - wide[7], axis=1) if metric is SimilarityMetric.EUCLIDEAN else wide @ wide[7]
    order = sorted(range(300), key=lambda n: (-np.float32(round(scores[n], 6)), n))
    assert [hit.id for hit in hits] == order[:20]
    assert np.allclose([hit.score for hit in hits], scores[order[:20]], atol=1e-5)
    assert [hit.id for hit in few] == [n for n in order if n % 5 == 3 and n not in {8, 103}][:5]
    assert len(one) == 300


async def test_words_are_ranked_by_bm25_over_all_tenants(running, kit):
    texts = {1: {10: 1.0, 20: 0.5}, 2: {10: 0.7}, 3: {30: 1.0}, 4: {}, 5: {20: 0.9, 10: 0.1}}
    async with running() as engine:
        store = await engine.create(kit.spec())
        for id_, words in texts.items():
            tenant = "other" if id_ == 5 else ""
            await kit.put(store, kit.record(id_, sparse=kit.sparse(words)), tenant=tenant)
        await kit.put(store, kit.record(3, sparse=kit.sparse({30: 1.0, 20: 0.2})))
        (hits,) = await ask(store, query(sparse=kit.sparse({10: 1.0, 20: 1.0, 99: 1.0})))
    idf = {word: math.log(1 + (5 - n + 0.5) / (n + 0.5)) for word, n in {10: 3, 20: 3}.items()}
    expected = {1: idf[10] + 0.5 * idf[20], 2: 0.7 * idf[10], 3: 0.2 * idf[20]}
    assert [hit.id for hit in hits] == [1, 2, 3]
    assert [hit.score for hit in hits] == pytest.approx([expected[n] for n in (1, 2, 3)], abs=1e-6)


async def test_searches_see_every_write_at_once(running, kit):
    """Random writes; memory moves its slots together several times, and is made anew at the start."""
    rng = np.random.default_rng(5)
    truth = {}
    async with running() as engine:
        store = await engine.create(kit.spec())
        for _ in range(60):
            ids = [int(n) for n in rng.integers(0, 80, 60)]
            if rng.random() < 0.2:
                assert await store.delete("", ids, wait=True) == len(truth.keys() & set(ids))
                truth = {id_: vector for id_, vector in truth.items() if id_ not in ids}
            else:
                records = [kit.record(id_, seed=int(rng.integers(1 << 30))) for id_ in ids]
                await kit.put(store, *records)
                truth.update({one.id: one.vector for one in records})
            (ranked,) = await store.search([query(kit.vector(3), 100)])
            assert {hit.id for hit in ranked.hits} == truth.keys()
        before = await ask(store, query(kit.vector(3), 100))
    async with running() as engine:
        assert await ask(engine.stores()["docs"], query(kit.vector(3), 100)) == before


async def test_expired_and_foreign_points_are_not_found(running, kit, clock):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(1, expires_at=clock.now + 5), kit.record(2))
        await kit.put(store, kit.record(3), tenant="other")
        (hits,) = await ask(store, query(kit.vector(0)))
        assert {hit.id for hit in hits} == {1, 2}
        await kit.put(store, Record(id=2, expires_at=clock.now + 4), mode=UpsertMode.PAYLOAD)
        clock.now += 4
        (hits,) = await ask(store, query(kit.vector(0)))
        assert {hit.id for hit in hits} == {1}
        (hits,) = await ask(store, query(kit.vector(0), tenant="nobody"))
        assert hits == []


async def test_a_large_collection_is_searched_without_memory(running, kit):
    async with running(exact_below=20) as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, *[kit.record(n) for n in range(50)])
        assert (await store.stats()).index_state is not IndexState.EXACT
    async with running(exact_below=20) as engine:
        store = engine.stores()["docs"]
        assert store._truth.memory is None
        (ranked,) = await store.search([query(kit.record(7).vector, exact=True)])
        assert ranked.hits[0].id == 7


class FakeIndex:
    """Gives the rows of a list, as many as are asked for."""

    def __init__(self):
        self.state, self.message, self.applied = IndexState.READY, "", 10**9
        self.rows, self.asked, self.waited = [], [], []

    def start(self):
        pass

    def written(self, sequence, rows):
        pass

    async def wait_applied(self, sequence):
        self.waited.append(sequence)

    async def search(self, queries):
        self.asked.append(queries)
        if self.state is not IndexState.READY:
            raise IndexNotReady("later")
        return [[(row, 1.0 - row / 1e6) for row in self.rows[: one.limit]] for one in queries]


@pytest.fixture
async def indexed(running, kit, clock):
    """A store of 40 points, rows 1 to 40, that is searched by a fake index."""
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, *[kit.record(n, payload={"odd": n % 2}) for n in range(1, 41)])
        index = FakeIndex()
        store._searching = Searching(store._truth, index, engine._threads, store.spec.metric, lambda: clock.now)
        store._searching.start_index()
        store._searching.leave_memory()
        yield store, index


async def test_hits_of_an_index_are_checked(indexed, kit, clock):
    store, index = indexed
    index.rows = [99, 4, 3, 2, 1]
    await kit.put(store, kit.record(2), tenant="x")  # row 41
    await store.delete("", [3], wait=True)
    index.rows = [41, 99, 4, 3, 2, 1]
    (ranked,) = await store.search([query(kit.vector(0), 10)])
    assert [hit.id for hit in ranked.hits] == [1, 2, 4]
    assert not ranked.exact
    assert index.waited == [2, 3]


async def test_the_recall_of_an_index_is_measured(indexed, monkeypatch):
    store, index = indexed
    monkeypatch.setattr(store, "_index", index)

    async def search(queries):
        first = 6 if queries[0].exact else 1
        return [[(row, 1.0 - row / 1e6) for row in range(first, first + 10)] for _ in queries]

    monkeypatch.setattr(index, "search", search)
    assert (await store.stats()).recall is None
    await store.measure_recall()
    assert (await store.stats()).recall == 0.5
    asked = await store._truth.long(sample_queries)
    assert len(asked) == 8
    assert {one.tenant for one in asked} == {""}
    index.state = IndexState.BUILDING
    assert (await store.stats()).recall is None


async def test_an_index_is_asked_for_more_when_too_few_are_left(indexed, kit):
    store, index = indexed
    index.rows = list(range(100, 130)) + list(range(1, 41))
    (ranked,) = await store.search([query(kit.vector(0), 10)])
    assert [hit.id for hit in ranked.hits] == list(range(1, 11))
    assert [one[0].limit for one in index.asked] == [10, 40]
    index.rows = list(range(100, 100_000))
    (ranked,) = await store.search([query(kit.vector(0), 10)])
    assert ranked.exact
    assert len(ranked.hits) == 10


async def test_a_late_index_does_not_break_filters(indexed, kit):
    store, index = indexed
    await kit.put(store, Record(id=1, payload={"odd": 0}), mode=UpsertMode.PAYLOAD)
    index.rows, index.applied = [1, 3], store._truth.sequence - 1
    store._searching._least_applied = 0
    (ranked,) = await store.search([query(kit.vector(0), 10, filter=Equals("odd", 1))])
    assert [hit.id for hit in ranked.hits] == [3]


async def test_ids_become_rows(indexed, kit):
    store, index = indexed
    wanted = And((Not(Ids((5, 77))), Equals("odd", 1)))
    await store.search([query(kit.vector(0), 10, filter=wanted, exclude=(6, 78))])
    (asked,) = index.asked[0]
    assert asked.filter == And((Not(Rows((5,))), Equals("odd", 1)))
    assert asked.exclude_rows == (6,)


async def test_what_was_waited_for_is_found_while_the_index_lacks_it(indexed, kit):
    store, index = indexed
    index.state, index.applied = IndexState.BUILDING, 0
    await kit.put(store, kit.record("new", vector=kit.vector(999)))
    (ranked,) = await store.search([query(kit.vector(999), 1)])
    assert ranked.hits[0].id == "new"
    index.state, index.applied, index.rows = IndexState.READY, store._truth.sequence - 1, [1]
    (ranked,) = await store.search([query(kit.vector(999), 1)])
    assert (ranked.exact, ranked.hits[0].id) == (True, "new")
    index.applied += 1
    (ranked,) = await store.search([query(kit.vector(999), 1)])
    assert not ranked.exact


async def test_memory_is_kept_until_the_index_has_caught_up(running, kit, clock):
    async with running() as engine:
        store = await engine.create(kit.spec())
        index = FakeIndex()
        index.state, index.applied = IndexState.BUILDING, 0
        store._searching = Searching(store._truth, index, engine._threads, store.spec.metric, lambda: clock.now)
        store._searching.start_index()
        await kit.put(store, kit.record(1))
        assert store._truth.memory is not None
        index.state, index.applied = IndexState.READY, 1
        await kit.put(store, kit.record(2))
        assert store._truth.memory is not None
        index.applied = 2
        await store.search([query(kit.vector(0), 1)])
        assert store._truth.memory is None


async def test_changes_are_what_the_index_lacks(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec(payload_indexes={"a": FieldType.KEYWORD}))
        await kit.put(store, *[kit.record(n, text="t", sparse=kit.sparse({n + 1: 1.0})) for n in range(5)])
        await kit.put(store, kit.record(2, payload={"a": 1}), tenant="t")
        await store.delete("", [0, 1], wait=True)
        await kit.put(store, Record(id=3, payload={"b": 1}), mode=UpsertMode.PAYLOAD)
        connection = connect_reader(store._truth.path)
        everything = read_changes(connection, 0, 100)
        seen = [(one.sequence, one.row, one.deleted) for one in everything]
        assert seen == [(1, 3, False), (1, 5, False), (2, 6, False), (3, 1, True), (3, 2, True), (4, 4, False)]
        assert everything[0].vector is not None
        assert (everything[0].text, everything[0].id, everything[2].tenant) == ("t", 2, "t")
        assert everything[-1].payload == {"b": 1}
        assert everything[-1].sparse is not None
        sizes = Counter(one.sequence for one in read_changes(connection, 0, 1))
        assert sizes == {1: 2}
        after, again = 0, []
        while found := read_changes(connection, after, 1):
            again += found
            after = found[-1].sequence
        assert [(one.sequence, one.row) for one in again] == [one[:2] for one in seen]
        connection.close()


async def test_many_searches_share_their_work(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, *[kit.record(n) for n in range(40)])
        alone = [await store.search([query(kit.vector(n))]) for n in range(40)]
        together = await asyncio.gather(*[store.search([query(kit.vector(n))]) for n in range(40)])
        assert together == alone
        changed = dataclasses.replace(store.spec, ttl_seconds=5.0)
        await store.update(changed)
        assert store.spec == changed


async def test_what_was_learnt_of_rows_is_never_older_than_the_truth(indexed, kit, clock):
    store, index = indexed
    index.rows = [1, 2, 3]
    truth = store._truth

    async def ids():
        return [hit.id for hit in (await store.search([query(kit.vector(0), 3)]))[0].hits]

    assert await ids() == [1, 2, 3]
    assert truth.known.find([1, 2, 3]) is not None
    sequence, seen = truth.known.sequence, truth.known.find([2])
    await store.delete("", [2], wait=True)
    truth.known.learn(sequence, seen)  # read before the write, learnt after it
    assert await ids() == [1, 3]
    await kit.put(store, Record(id=3, expires_at=clock.now + 1), mode=UpsertMode.PAYLOAD)
    assert await ids() == [1, 3]
    clock.now += 1
    assert await ids() == [1]
    assert truth.known.find([1, 3]) is not None
    (ranked,) = await store.search([query(kit.vector(0), 1, tenant="other")])
    assert ranked.hits == []


async def test_a_hit_of_the_index_brings_the_version_of_its_record(indexed, kit):
    store, index = indexed
    index.rows = [1, 2, 3]

    async def versions():
        (ranked,) = await store.search([query(kit.vector(0), 3)])
        kept = await store.get("", [hit.id for hit in ranked.hits], Selection(payload=False, text=False))
        assert [hit.version for hit in ranked.hits] == [one.version for one in kept]
        return [hit.version for hit in ranked.hits]

    before = await versions()
    await kit.put(store, Record(id=3, payload={"a": 1}), mode=UpsertMode.PAYLOAD)
    after = await versions()
    assert after[:2] == before[:2]
    assert after[2] > before[2]


def test_only_so_many_rows_are_known():
    known = KnownRows(2)
    known.learn(0, {row: ("", row, None, 1) for row in range(5)})
    assert [row for row in range(5) if known.find([row])] == [3, 4]
