"""What a caller gets wrong about clusters: the right status, the field at fault, and a server that goes on."""

import importlib.util

import grpc
import numpy as np
import pytest
from cluster_wire import Clusters, items
from google.protobuf.empty_pb2 import Empty

from nearfield.v1 import cluster_pb2, search_pb2, types_pb2

KMEANS, DENSITY, AGGLOMERATIVE = 1, 2, 3
ROWS = np.eye(4)


def matrix(**fields):
    return {"vectors": types_pb2.Matrix(**{"rows": 2, "cols": 2, "data": b"\0" * 16} | fields)}


WRONG_OPTIONS = [
    ({"method": 99}, "options.method"),
    ({"k": 0}, "options.k"),
    ({"k": 5}, "options.k"),
    ({"k": 2**32 - 1}, "options.k"),
    ({"min_k": 1}, "options.min_k"),
    ({"min_k": 5}, "options.min_k"),
    ({"min_k": 4, "max_k": 3}, "options.min_k"),
    ({"k": 2, "min_k": 2}, "options.k"),
    ({"method": DENSITY, "k": 2}, "options.k"),
    ({"method": DENSITY, "noise_level": float("nan")}, "options.noise_level"),
    ({"method": DENSITY, "noise_level": 1.5}, "options.noise_level"),
    ({"method": DENSITY, "min_cluster_size": 1}, "options.min_cluster_size"),
    ({"method": DENSITY, "target_clusters": 0}, "options.target_clusters"),
    ({"method": AGGLOMERATIVE, "linkage": 77}, "options.linkage"),
    ({"method": AGGLOMERATIVE, "distance_threshold": 0.0}, "options.distance_threshold"),
    ({"method": AGGLOMERATIVE, "distance_threshold": -1.0}, "options.distance_threshold"),
    ({"method": AGGLOMERATIVE, "distance_threshold": float("inf")}, "options.distance_threshold"),
    ({"method": AGGLOMERATIVE, "distance_threshold": 0.5, "k": 2}, "options.k"),
    ({"method": KMEANS, "linkage": 1}, "options.linkage"),
    ({"assign_noise": True}, "options.assign_noise"),
    ({"nearest_items": 0}, "options.nearest_items"),
    ({"nearest_items": 101}, "options.nearest_items"),
    ({"labels": {"keywords": 51}}, "options.labels.keywords"),
    ({"labels": {"max_words": 0}}, "options.labels.max_words"),
    ({"labels": {"names": ["a", " "]}}, "options.labels.names[1]"),
    ({"labels": {"names": ["a"]}}, "options.labels.names"),
    ({"labels": {"stop_words": ["a"] * 10_001}}, "options.labels.stop_words"),
    ({"previous": "a\nb"}, "options.previous"),
]


@pytest.mark.parametrize(("options", "field"), WRONG_OPTIONS, ids=str)
def test_options(clusters, options, field):
    failure = clusters.refused("Cluster", options=options, items=items(vectors=ROWS))
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)
    assert failure.message.startswith(field)


WRONG_ITEMS = [
    (cluster_pb2.ClusterItems(), "items.inputs"),
    (items(vectors=[[1, 0], [np.nan, 1]]), "items.vectors[1]"),
    (items(vectors=[[1, 0], [np.inf, 1]]), "items.vectors[1]"),
    (items(vectors=[[0, 0], [1, 1]]), "items.vectors[0]"),
    (cluster_pb2.ClusterItems(**matrix(data=b"\0" * 15)), "items.vectors.data"),
    (cluster_pb2.ClusterItems(**matrix(rows=2**31)), "items.vectors.data"),
    (cluster_pb2.ClusterItems(**matrix(cols=0, data=b"")), "items.vectors.cols"),
    (cluster_pb2.ClusterItems(**matrix(cols=2**32 - 1)), "items.vectors.cols"),
    (cluster_pb2.ClusterItems(**matrix(dtype=types_pb2.DTYPE_INT8)), "items.vectors.dtype"),
    (cluster_pb2.ClusterItems(**matrix(rows=0, data=b"")), "items.vectors"),
    (items(["a", "b", "c"], ROWS), "items.inputs"),
    (items(vectors=ROWS, ids=["a"]), "items.ids"),
    (items(vectors=ROWS, ids=["a", "b", "", "d"]), "items.ids[2].text"),
    (items(vectors=ROWS, ids=["a", "b", "c", "d" * 513]), "items.ids[3].text"),
    (cluster_pb2.ClusterItems(inputs=[types_pb2.Input(text="a"), types_pb2.Input()]), "items.inputs[1]"),
    (items(["a", "b" * 300_000]), "items.inputs[1].text"),
    (items([f"text {at}" for at in range(10_001)]), "items.inputs"),
]


