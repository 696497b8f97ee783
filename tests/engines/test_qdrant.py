"""What the suite of all engines doesn't ask of the one on Qdrant."""

import asyncio
import sys
from dataclasses import replace
from datetime import UTC, datetime
from types import SimpleNamespace

import numpy as np
import pytest
import qdrant_client
from qdrant_client.conversions.conversion import GrpcToRest, RestToGrpc, grpc_to_payload

from nearfield_server.engines import qdrant_calls
from nearfield_server.engines.qdrant import QdrantEngine, QdrantSettings
from nearfield_server.engines.qdrant_calls import Calls
from nearfield_server.engines.qdrant_filters import live_points
from nearfield_server.engines.qdrant_indexes import make_index
from nearfield_server.engines.qdrant_points import field_key, payload_of, point_uuid
from nearfield_server.engines.qdrant_session import Session, quantization_of
from nearfield_server.engines.qdrant_store import QdrantStore
from nearfield_server.errors import (
    AlreadyExists,
    ConfigError,
    DeadlineExceeded,
    FailedPrecondition,
    Unavailable,
    Unsupported,
)
from nearfield_server.types import (
    And,
    CollectionSpec,
    Consistency,
    Durability,
    Equals,
    Exists,
    FieldType,
    GeoBox,
    GeoPoint,
    GeoRadius,
    Hnsw,
    Ids,
    IndexState,
    KeywordOptions,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    ReadConsistency,
    Record,
    Selection,
    SimilarityMetric,
    TimeRange,
    UpsertMode,
    VectorQuantization,
    Words,
    WriteOrdering,
)

LOCAL = QdrantSettings(url=":memory:")
SPEC = CollectionSpec(
    name="docs",
    model="",
    model_version="",
    dimensions=2,
    metric=SimilarityMetric.DOT,
    keyword=None,
    quantization=VectorQuantization.INT8,
    hnsw=Hnsw(),
    payload_indexes={"kind": FieldType.KEYWORD},
    durability=Durability.PROCESS,
    ttl_seconds=None,
    created_at=datetime(2024, 1, 1, tzinfo=UTC),
)


class Failing:
    """A client whose calls end as listed."""

    def __init__(self, *outcomes):
        self.outcomes = list(outcomes)
        self.asked = []

    async def count(self, **arguments):
        self.asked.append(arguments)
        outcome = self.outcomes.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome


class RpcError(Exception):
    def __init__(self, name):
        super().__init__("secret text of a point")
        self.code = lambda: SimpleNamespace(name=name)


class HttpError(Exception):
    status_code = 503


@pytest.fixture
def waits(monkeypatch):
    """Seconds that were waited between attempts; no time passes."""
    found = []

    async def sleep(seconds):
        found.append(seconds)

    # For this module only: servers of other tests sleep too.
    monkeypatch.setattr(qdrant_calls, "asyncio", SimpleNamespace(**vars(asyncio) | {"sleep": sleep}))
    return found


async def test_calls_are_tried_again_while_the_cluster_cannot_answer(waits):
    client = Failing(RpcError("UNAVAILABLE"), HttpError(), 7)
    assert await Calls(client, 4, 30)("count", collection_name="c") == 7
    assert client.asked == [{"collection_name": "c"}] * 3
    assert len(waits) == 2
    assert 0.05 <= waits[0] <= 0.1 <= waits[1] <= 0.2


async def test_the_last_failure_is_told_with_the_time_to_come_back(waits):
    client = Failing(*[RpcError("UNAVAILABLE")] * 9)
    with pytest.raises(Unavailable) as caught:
        await Calls(client, 3, 30)("count", collection_name="c")
    assert caught.value.retry_after_seconds > 0
    assert "secret" not in caught.value.message
    assert len(client.asked) == 3


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (RpcError("DEADLINE_EXCEEDED"), DeadlineExceeded),
        (RpcError("NOT_FOUND"), FailedPrecondition),
        (RpcError("INTERNAL"), RpcError),
        (ValueError("x"), ValueError),
    ],
)
async def test_other_failures_are_told_at_once(error, expected, waits):
    client = Failing(error, 7)
    with pytest.raises(expected):
        await Calls(client, 3, 30)("count", collection_name="c")
    assert waits == []


async def test_a_missing_client_is_told_at_the_start(monkeypatch):
    monkeypatch.setitem(sys.modules, "qdrant_client", None)
    with pytest.raises(ConfigError, match=r"nearfield\[cpu,qdrant\]"):
        await QdrantEngine(LOCAL).start()


