import math
from datetime import UTC, datetime

import numpy as np
import pytest
from google.protobuf.timestamp_pb2 import Timestamp
from hypothesis import given
from hypothesis import strategies as st

from nearfield.v1 import search_pb2
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import payload as rpc_payload
from nearfield_server.types import PayloadKind, Record, Selection

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**53), 2**53) | TEXTS
    | st.floats(allow_nan=False, allow_infinity=False).filter(lambda x: not x.is_integer() or abs(x) > 2**53),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)  # fmt: skip


def message(**fields):
    found = search_pb2.Payload()
    found.fields.update(fields)
    return found


def read(found):
    return rpc_payload.payload_of("points[0].payload", found)


def refused(found, field=None):
    with pytest.raises(InvalidInput) as caught:
        read(found)
    assert caught.value.violations[0].field == (field or "points[0].payload")
    return caught.value.message


@given(st.dictionaries(TEXTS, VALUES, max_size=5))
def test_json_comes_back_as_it_was(payload):
    sent = rpc_payload.payload_message(Record(id=1, payload=payload))
    back, kinds = read(search_pb2.Payload.FromString(sent.SerializeToString()))
    assert back == payload
    assert kinds == {}
    assert {key: type(one) for key, one in back.items()} == {key: type(one) for key, one in payload.items()}


def test_instants_and_places_come_back_as_such():
    found = message(name="x")
    found.timestamps["born"].CopyFrom(Timestamp(seconds=1704164645, nanos=123456789))
    found.timestamps["old"].FromDatetime(datetime(1, 1, 1, tzinfo=UTC))
    found.geo_points["home"].latitude = -90
    payload, kinds = read(found)
    assert payload == {
        "name": "x",
        "born": "2024-01-02T03:04:05.123456Z",
        "old": "0001-01-01T00:00:00.000000Z",
        "home": {"lat": -90.0, "lon": 0.0},
    }
    assert kinds == {"born": PayloadKind.TIMESTAMP, "old": PayloadKind.TIMESTAMP, "home": PayloadKind.GEO}
    back = rpc_payload.payload_message(Record(id=1, payload=payload, kinds=kinds))
    found.timestamps["born"].nanos = 123456000
    assert back == found


def test_what_is_no_longer_an_instant_or_a_place_is_given_as_it_is():
    kinds = {"t": PayloadKind.TIMESTAMP, "g": PayloadKind.GEO}
    back = rpc_payload.payload_message(Record(id=1, payload={"t": "soon", "g": {"lat": 1.5}}, kinds=kinds))
    assert back == message(t="soon", g={"lat": 1.5})


@pytest.mark.parametrize("number", [math.nan, math.inf, -math.inf])
def test_numbers_that_are_no_json(number):
    assert "finite" in refused(message(a=number), "points[0].payload.fields")
    assert "finite" in refused(message(a=[number]), "points[0].payload.fields")


def test_integers_are_kept_as_such_where_a_double_holds_them():
    payload, _ = read(message(a=3.0, b=2.0**53, c=2.0**53 + 2, d=[-(2.0**53), 1.5]))
    assert payload == {"a": 3, "b": 2**53, "c": 2.0**53 + 2, "d": [-(2**53), 1.5]}
    assert isinstance(payload["b"], int)
    assert isinstance(payload["c"], float)
    assert [type(one) for one in payload["d"]] == [int, float]


def test_a_value_without_a_kind():
    found = search_pb2.Payload()
    found.fields.fields["a"].SetInParent()
    assert "null_value" in refused(found, "points[0].payload.fields")


@pytest.mark.parametrize("place", ["timestamps", "geo_points"])
def test_a_key_that_stands_twice(place):
    found = message(a=1)
    getattr(found, place)["a"].SetInParent()
    assert "two of" in refused(found)


def test_a_key_that_is_both_instant_and_place():
    found = search_pb2.Payload()
    found.timestamps["a"].SetInParent()
    found.geo_points["a"].SetInParent()
    assert "two of" in refused(found)


@pytest.mark.parametrize(("latitude", "longitude"), [(91, 0), (0, -181), (math.nan, 0)])
def test_places_off_the_earth(latitude, longitude):
    found = search_pb2.Payload()
    found.geo_points["a"].latitude, found.geo_points["a"].longitude = latitude, longitude
    refused(found, "points[0].payload.geo_points")


