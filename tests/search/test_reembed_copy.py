"""Copying a collection by another model, step by step, while it changes, over engines that tell deletes and don't."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nearfield_server.core.reembed_copy import ReembedCopy
from nearfield_server.core.reembeddings import ReembedCall, Reembedding, ReembedJournal, ReembedState
from nearfield_server.engines.exact import ExactEngine
from nearfield_server.errors import FailedPrecondition, TooLarge
from nearfield_server.types import (
    CollectionSpec,
    Durability,
    Hnsw,
    Priority,
    Record,
    Selection,
    SimilarityMetric,
    UpsertMode,
    VectorQuantization,
)

MADE = datetime(2026, 1, 2, 3, 4, 5, 678901, UTC)
SPEC = CollectionSpec(
    name="source",
    model="m",
    model_version="1",
    dimensions=2,
    metric=SimilarityMetric.DOT,
    keyword=None,
    quantization=VectorQuantization.NONE,
    hnsw=Hnsw(),
    payload_indexes={},
    durability=Durability.PROCESS,
    ttl_seconds=None,
    created_at=MADE,
)


def reembedding(**fields):
    call = ReembedCall(collection="source", **fields)
    spec = replace(SPEC, name="target", dimensions=3)
    return Reembedding(id="x", call=call, source="source", source_made=MADE, spec=spec, started_at=MADE)


class Vectors:
    """Vectors that tell which text they are of; at most `most` texts in a call."""

    def __init__(self, most=1000):
        self.most = most
        self.embedded = []

    async def embed(self, spec, inputs, *_):
        if len(inputs) > self.most:
            raise TooLarge("too many")
        self.embedded += inputs
        return np.array([vector_of(one) for one in inputs], np.float32).reshape(-1, spec.dimensions)

    async def document_words(self, *_):
        return None


def vector_of(text):
    return [len(text) + 1, sum(text.encode()) % 251, 1]


class Blind:
    """A store that can't tell what was deleted."""

    def __init__(self, store):
        self._store = store

    def __getattr__(self, name):
        return getattr(self._store, name)

    async def changes(self, after, limit):
        return replace(await self._store.changes(after, limit), removed=None)


def point(id_, text, number=0):
    vector = np.array([1, number + 1], np.float32)
    return Record(id=id_, text=text, vector=vector, payload={"n": number})


TENANTS = st.sampled_from(["", "t"])
IDS = st.integers(0, 5) | st.sampled_from(["a", "1"])
OPERATIONS = st.one_of(
    st.tuples(st.just("store"), TENANTS, IDS, st.sampled_from(["", "one", "two words", "é"])),
    st.tuples(st.just("payload"), TENANTS, IDS, st.integers(0, 9)),
    st.tuples(st.just("delete"), TENANTS, IDS),
    st.tuples(st.just("delete all"), TENANTS),
    st.tuples(st.just("step")),
    st.tuples(st.just("restart")),
)


async def apply(store, operation):
    match operation:
        case "store", tenant, id_, text:
            await store.upsert(tenant, [point(id_, text)], UpsertMode.UPSERT, wait=True, position=None)
        case "payload", tenant, id_, number:
            changed = [Record(id=id_, payload={"n": number})]
            await store.upsert(tenant, changed, UpsertMode.PAYLOAD, wait=True, position=None)
        case "delete", tenant, id_:
            await store.delete(tenant, [id_], wait=True)
        case "delete all", tenant:
            await store.delete(tenant, None, wait=True)


async def everything(store):
    found = {}
    for tenant, _ in await store.tenants(None, 100):
        page = await store.scroll(tenant, None, Selection(vector=True), limit=1000, cursor="")
        found |= {(tenant, one.id): one for one in page.records}
    return found