@pytest.mark.parametrize(("message", "field"), WRONG_ITEMS, ids=lambda one: one if isinstance(one, str) else "")
def test_items(clusters, message, field):
    failure = clusters.refused("Cluster", items=message)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


@pytest.mark.parametrize(
    ("fields", "code", "field"),
    [
        ({}, "INVALID_ARGUMENT", "source"),
        ({"collection": {}}, "INVALID_ARGUMENT", "collection.collection"),
        ({"collection": {"collection": "nothing"}}, "NOT_FOUND", ""),
        ({"collection": {"collection": "../../etc/passwd"}}, "NOT_FOUND", ""),
        ({"collection": {"collection": "a", "filter_expression": "price <"}}, "INVALID_ARGUMENT", "filter_expression"),
        ({"items": items(["a"]), "embedding": {"model": "nothing"}}, "NOT_FOUND", ""),
        ({"items": items(["a"]), "embedding": {"dimensions": 0}}, "INVALID_ARGUMENT", "dimensions"),
        ({"items": items(["a"]), "embedding": {"dimensions": 385}}, "INVALID_ARGUMENT", "dimensions"),
        ({"items": items(["a"]), "embedding": {"truncate": 44}}, "INVALID_ARGUMENT", "embedding.truncate"),
        ({"items": items(["a"]), "ttl": {"seconds": -1}}, "INVALID_ARGUMENT", "ttl"),
        ({"items": items(["a"]), "ttl": {"seconds": 10**10}}, "INVALID_ARGUMENT", "ttl"),
        ({"items": items(["a"]), "options": {"previous": "nothing"}}, "NOT_FOUND", ""),
    ],
)
def test_sources(clusters, fields, code, field):
    failure = clusters.refused("Cluster", **fields)
    assert (failure.code, failure.field) == (code, field)


def test_more_than_fits_is_refused_with_the_estimate(start_server, open_clusters, blobs):
    here = open_clusters(start_server(cluster={"memory_bytes": 512 << 20}).target)
    rows, _ = blobs(4, 1500)
    options = {"method": AGGLOMERATIVE}
    failure = here.refused("Cluster", options=options, items=items(vectors=rows))
    assert (failure.code, failure.reason, failure.retry) == ("RESOURCE_EXHAUSTED", "TOO_LARGE", False)
    assert "would take about" in failure.message
    requests = [cluster_pb2.ClusterStreamRequest(options={"options": options})]
    requests += [
        cluster_pb2.ClusterStreamRequest(items=items(vectors=rows[at : at + 256])) for at in range(0, 6000, 256)
    ]
    assert Clusters.failure(lambda: list(here.stub.ClusterStream(iter(requests), timeout=60))).reason == "TOO_LARGE"


@pytest.mark.parametrize("rpc", ["GetClustering", "DeleteClustering", "WatchClustering"])
def test_ids_that_there_are_none_of(clusters, rpc):
    failure = clusters.refused(rpc, id="nothing")
    assert (failure.code, failure.reason) == ("NOT_FOUND", "CLUSTERING_NOT_FOUND")


@pytest.mark.parametrize("rpc", ["GetOperation", "WaitOperation", "CancelOperation", "DeleteOperation"])
def test_operations_that_there_are_none_of(clusters, rpc):
    assert clusters.refused(rpc, name="operations/nothing").code == "NOT_FOUND"
    assert clusters.refused(rpc).field == "name"


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"filter": "state=1"}, "filter"),
        ({"page_size": -1}, "page_size"),
        ({"page_token": "x"}, "page_token"),
        ({"name": "x"}, "name"),
    ],
)
def test_lists_of_operations(clusters, fields, field):
    failure = clusters.refused("ListOperations", **fields)
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


