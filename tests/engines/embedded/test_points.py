"""Points: modes, names, tenants, pages, time to live, streams."""

import asyncio
import dataclasses
import shutil

import pytest

from nearfield_server.engines.base import StreamPosition
from nearfield_server.errors import AlreadyExists, CollectionNotFound, FailedPrecondition, InvalidInput
from nearfield_server.types import (
    Durability,
    Equals,
    Exists,
    FacetCount,
    FieldType,
    Ids,
    PayloadKind,
    Record,
    Selection,
    UpsertMode,
    UpsertOutcome,
    Words,
)

EVERYTHING = Selection(vector=True)


async def test_a_point_comes_back_as_it_was_stored(running, kit):
    payload = {"n": 2**53, "big": 2**63 - 1, "deep": {"a": [1, 2.5, None, True]}, "time": "2024-01-02T03:04:05.000000Z"}
    record = kit.record("x", text="Hello", payload=payload, kinds={"time": PayloadKind.TIMESTAMP}, expires_at=2e9)
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, record)
    async with running() as engine:
        (found,) = await engine.stores()["docs"].get("", ["x"], EVERYTHING)
    assert (found.vector == record.vector).all()
    assert dataclasses.replace(found, vector=None) == dataclasses.replace(record, vector=None, version=1)


@pytest.mark.parametrize("id_", ["1", 1, -(2**63), 2**63 - 1, "", "a/../b", "\x00", "a\x00b", "😀", "x" * 512, "'; --"])
async def test_any_id_names_one_point(running, kit, id_):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(id_), kit.record("other"))
        assert [one.id for one in await store.get("", [id_], Selection())] == [id_]
        assert await store.count("", Ids((id_,)), estimate=False) == (1, True)
        assert await store.delete("", [id_], wait=True) == 1
        assert [one.id for one in (await store.scroll("", None, Selection(), limit=9, cursor="")).records] == ["other"]


async def test_a_string_and_an_integer_are_two_ids_and_tenants_are_apart(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record("1", text="word"), kit.record(1, text="number"))
        await kit.put(store, kit.record(1, text="theirs"), tenant="other\x00")
        assert [one.text for one in await store.get("", [1, "1"], Selection())] == ["number", "word"]
        assert [one.text for one in await store.get("other\x00", [1, "1"], Selection())] == ["theirs"]
        assert await store.delete("other\x00", None, wait=True) == 1
        assert await store.count("", None, estimate=True) == (2, True)


async def test_modes(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec(payload_indexes={"k": FieldType.KEYWORD}))
        first = kit.record(1, text="old", payload={"k": "a", "stays": 1})
        assert await kit.put(store, first) == UpsertOutcome(1, 0, 1)
        new = [kit.record(1, text="new", payload={"k": "b"}), kit.record(2, payload={"k": "b"})]
        assert await kit.put(store, *new, mode=UpsertMode.CREATE) == UpsertOutcome(1, 1, 2)
        assert (await store.get("", [1], Selection()))[0].text == "old"
        assert await kit.put(store, *new, kit.record(3), mode=UpsertMode.UPDATE) == UpsertOutcome(2, 1, 3)
        assert (await store.get("", [1], Selection()))[0].payload == {"k": "b"}
        over = [
            Record(id=1, payload={"more": [1]}, kinds={"more": PayloadKind.GEO}),
            Record(id=9, payload={"k": "c"}),
        ]
        assert await kit.put(store, *over, mode=UpsertMode.PAYLOAD) == UpsertOutcome(1, 1, 4)
        (found,) = await store.get("", [1], EVERYTHING)
        assert (found.text, found.payload, found.kinds) == (
            "new",
            {"k": "b", "more": [1]},
            {"more": PayloadKind.GEO},
        )
        assert found.vector is not None
        assert await store.facet("", "k", None, limit=5) == [FacetCount("b", 2)]


