"""Deduplicate on a real server: the stub, and its messages."""

from types import SimpleNamespace

import grpc
import numpy as np
import pytest

import nearfield
from nearfield.v1 import cluster_pb2, cluster_pb2_grpc, search_pb2, types_pb2


def options(**fields):
    return cluster_pb2.DeduplicateRequest(options=cluster_pb2.DeduplicateOptions(**fields))


def items(id_, texts=(), vectors=None, ids=()):
    made = cluster_pb2.ClusterItems(inputs=[types_pb2.Input(text=one) for one in texts])
    made.ids.extend(search_pb2.PointId(text=one) for one in ids)
    if vectors is not None:
        rows = np.asarray(vectors, "<f4")
        made.vectors.rows, made.vectors.cols = rows.shape
        made.vectors.data = rows.tobytes()
    return cluster_pb2.DeduplicateRequest(items=cluster_pb2.DeduplicateItems(id=id_, items=made))


def kinds(reply):
    return [cluster_pb2.DuplicateKind.Name(one.kind).rpartition("_")[2].lower() for one in reply.result.verdicts]


@pytest.fixture
def stream(server):
    """Send messages to a server (the default one); give replies by id."""
    with grpc.insecure_channel(server.target) as channel:
        stub = cluster_pb2_grpc.ClusterServiceStub(channel)

        def send(*messages, to=None):
            if to is None:
                return {one.id: one for one in stub.Deduplicate(iter(messages), timeout=60)}
            with grpc.insecure_channel(to.target) as other:
                call = cluster_pb2_grpc.ClusterServiceStub(other).Deduplicate(iter(messages), timeout=60)
                return {one.id: one for one in call}

        yield SimpleNamespace(send=send, options=options, items=items, kinds=kinds)


@pytest.fixture
def collection(client, request):
    """A collection of two texts."""
    name = f"dedup-{abs(hash(request.node.nodeid)):x}"
    made = client.create_collection(name)
    made.upsert([{"id": "dog", "text": "a dog barks"}, {"id": "tax", "text": "Tax returns are due in April."}])
    yield made
    client.delete_collection(name)


@pytest.fixture(scope="session")
def is_near():
    def check(verdict, of, kind="near"):
        return isinstance(verdict, nearfield.DuplicateVerdict) and (verdict.kind, verdict.of) == (kind, of)

    return check
