import json
import urllib.request
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from nearfield.v1 import embed_pb2, search_pb2
from nearfield_server.config.settings import Config
from nearfield_server.errors import ConfigError


def test_a_collection_of_the_default_model(search):
    name = search.make()
    found = search("GetCollection", collection=name).collection
    assert (found.name, found.model, found.dimensions) == (name, "all-MiniLM-L6-v2", 384)
    assert len(found.model_version) == 12
    assert found.metric == embed_pb2.SIMILARITY_METRIC_COSINE
    assert (found.keyword_search.language, round(found.keyword_search.k, 3)) == ("english", 1.2)
    assert found.quantization == search_pb2.VECTOR_QUANTIZATION_INT8
    assert (found.hnsw.m, found.hnsw.ef_construct) == (16, 128)
    assert found.durability == search_pb2.DURABILITY_PROCESS
    assert (found.engine, found.points, found.index_state) == ("embedded", 0, search_pb2.INDEX_STATE_EXACT)
    assert not found.HasField("ttl")
    assert found.created_at.seconds > 1_700_000_000
    listed = [one.name for one in search("ListCollections").collections]
    assert name in listed
    assert listed == sorted(listed)


def test_a_collection_of_vectors(search):
    name = search.make(
        dimensions=3,
        metric=embed_pb2.SIMILARITY_METRIC_DOT,
        keyword_search=search_pb2.KeywordSearch(disabled=True),
        quantization=search_pb2.VECTOR_QUANTIZATION_NONE,
        hnsw=search_pb2.HnswOptions(m=8, ef_construct=64),
        payload_indexes={"a.b": search_pb2.FIELD_TYPE_KEYWORD},
        durability=search_pb2.DURABILITY_DISK,
        ttl=Duration(seconds=60),
    )
    found = search("GetCollection", collection=name).collection
    assert (found.model, found.model_version, found.dimensions) == ("", "", 3)
    assert found.metric == embed_pb2.SIMILARITY_METRIC_DOT
    assert found.keyword_search.disabled
    assert (found.hnsw.m, found.hnsw.ef_construct) == (8, 64)
    assert dict(found.payload_indexes) == {"a.b": search_pb2.FIELD_TYPE_KEYWORD}
    assert found.durability == search_pb2.DURABILITY_DISK
    assert found.ttl.seconds == 60


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": "a/b"}, "name"),
        ({"name": "../x"}, "name"),
        ({"name": "nul\0"}, "name"),
        ({"name": "x" * 65}, "name"),
        ({"name": "x", "dimensions": 65537}, "dimensions"),
        ({"name": "x", "dimensions": 2**32 - 1}, "dimensions"),
        ({"name": "x", "model": "all-MiniLM-L6-v2", "dimensions": 385}, "dimensions"),
        ({"name": "x", "metric": 99}, "metric"),
        ({"name": "x", "quantization": 99}, "quantization"),
        ({"name": "x", "durability": 99}, "durability"),
        ({"name": "x", "payload_indexes": {"a": 0}}, "payload_indexes"),
        ({"name": "x", "payload_indexes": {"a": 99}}, "payload_indexes"),
        ({"name": "x", "payload_indexes": {"a..b": 1}}, "payload_indexes"),
        ({"name": "x", "payload_indexes": {str(one): 1 for one in range(65)}}, "payload_indexes"),
        ({"name": "x", "ttl": Duration(seconds=-1)}, "ttl"),
        ({"name": "x", "ttl": Duration(seconds=2**60)}, "ttl"),
        ({"name": "x", "hnsw": search_pb2.HnswOptions(m=3)}, "hnsw.m"),
        ({"name": "x", "hnsw": search_pb2.HnswOptions(ef_construct=4000)}, "hnsw.ef_construct"),
        ({"name": "x", "keyword_search": search_pb2.KeywordSearch(language="klingon")}, "keyword_search.language"),
        ({"name": "x", "keyword_search": search_pb2.KeywordSearch(k=float("nan"))}, "keyword_search.k"),
        ({"name": "x", "keyword_search": search_pb2.KeywordSearch(b=1.5)}, "keyword_search.b"),
        ({"name": "x", "keyword_search": search_pb2.KeywordSearch(average_words=0)}, "keyword_search.average_words"),
    ],
)
def test_what_is_no_collection(search, fields, field):
    failure = search.refused("CreateCollection", **fields)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


