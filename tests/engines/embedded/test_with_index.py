"""The store with its real index: what was waited for is found, what was deleted isn't."""

import asyncio
import random

import pytest

from nearfield_server.engines.embedded.index import IndexSettings
from nearfield_server.types import And, EngineQuery, Equals, FieldType, Ids, IndexState, Not, UpsertMode

WRITERS = 4
WRITES = 1200


@pytest.mark.slow
@pytest.mark.long
async def test_searches_see_what_was_waited_for_through_generations(running, kit):
    settings = IndexSettings(rebuild_rows=300, quiet_seconds=1.0)
    by_index = 0

    async def write(store, writer):
        nonlocal by_index
        chance, live = random.Random(writer), []
        for number in range(WRITES):
            id_ = f"{writer}/{number}" if chance.random() < 0.7 or not live else chance.choice(live)
            wanted = kit.record(id_, seed=chance.randrange(2**32), payload={"k": number % 5})
            others = [kit.record(f"{id_}/{n}", payload={"k": 9}) for n in range(2)]
            await kit.put(store, wanted, *others)
            live.append(id_)
            conditions = [None, Equals("k", number % 5), Ids((id_,)), And((Equals("k", number % 5), Not(Ids(("-",)))))]
            query = EngineQuery(tenant="", limit=5, dense=wanted.vector, filter=chance.choice(conditions))
            (ranked,) = await store.search([query])
            by_index += not ranked.exact
            assert ranked.hits[0].id == id_
            if chance.random() < 0.25:
                gone = live.pop(chance.randrange(len(live)))
                live = [one for one in live if one != gone]
                (record,) = await store.get("", [gone], kit.everything)
                assert await store.delete("", [gone], wait=True) == 1
                (ranked,) = await store.search([EngineQuery(tenant="", limit=5, dense=record.vector)])
                assert gone not in {hit.id for hit in ranked.hits}

    async with running(exact_below=300, index=settings) as engine:
        store = await engine.create(kit.spec(payload_indexes={"k": FieldType.INTEGER}))
        await asyncio.gather(*[write(store, writer) for writer in range(WRITERS)])
        assert by_index > 0
    async with running(exact_below=300, index=settings) as engine:
        store = engine.stores()["docs"]
        record = kit.record("after")
        await store.upsert("", [record], UpsertMode.UPSERT, wait=True, position=None)
        (ranked,) = await store.search([EngineQuery(tenant="", limit=1, dense=record.vector)])
        assert ranked.hits[0].id == "after"
        assert (await store.stats()).index_state in {IndexState.BUILDING, IndexState.READY}