@pytest.mark.parametrize(
    "stamp", [Timestamp(seconds=2**62), Timestamp(seconds=-(2**40)), Timestamp(nanos=-1), Timestamp(nanos=10**9)]
)
def test_instants_that_are_none(stamp):
    found = search_pb2.Payload()
    found.timestamps["a"].CopyFrom(stamp)
    refused(found, "points[0].payload.timestamps")
    with pytest.raises(InvalidInput, match="expires_at"):
        rpc_payload.epoch_seconds("expires_at", stamp)


def test_too_many_keys_too_many_bytes_too_deep():
    assert read(message(**{str(one): 1 for one in range(1024)}))
    assert "1025 keys" in refused(message(**{str(one): 1 for one in range(1025)}))
    assert "1025 keys" in refused(message(a={str(one): 1 for one in range(1024)}))
    assert "at most 1048576" in refused(message(a="x" * (1 << 20)))
    deep = {"a": 1}
    for _ in range(31):
        deep = {"a": deep}
    assert read(message(**deep))[0] == deep
    assert "32 deep" in refused(message(a=deep), "points[0].payload.fields")
    nested = [1]
    for _ in range(31):
        nested = [nested]
    assert "32 deep" in refused(message(a=nested), "points[0].payload.fields")


@pytest.mark.parametrize("id_", ["a", "a/b", "nul\0", "🙂", "x" * 512, 0, -1, 2**63 - 1, -(2**63)])
def test_ids(id_):
    message = rpc_payload.point_id_message(id_)
    assert rpc_payload.point_id("id", message) == id_
    assert rpc_payload.point_ids("ids", [message]) == [id_]


@pytest.mark.parametrize(
    ("message", "field"),
    [
        (search_pb2.PointId(), "ids[0]"),
        (search_pb2.PointId(text=""), "ids[0].text"),
        (search_pb2.PointId(text="x" * 513), "ids[0].text"),
        (search_pb2.PointId(text="🙂" * 129), "ids[0].text"),
        (search_pb2.PointId(text="x" * 65536), "ids[0].text"),
    ],
)
def test_ids_that_are_none(message, field):
    with pytest.raises(InvalidInput) as caught:
        rpc_payload.point_ids("ids", [message])
    assert caught.value.violations[0].field == field


def test_too_many_ids():
    with pytest.raises(InvalidInput, match="10001 ids"):
        rpc_payload.point_ids("ids", [search_pb2.PointId(number=1)] * 10001)


def test_tenants():
    assert rpc_payload.tenant("tenant", "x" * 128) == "x" * 128
    for wrong in ("x" * 129, "é" * 65):
        with pytest.raises(InvalidInput, match="tenant: over 128 bytes"):
            rpc_payload.tenant("tenant", wrong)


def test_vectors():
    assert rpc_payload.vector_of("vector", np.arange(3, dtype="<f4").tobytes()).tolist() == [0, 1, 2]
    for wrong in (b"", b"12345"):
        with pytest.raises(InvalidInput, match="no float32"):
            rpc_payload.vector_of("vector", wrong)


def test_selections():
    chosen = search_pb2.PointSelection(
        include_fields=["a.b"], exclude_fields=['"x.y"'], without_payload=True, without_text=True, with_vector=True
    )
    assert rpc_payload.selection("select", chosen) == Selection(
        include=("a.b",), exclude=('"x.y"',), payload=False, text=False, vector=True
    )
    assert rpc_payload.selection("select", search_pb2.PointSelection()) == Selection()
    for wrong, field in ((["a", "a..b"], "select.include_fields[1]"), (["a"] * 1025, "select.include_fields")):
        with pytest.raises(InvalidInput) as caught:
            rpc_payload.selection("select", search_pb2.PointSelection(include_fields=wrong))
        assert caught.value.violations[0].field == field


def test_points_for_the_wire():
    vector = np.array([1, 2], np.float32)
    point = rpc_payload.point_message(
        Record(id="a", text="t", vector=vector, payload={"k": 1}, expires_at=1700000000.25, version=7)
    )
    assert (point.id.text, point.text, point.version) == ("a", "t", 7)
    assert np.frombuffer(point.vector, "<f4").tolist() == [1, 2]
    assert point.payload == message(k=1)
    assert rpc_payload.epoch_seconds("expires_at", point.expires_at) == 1700000000.25
    bare = rpc_payload.point_message(Record(id=5))
    assert bare == search_pb2.Point(id=search_pb2.PointId(number=5))