def test_an_unknown_model(search):
    assert search.refused("CreateCollection", name="x", model="nobody").reason == "MODEL_NOT_FOUND"


def test_a_name_is_given_once(search):
    name = search.make(dimensions=2)
    failure = search.refused("CreateCollection", name=name)
    assert failure.code == "ALREADY_EXISTS"
    assert failure.resource == ("nearfield.v1.Collection", f"collections/{name}")
    search("SetCollectionAlias", alias=f"{name}-alias", collection=name)
    assert search.refused("CreateCollection", name=f"{name}-alias").code == "ALREADY_EXISTS"
    assert search.refused("SetCollectionAlias", alias=name, collection=name).code == "ALREADY_EXISTS"


def test_unknown_names(search):
    name = search.make(dimensions=2)
    for rpc in ("GetCollection", "UpdateCollection", "DeleteCollection", "Count", "Scroll"):
        failure = search.refused(rpc, collection=f"{name}x")
        assert failure.code == "NOT_FOUND"
        assert failure.resource == ("nearfield.v1.Collection", f"{name}x")
        assert name in failure.message
    for wrong in ("../../etc/passwd", "", "x" * 256):
        assert search.refused("GetCollection", collection=wrong).code == "NOT_FOUND"
    assert search.refused("GetCollection", collection="a\nb").code == "INVALID_ARGUMENT"


def test_what_may_be_changed(search):
    name = search.make(dimensions=2, payload_indexes={"a": search_pb2.FIELD_TYPE_INTEGER})
    found = search(
        "UpdateCollection",
        collection=name,
        add_payload_indexes={"b": search_pb2.FIELD_TYPE_TEXT},
        drop_payload_indexes=["a"],
        ttl=Duration(seconds=5),
        quantization=search_pb2.VECTOR_QUANTIZATION_NONE,
        durability=search_pb2.DURABILITY_DISK,
    ).collection
    assert dict(found.payload_indexes) == {"b": search_pb2.FIELD_TYPE_TEXT}
    assert (found.ttl.seconds, found.durability) == (5, search_pb2.DURABILITY_DISK)
    assert found.quantization == search_pb2.VECTOR_QUANTIZATION_NONE
    # What isn't set stays.
    again = search("UpdateCollection", collection=name).collection
    again.disk_bytes = found.disk_bytes
    assert again == found
    assert not search("UpdateCollection", collection=name, ttl=Duration()).collection.HasField("ttl")
    wrong = search.refused("UpdateCollection", collection=name, drop_payload_indexes=["a"])
    assert wrong.field == "drop_payload_indexes[0]"
    wrong = search.refused("UpdateCollection", collection=name, add_payload_indexes={"b": 1})
    assert wrong.field == "add_payload_indexes"


def test_aliases(search, wire):
    old, new = search.make(dimensions=2), search.make(dimensions=2)
    alias = f"{old}-live"
    search.upsert(old, wire.point(1, vector=[1, 0]))
    assert search("SetCollectionAlias", alias=alias, collection=old).previous == ""
    assert search("Count", collection=alias).count == 1
    assert list(search("GetCollection", collection=alias).collection.aliases) == [alias]
    assert search.refused("DeleteCollection", collection=old).code == "FAILED_PRECONDITION"
    assert search.refused("DeleteCollection", collection=alias).code == "FAILED_PRECONDITION"
    assert search("SetCollectionAlias", alias=alias, collection=new).previous == old
    assert search("Count", collection=alias).count == 0
    search("DeleteCollection", collection=old)
    assert search("SetCollectionAlias", alias=alias).previous == new
    assert search.refused("Count", collection=alias).code == "NOT_FOUND"
    assert search.refused("SetCollectionAlias", alias=alias).code == "NOT_FOUND"
    assert search.refused("SetCollectionAlias", alias=alias, collection="nobody").code == "NOT_FOUND"
    assert search.refused("SetCollectionAlias", alias="a/b", collection=new).field == "alias"


