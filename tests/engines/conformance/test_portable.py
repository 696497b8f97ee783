"""Reading across tenants, on every engine: tenants, everything, and what changed."""

from contextlib import aclosing

import numpy as np
import pytest

from nearfield_server.types import Consistency, PayloadKind, ReadConsistency, Record, UpsertMode, WriteOrdering

from .test_rules import point, put, spec, vector


async def everything(store, size):
    async with aclosing(store.export(size=size)) as parts:
        return [one async for part in parts for one in part]


def bare(owned):
    return [(one.tenant, one.record.id) for one in owned]


async def test_tenants_are_counted_by_name(engine, clock):
    store = await engine.create(spec())
    for tenant, count in {"": 1, "b": 3, "ä": 2, "a/\x00\N{GRINNING FACE}": 1}.items():
        await put(store, *[point(one) for one in range(count)], tenant=tenant)
    await put(store, point("x", expires_at=clock.now + 5), tenant="gone")
    clock.now += 6
    names = [("", 1), ("a/\x00\N{GRINNING FACE}", 1), ("b", 3), ("ä", 2)]
    assert await store.tenants(None, 100) == names
    assert await store.tenants("", 2) == names[1:3]
    assert await store.tenants("ä", 2) == []


async def test_all_points_are_given_whole_in_the_order_of_first_storing(engine, clock):
    store = await engine.create(spec())
    kept = Record(
        id="a",
        text="some words",
        vector=vector(30),
        payload={"at": "2024-01-02T03:04:05.000000Z", "n": {"deep": [1, 2.5, None]}},
        kinds={"at": PayloadKind.TIMESTAMP},
        expires_at=clock.now + 100,
    )
    await put(store, kept, tenant="t")
    await put(store, *[point(one, one) for one in range(5)])
    await put(store, point("a", 10), point("late", expires_at=clock.now + 1))
    await put(store, Record(id=3, payload={"new": True}), mode=UpsertMode.PAYLOAD)
    clock.now += 2
    for size in (1, 3, 100):
        found = await everything(store, size)
        assert bare(found) == [("t", "a"), ("", 0), ("", 1), ("", 2), ("", 3), ("", 4), ("", "a")]
    first = found[0].record
    assert (first.id, first.text, first.payload, first.kinds) == (kept.id, kept.text, kept.payload, kept.kinds)
    assert first.expires_at == pytest.approx(kept.expires_at)
    np.testing.assert_allclose(first.vector, kept.vector, atol=1e-6)
    assert found[4].record.payload == {"new": True}


async def test_an_empty_collection_has_nothing_to_give(engine):
    store = await engine.create(spec())
    assert await everything(store, 10) == []
    assert await store.tenants(None, 10) == []
    changes = await store.changes(0, 10)
    assert (changes.stored, changes.removed or [], changes.last) == ([], [], 0)


@pytest.mark.parametrize("limit", [1, 2, 1000])
async def test_following_changes_gives_the_collection_as_it_is(engine, limit):
    store = await engine.create(spec())
    copy, place = {}, 0

    async def follow():
        nonlocal place
        while (changes := await store.changes(place, limit)).last != place:
            for key in changes.removed or []:
                copy.pop(key, None)
            copy.update({(one.tenant, one.record.id): one.record for one in changes.stored})
            place = changes.last

    async def check():
        await follow()
        there = {(one.tenant, one.record.id): one.record for one in await everything(store, 100)}
        for key in [key for key in copy if key not in there]:
            assert (await store.changes(0, 1000)).removed is None, "only an engine that can't tell leaves any"
            del copy[key]
        assert copy.keys() == there.keys()
        for key, record in there.items():
            assert (copy[key].version, copy[key].payload) == (record.version, record.payload)

    for start in range(4):
        await put(store, *[point(one, one) for one in range(start * 3, start * 3 + 3)], tenant="ab"[start % 2])
    await check()
    await put(store, point(1, payload={"x": 1}), point("new"), tenant="a")
    await store.delete("a", [0, 2], wait=True)
    await store.delete("b", None, wait=True)
    await check()
    await put(store, point(2, 7), tenant="a")
    await put(store, point(4, 7), tenant="b")
    await check()


async def test_every_consistency_is_taken(engine):
    store = await engine.create(spec())
    for read in ReadConsistency:
        for write in WriteOrdering:
            at = store.at(Consistency(read, write))
            await put(at, point(1))
            assert (await at.count("", None, estimate=False))[0] == 1