@pytest.mark.slow
async def test_a_missing_server_is_told_at_the_start():
    settings = QdrantSettings(url="http://127.0.0.1:9", grpc_port=9, attempts=1, timeout_seconds=1)
    with pytest.raises(ConfigError, match="no Qdrant server answers at http"):
        await QdrantEngine(settings).start()


async def test_collections_outlive_the_engine_and_strangers_are_left_alone(monkeypatch):
    client = qdrant_client.AsyncQdrantClient(":memory:")
    monkeypatch.setattr(qdrant_client, "AsyncQdrantClient", lambda **_: client)
    await client.create_collection("nearfield-stranger", vectors_config={})
    first, second = QdrantEngine(LOCAL), QdrantEngine(LOCAL)
    await first.start()
    await second.start()
    store = await first.create(SPEC)
    await store.upsert("", [Record(id=1, vector=np.ones(2, np.float32))], UpsertMode.UPSERT, wait=True, position=None)
    with pytest.raises(AlreadyExists):
        await second.create(SPEC)
    await second._look()
    (other,) = second.stores().values()
    assert other.spec == SPEC
    assert await other.count("", None, estimate=False) == (1, True)
    stats = await other.stats()
    assert (stats.points, stats.index_state) == (1, IndexState.READY)
    await first.drop("docs")
    await second._look()
    assert second.stores() == {}
    assert await client.collection_exists("nearfield-stranger")
    await second.close()
    await first.close()


async def test_points_past_their_time_are_swept():
    now = [1_700_000_000.0]
    engine = QdrantEngine(LOCAL, lambda: now[0])
    await engine.start()
    store = await engine.create(SPEC)
    vector = np.ones(2, np.float32)
    records = [Record(id=1, vector=vector, expires_at=now[0] + 1), Record(id=2, vector=vector)]
    await store.upsert("", records, UpsertMode.UPSERT, wait=True, position=None)
    now[0] += 5
    assert (await store.stats()).points == 2
    await store.sweep()
    assert (await store.stats()).points == 1
    await engine.close()


def test_numbers_grow_and_are_of_one_server():
    sessions = [Session(LOCAL, None, lambda: 1_700_000_000.0) for _ in range(2)]
    sessions[0]._slot, sessions[1]._slot = 3, 4
    numbers = [[one.number() for _ in range(1000)] for one in sessions]
    assert all(found == sorted(set(found)) for found in numbers)
    assert not set(numbers[0]) & set(numbers[1])
    assert max(numbers[0]) < 2**53, "a double holds them"


def test_ids_of_tenants_and_kinds_differ():
    found = {point_uuid(tenant, id_) for tenant in ("", "a", '["') for id_ in ("1", 1, "a", "")}
    assert len(found) == 12


def test_what_is_stored_of_a_payload():
    record = Record(
        id=1,
        text="Two words two",
        payload={"a": {"b": [1, 1.5, True, "x Y", None, [2]], '"q': 1}, "p%": {"lat": 1, "lon": 2}, "n": None},
    )
    stored = payload_of(record, "t", 5, 6)
    assert stored["words"] == ["two", "words"]
    assert stored["present"] == ["a", "a.b", "p%25", "p%25.lat", "p%25.lon"]
    assert stored["fields"]["a.b"] == {
        "n": [1.0, 1.5, 2.0],
        "c": ["1\x01n", "True\x01b", "2\x01n"],
        "d": ["1.5\x01n"],
        "k": ["x Y"],
        "w": [{"t": ["x", "y"]}],
    }
    assert stored["fields"]["p%25"] == {"g": [{"lat": 1.0, "lon": 2.0}]}
    assert field_key('p%."a.b"', "k") == 'fields."p%25.%22a.b%22".k'


def test_circles_are_drawn_on_our_earth():
    found = live_points("", 0.0, GeoRadius("a", GeoPoint(0, 0), 6_371_000.0))
    assert found.must[1].geo_radius.radius == pytest.approx(6_371_008.8)


EVERY_KIND = And(
    (
        Equals("a", "x"),
        OneOf('"a.b".c', (True, 1, 2.5, "\0")),
        NumberRange(field="a", gt=1.5),
        TimeRange(field="a", gte=datetime(1, 1, 2, tzinfo=UTC), lt=datetime(9999, 1, 1, 0, 0, 0, 123456, UTC)),
        Exists("a"),
        Prefix("a", "x"),
        GeoRadius("a", GeoPoint(1, 2), 3),
        GeoBox("a", GeoPoint(10, 170), GeoPoint(-10, -170)),
        Words("", ("a",)),
        Words("b", ("a",)),
        Not(Or((Ids((1, "1")),))),
    )
)