def test_a_deleted_collection_is_gone_with_its_points(search, server, wire):
    name = search.make(dimensions=2)
    search.upsert(name, wire.point(1, vector=[1, 0]))
    folder = Path(server.server._config.data_dir) / "collections" / name
    assert folder.is_dir()
    search("DeleteCollection", collection=name)
    assert not folder.exists()
    assert search.refused("GetCollection", collection=name).code == "NOT_FOUND"
    search("CreateCollection", name=name, dimensions=3)
    assert search("Count", collection=name).count == 0


@pytest.mark.slow
def test_what_a_restart_finds(run_server, open_search, tmp_path, wire):
    config = Config(
        listen="127.0.0.1:0", http="127.0.0.1:0", data_dir=tmp_path, search={"max_collections": 2, "durability": "disk"}
    )
    with run_server(config) as server:
        search = open_search(server.target)
        search("CreateCollection", name="docs")
        search("SetCollectionAlias", alias="live", collection="docs")
        search.upsert("live", wire.point("a", "a dog barks", n=1))
        before = search("GetCollection", collection="docs").collection
        assert before.durability == search_pb2.DURABILITY_DISK
    assert json.loads((tmp_path / "collections" / "aliases.json").read_text()) == {"live": "docs"}
    with run_server(config) as server:
        search = open_search(server.target)
        after = search("GetCollection", collection="live").collection
        assert (after.points, after.model_version, after.created_at) == (1, before.model_version, before.created_at)
        (point,) = search.get("live", "a", select=search_pb2.PointSelection(with_vector=True))
        assert (point.text, point.payload.fields["n"], len(point.vector)) == ("a dog barks", 1, 4 * 384)
        search.make(dimensions=2)
        failure = search.refused("CreateCollection", name="third")
        assert (failure.code, "max_collections" in failure.message) == ("FAILED_PRECONDITION", True)


@pytest.mark.slow
def test_a_second_server_on_the_same_data_is_kept_out(run_server, tmp_path):
    config = Config(listen="127.0.0.1:0", http="", data_dir=tmp_path)
    with run_server(config), pytest.raises(ConfigError, match="data_dir"), run_server(config):
        pass


@pytest.mark.slow
def test_a_collection_in_memory(run_server, open_search, tmp_path, wire):
    config = Config(listen="127.0.0.1:0", http="", data_dir=tmp_path, search={"engine": "memory"})
    with run_server(config) as server:
        search = open_search(server.target)
        search("CreateCollection", name="docs")
        search.upsert("docs", wire.point("a", "a dog barks"))
        found = search("GetCollection", collection="docs").collection
        assert (found.engine, found.points) == ("memory", 1)


def test_figures_are_scraped(search, server, wire):
    name = search.make(dimensions=2)
    search.upsert(name, wire.point(1, vector=[1, 0]), wire.point(2, vector=[0, 1]))
    search("DeletePoints", collection=name, ids=[wire.id(1)])
    with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=10) as reply:
        lines = reply.read().decode().splitlines()
    assert f'nearfield_collection_points{{collection="{name}"}} 1.0' in lines
    assert f'nearfield_points_upserted_total{{collection="{name}"}} 2.0' in lines
    assert f'nearfield_points_deleted_total{{collection="{name}"}} 1.0' in lines
    assert f'nearfield_collection_index_state{{collection="{name}",state="exact"}} 1.0' in lines
    search("DeleteCollection", collection=name)
    with urllib.request.urlopen(f"http://{server.http}/metrics", timeout=10) as reply:
        assert f'"{name}"' not in reply.read().decode()