async def test_of_the_same_id_twice_the_last_counts(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        outcome = await kit.put(store, kit.record(1, text="first"), kit.record(1, text="last"))
        assert outcome == UpsertOutcome(1, 0, 1)
        assert (await store.get("", [1], Selection()))[0].text == "last"


async def test_a_message_of_a_stream_is_kept_once(running, kit, clock):
    async with running() as engine:
        store = await engine.create(kit.spec())
        place = StreamPosition("s", 5)
        assert await kit.put(store, kit.record(1, text="a"), position=place) == UpsertOutcome(1, 0, 1)
        again = await kit.put(store, kit.record(1, text="b"), position=place)
        assert again == UpsertOutcome(1, 0, 1)
        assert await kit.put(store, kit.record(1, text="c"), position=StreamPosition("s", 4)) == again
        assert (await store.get("", [1], Selection()))[0].text == "a"
        assert (await kit.put(store, kit.record(1, text="d"), tenant="t", position=place)).version == 2
    async with running() as engine:
        store = engine.stores()["docs"]
        assert (await kit.put(store, kit.record(1, text="e"), position=place)).version == 1
        clock.now += 25 * 3600
        await engine.sweep()
        assert (await kit.put(store, kit.record(1, text="f"), position=place)).version == 3


async def test_expired_points_are_not_given_and_are_swept(running, kit, clock):
    async with running() as engine:
        store = await engine.create(kit.spec())
        await kit.put(store, kit.record(1, expires_at=clock.now + 5), kit.record(2))
        clock.now += 5
        assert await store.get("", [1], Selection()) == []
        assert await store.count("", None, estimate=False) == (1, True)
        assert (await store.stats()).points == 2
        assert await kit.put(store, kit.record(1), mode=UpsertMode.UPDATE) == UpsertOutcome(0, 1, 2)
        await kit.put(store, kit.record(3, expires_at=clock.now - 1))
        await engine.sweep()
        assert (await store.stats()).points == 1
        assert await kit.put(store, kit.record(1), mode=UpsertMode.CREATE) == UpsertOutcome(1, 0, 5)


async def test_scroll_goes_on_in_the_order_of_first_storing(running, kit):
    async with running() as engine:
        store, other = await engine.create(kit.spec()), await engine.create(kit.spec("other"))
        for name in "dbca":
            await kit.put(store, kit.record(name, payload={"x": 1}))
        await kit.put(store, kit.record("b"))
        seen, cursor = [], ""
        while True:
            page = await store.scroll("", None, Selection(), limit=3, cursor=cursor)
            seen += [one.id for one in page.records]
            cursor = page.cursor or cursor
            if not page.cursor:
                break
        assert seen == ["d", "b", "c", "a"]
        page = await store.scroll("", Exists("x"), Selection(payload=False), limit=9, cursor="")
        assert [(one.id, one.payload) for one in page.records] == [("d", {}), ("c", {}), ("a", {})]
        for wrong in (cursor, "no cursor", "😀", cursor[:-2]):
            with pytest.raises(InvalidInput, match="cursor"):
                await other.scroll("", None, Selection(), limit=3, cursor=wrong)


async def test_many_ids_and_deleting_by_filter(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())
        vector = kit.vector(0)
        records = [Record(id=n, vector=vector, payload={"even": n % 2 == 0}) for n in range(2500)]
        await kit.put(store, *records)
        ids = list(range(10_000))
        assert [one.id for one in await store.get("", ids, Selection())] == list(range(2500))
        assert await store.count("", Ids(tuple(ids)), estimate=False) == (2500, True)
        assert await store.delete("", Equals("even", value=True), wait=True) == 1250
        assert await store.delete("", ids, wait=True) == 1250
        assert (await store.stats()).points == 0


async def test_payload_indexes_come_and_go_while_writes_go_on(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec(payload_indexes={"old": FieldType.KEYWORD}))
        await kit.put(store, *[kit.record(n, text=f"text {n % 3}", payload={"new": n % 7}) for n in range(1200)])
        indexes = {"new": FieldType.INTEGER, "": FieldType.TEXT}
        changed = dataclasses.replace(store.spec, payload_indexes=indexes, durability=Durability.DISK)
        await store.update(changed)
        await asyncio.gather(*[kit.put(store, kit.record(n, payload={"new": 3})) for n in range(5)])
        await store.filled()
        assert (await store.facet("", "new", None, limit=1)) == [FacetCount(3, 175)]
        assert await store.count("", Words("", ("text", "2")), estimate=False) == (399, True)
        assert store.spec.payload_indexes == indexes
    async with running() as engine:
        assert engine.stores()["docs"].spec.durability is Durability.DISK


async def test_collections_are_made_and_dropped(running, kit, tmp_path):
    async with running() as engine:
        store = await engine.create(kit.spec())
        with pytest.raises(AlreadyExists):
            await engine.create(kit.spec())
        for name in ("../up", ".hidden", "a/b", ""):
            with pytest.raises(InvalidInput, match="name"):
                await engine.create(kit.spec(name))
        await engine.drop("docs")
        with pytest.raises(FailedPrecondition, match="dropped"):
            await kit.put(store, kit.record(1))
        with pytest.raises(CollectionNotFound):
            await engine.drop("docs")
        again = await engine.create(kit.spec())
        assert (await again.stats()).points == 0
    half = tmp_path / "collections" / ".new-0123"
    half.mkdir()
    shutil.copytree(tmp_path / "collections" / "docs", tmp_path / "collections" / "copy")
    async with running() as engine:
        assert [(name, one.spec.name) for name, one in engine.stores().items()] == [("copy", "copy"), ("docs", "docs")]
        assert not half.exists()


async def test_many_write_and_read_at_once(running, kit):
    async with running() as engine:
        store = await engine.create(kit.spec())

        async def one(number):
            outcome = await kit.put(store, kit.record(number % 50, text=str(number)))
            (found,) = await store.get("", [number % 50], Selection())
            assert found.version >= outcome.version
            return outcome.version

        versions = await asyncio.gather(*[one(number) for number in range(300)])
        assert sorted(versions) == list(range(1, 301))
        assert await store.count("", None, estimate=False) == (50, True)


@pytest.mark.parametrize("indexes", [{}, {"v": FieldType.KEYWORD}, {"v": FieldType.INTEGER}])
async def test_facets_are_by_count_then_by_what_the_value_reads(running, kit, indexes):
    values = ["b", "a", "\x00", True, False, 1, "1", 10, 9, -3, 0.5, None, ["a", "a", 10], "😀"]
    async with running() as engine:
        store = await engine.create(kit.spec(payload_indexes=indexes))
        await kit.put(store, *[kit.record(n, payload={"v": value}) for n, value in enumerate(values)])
        counts = [(one.value, one.count) for one in await store.facet("", "v", None, limit=99)]
        assert counts[:2] == [(10, 2), ("a", 2)]
        assert [str(value) for value, _ in counts[2:]] == sorted(
            str(one) for one in ("b", "\x00", True, False, 1, "1", 9, -3, "😀")
        )
        assert [(one.value, one.count) for one in await store.facet("", "v", None, limit=2)] == counts[:2]
        assert [one.value for one in await store.facet("", "v", Ids((3, 5)), limit=9)] == [1, True]