def test_assignments(clusters, blobs):
    rows, _ = blobs(2, 5)
    id_ = clusters("Cluster", options={"k": 2}, items=items(vectors=rows), ttl={"seconds": 600}).clustering.id
    for fields, field in (
        ({"items": items(vectors=rows)}, "id"),
        ({"id": id_}, "items.inputs"),
        ({"id": id_, "items": items(vectors=rows[:, :3])}, "items.vectors"),
        ({"id": id_, "items": items(["a text"])}, "items.vectors"),
        ({"id": id_, "items": items(vectors=np.zeros((1, 16)))}, "items.vectors[0]"),
        ({"id": id_, "items": items(vectors=np.ones((2049, 16)))}, "items.vectors"),
    ):
        failure = clusters.refused("Assign", **fields)
        assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


def test_previous_must_be_of_the_same_vectors(clusters, blobs):
    rows, _ = blobs(2, 5)
    id_ = clusters("Cluster", options={"k": 2}, items=items(vectors=rows), ttl={"seconds": 600}).clustering.id
    for message in (items(vectors=rows[:, :4]), items(["one text", "another"])):
        failure = clusters.refused("Cluster", options={"k": 2, "previous": id_}, items=message)
        assert (failure.code, failure.field) == ("INVALID_ARGUMENT", "options.previous")


STREAMS = [
    ([], "options"),
    ([{"items": items(["a"])}], "options"),
    ([{"options": {}}], "items"),
    ([{"options": {}}, {"options": {}}], "items"),
    ([{"options": {"options": {"k": 0}}}], "options.options.k"),
    ([{"options": {}}, {"items": items(vectors=[[0, 0]])}], "items"),
    ([{"options": {}}, {"items": items(vectors=ROWS)}, {"items": items(vectors=ROWS[:, :3])}], "items.vectors"),
    ([{"options": {}}, {"items": items(vectors=ROWS)}, {"items": items(["a"])}], "items.vectors"),
    ([{"options": {}}, {"items": items(vectors=ROWS, ids=range(4))}, {"items": items(vectors=ROWS)}], "items.ids"),
    ([{"options": {"options": {"k": 5}}}, {"items": items(vectors=ROWS)}], "options.k"),
    ([{"options": {"embedding": {"dimensions": 385}}}, {"items": items(["a", "b"])}], "dimensions"),
]


@pytest.mark.parametrize(("messages", "field"), STREAMS)
def test_streams(clusters, messages, field):
    requests = [cluster_pb2.ClusterStreamRequest(**one) for one in messages]
    failure = Clusters.failure(lambda: list(clusters.stub.ClusterStream(iter(requests), timeout=60)))
    assert (failure.code, failure.field) == ("INVALID_ARGUMENT", field)


@pytest.mark.parametrize("data", [b"\xff\xff\xff", b"\x0a\x05abc", b"\x1a\x0a\x0a\x08\x0a\x06\xed\xa0\x80abc"])
def test_bytes_that_are_no_message(server, data):
    with grpc.insecure_channel(server.target) as channel:
        call = channel.unary_unary(
            "/nearfield.v1.ClusterService/Cluster", request_serializer=bytes, response_deserializer=Empty.FromString
        )
        assert Clusters.failure(lambda: call(data, timeout=10)).code == "INVALID_ARGUMENT"


def test_the_id_of_a_point_may_be_any_number(clusters):
    made = clusters("Cluster", options={"k": 1}, items=items(vectors=ROWS, ids=[-(2**63), 2**63 - 1, 0, -1]))
    assert [one.number for one in made.assignments.ids] == [-(2**63), 2**63 - 1, 0, -1]
    assert made.clusters.clusters[0].medoid.id in made.assignments.ids
    assert isinstance(made.assignments.ids[0], search_pb2.PointId)


@pytest.mark.slow
def test_libraries_that_are_missing_are_named(clusters, monkeypatch):
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == "evoc" else found(name))
    for rpc, fields in (
        ("Cluster", {"items": items(vectors=ROWS)}),
        ("StartClustering", {"collection": {"collection": "a"}}),
    ):
        failure = clusters.refused(rpc, **fields)
        assert (failure.code, "pip install 'nearfield[cluster]'" in failure.message) == ("FAILED_PRECONDITION", True)