@pytest.mark.parametrize("blind", [False, True])
@settings(max_examples=150)
@given(operations=st.lists(OPERATIONS, max_size=30))
def test_whatever_happens_meanwhile_both_hold_the_same(blind, operations):
    async def go():
        engine = ExactEngine()
        await engine.start()
        store = await engine.create(SPEC)
        one = reembedding(skip_without_text=True)
        target = await engine.create(one.spec)
        source = Blind(store) if blind else store
        vectors = Vectors(most=2)
        copy = ReembedCopy(one, source, target, vectors)
        for operation in operations:
            if operation == ("step",):
                await copy.step(Priority.BULK)
            elif operation == ("restart",):
                copy = ReembedCopy(one, source, target, vectors)
            else:
                await apply(store, operation)
        assert await copy.finish()
        await copy.look()
        old, new = await everything(store), await everything(target)
        bare = {key for key, record in old.items() if not record.text}
        assert set(new) == set(old) - bare
        assert (one.copied, one.total, one.skipped) == (len(new), len(old), len(bare))
        for key, record in new.items():
            assert (record.text, record.payload) == (old[key].text, old[key].payload)
            np.testing.assert_array_equal(record.vector, np.array(vector_of(record.text), np.float32))
        await engine.close()

    asyncio.run(go())


async def both():
    engine = ExactEngine()
    await engine.start()
    one = reembedding()
    return one, await engine.create(SPEC), await engine.create(one.spec)


def test_a_text_is_embedded_once():
    async def go():
        one, source, target = await both()
        vectors = Vectors()
        copy = ReembedCopy(one, source, target, vectors)
        await apply(source, ("store", "", 1, "one"))
        await copy.step(Priority.BULK)
        await apply(source, ("payload", "", 1, 5))
        assert await copy.finish()
        one.position = 0
        assert await copy.finish()
        assert vectors.embedded == ["one"]
        (there,) = await target.get("", [1], Selection())
        assert there.payload == {"n": 5}

    asyncio.run(go())


def test_what_isnt_there_is_noticed():
    async def go():
        one, source, target = await both()
        copy = ReembedCopy(one, source, target, Vectors())
        await apply(source, ("store", "t", 1, "one"))
        await copy.step(Priority.BULK)
        await target.delete("t", [1], wait=True)
        assert not await copy.finish()
        one.position = 0
        assert await copy.finish()

    asyncio.run(go())


def test_points_that_vanish_dont_count():
    async def go():
        one, source, target = await both()
        copy = ReembedCopy(one, source, target, Vectors())
        soon = replace(point(1, "one"), expires_at=time.time() + 0.2)
        await source.upsert("", [soon, point(2, "two")], UpsertMode.UPSERT, wait=True, position=None)
        await copy.step(Priority.BULK)
        await asyncio.sleep(0.25)
        assert await copy.finish()

    asyncio.run(go())


def test_options_follow():
    async def go():
        one, source, target = await both()
        await source.update(replace(source.spec, ttl_seconds=60.0))
        assert await ReembedCopy(one, source, target, Vectors()).finish()
        assert (target.spec.ttl_seconds, target.spec.dimensions) == (60.0, 3)

    asyncio.run(go())


def test_a_point_without_text_is_named():
    async def go():
        one, source, target = await both()
        await apply(source, ("store", "", "a/b", ""))
        with pytest.raises(FailedPrecondition, match="'a/b' has no text"):
            await ReembedCopy(one, source, target, Vectors()).step(Priority.BULK)

    asyncio.run(go())


def test_the_journal_keeps_all(tmp_path):
    journal = ReembedJournal(tmp_path / "journal")
    assert journal.load() == []
    one = reembedding(aliases=("a", "b"), metric=SimilarityMetric.EUCLIDEAN, skip_without_text=True)
    one.state, one.moved, one.position, one.ended_at = ReembedState.SWAPPING, ("a",), 7, MADE
    one.error_reason, one.error_message = "UNAVAILABLE", "wait"
    journal.save(one)
    (tmp_path / "journal" / "torn.json").write_text('{"format": 1')
    (tmp_path / "journal" / "newer.json").write_text('{"format": 2}')
    assert journal.load() == [one]
    ended = [replace(one, id=str(number), state=ReembedState.DONE) for number in range(103)]
    for each in ended:
        journal.save(each)
    assert journal.trim([*ended, one]) == [*ended[3:], one]
    assert len(journal.load()) == 101