def pruned(value):
    """Leave out what is empty, and what float32 loses: the wire has radii so."""
    if isinstance(value, dict):
        found = {key: pruned(one) for key, one in value.items() if one is not None and one != []}
        return {key: round(one, 6) if key == "radius" else one for key, one in found.items()}
    return [pruned(one) for one in value] if isinstance(value, list) else value


def test_filters_and_points_pass_the_wire_unchanged():
    wanted = live_points("t", 5.0, EVERY_KIND, excluded=("x",), after=2**50)
    back = GrpcToRest.convert_filter(RestToGrpc.convert_filter(wanted))
    assert pruned(back.model_dump()) == pruned(wanted.model_dump())
    payload = {"s": "\0😀", "i": 2**53, "f": 3.0, "n": None, "l": [[], {}, [1]], "o": {"": {"a.b": True}}}
    stored = payload_of(Record(id=-(2**63), payload=payload), "t", 2**50, 2**50)
    point = qdrant_client.models.PointStruct(id=point_uuid("t", 1), vector={}, payload=stored)
    back = grpc_to_payload(RestToGrpc.convert_point_struct(point).payload)
    assert back == stored
    assert isinstance(back["payload"]["f"], float)
    assert isinstance(back["payload"]["i"], int)


def test_an_older_client_has_no_prefixes(monkeypatch):
    monkeypatch.delattr(qdrant_client.models, "MatchPrefix")
    with pytest.raises(Unsupported, match="prefix"):
        live_points("", 0.0, Prefix("a", "x"))


async def test_indexes_are_asked_for_of_a_server():
    asked = []

    async def calls(method, **arguments):
        asked.append((method, arguments["field_name"], arguments["field_schema"].value))

    await make_index(Session(QdrantSettings(url="http://x"), calls, lambda: 0.0), "c", "when", FieldType.DATETIME)
    assert asked == [
        ("create_payload_index", 'fields."when".t', "datetime"),
        ("create_payload_index", 'fields."when".k', "keyword"),
    ]
    assert quantization_of(SPEC).scalar.type.value == "int8"


async def test_points_are_made_into_messages_before_the_client_sees_them():
    asked = []

    async def calls(method, **arguments):
        asked.append((method, arguments))
        return []

    session = Session(QdrantSettings(url="http://x"), calls, lambda: 1_700_000_000.0)
    store = QdrantStore(session, "c", replace(SPEC, keyword=KeywordOptions()))
    record = Record(id="a", text="x", vector=np.ones(2, np.float32), payload={"n": 1})
    outcome = await store.upsert("t", [record], UpsertMode.UPSERT, wait=True, position=None)
    assert [method for method, _ in asked] == ["retrieve", "upsert"]
    assert (asked[1][1]["wait"], asked[1][1]["ordering"].value) == (True, "medium")
    (point,) = asked[1][1]["points"]
    assert isinstance(point, qdrant_client.grpc.PointStruct)
    assert point.id.uuid == point_uuid("t", "a")
    assert point.payload["version"].integer_value == outcome.version
    assert sorted(point.vectors.vectors.vectors) == ["dense", "keyword"]


@pytest.mark.parametrize("configured", [None, "majority", "quorum", "all"])
async def test_consistency_reaches_the_wire(configured):
    asked = []

    async def calls(method, **arguments):
        asked.append(arguments)
        return []

    session = Session(QdrantSettings(url="http://x", read_consistency=configured), calls, lambda: 1_700_000_000.0)
    store = QdrantStore(session, "c", SPEC)

    async def sent(consistency):
        asked.clear()
        at = store.at(consistency)
        await at.get("t", ["a"], Selection())
        await at.upsert(
            "t", [Record(id="a", vector=np.ones(2, np.float32))], UpsertMode.UPSERT, wait=True, position=None
        )
        read, _, write = asked
        given = read.get("consistency")
        message = None if given is None else RestToGrpc.convert_read_consistency(given)
        return message, RestToGrpc.convert_write_ordering(write["ordering"]).type

    kinds, orders = qdrant_client.grpc.ReadConsistencyType, qdrant_client.grpc.WriteOrderingType
    message, ordering = await sent(Consistency())
    assert ordering == orders.Medium
    assert (message is None) if configured is None else (message.type == kinds.Value(configured.title()))
    for read in ReadConsistency:
        message, _ = await sent(Consistency(read=read))
        if read is ReadConsistency.ONE:
            assert message.factor == 1
        else:
            assert message.type == kinds.Value(read.value.title())
    for order in WriteOrdering:
        assert (await sent(Consistency(write=order)))[1] == orders.Value(order.value.title())
    other = store.at(Consistency(read=ReadConsistency.ALL))
    store.refuse()
    with pytest.raises(FailedPrecondition, match="dropped"):
        await other.delete("t", ["a"], wait=True)
