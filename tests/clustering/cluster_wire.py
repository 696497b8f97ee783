"""ClusterService on a real server: stubs, messages, and errors as they are on the wire."""

from types import SimpleNamespace

import grpc
import numpy as np
import pytest
from google.longrunning import operations_pb2, operations_pb2_grpc
from google.rpc import error_details_pb2
from google.rpc.status_pb2 import Status

from nearfield.v1 import cluster_pb2, cluster_pb2_grpc, search_pb2, types_pb2

_SECONDS = 120


def failure_of(status):
    """Give what a caller sees of an error."""
    details = {}
    for packed in status.details:
        detail = getattr(error_details_pb2, packed.TypeName().rpartition(".")[2])()
        assert packed.Unpack(detail)
        details[type(detail).__name__] = detail
    bad = details.get("BadRequest")
    return SimpleNamespace(
        code={code.value[0]: code.name for code in grpc.StatusCode}[status.code],
        message=status.message,
        reason=details["ErrorInfo"].reason if "ErrorInfo" in details else "",
        field=bad.field_violations[0].field if bad else "",
        retry="RetryInfo" in details,
    )


def items(texts=(), vectors=None, ids=()):
    """Make a message of items."""
    made = cluster_pb2.ClusterItems(
        inputs=[types_pb2.Input(text=one) for one in texts],
        ids=[search_pb2.PointId(text=one) if isinstance(one, str) else search_pb2.PointId(number=one) for one in ids],
    )
    if vectors is not None:
        rows = np.ascontiguousarray(vectors, "<f4")
        matrix = types_pb2.Matrix(rows=rows.shape[0], cols=rows.shape[1], data=rows.tobytes())
        made.vectors.CopyFrom(matrix)
    return made


def ints(data):
    return np.frombuffer(data, "<i4").tolist()


def floats(data):
    return np.frombuffer(data, "<f4")


class Clusters:
    """Calls by name: `clusters("Cluster", items=…)` gives the reply, `clusters.refused(…)` the failure."""

    def __init__(self, channel):
        self.stub = cluster_pb2_grpc.ClusterServiceStub(channel)
        self.operations = operations_pb2_grpc.OperationsStub(channel)

    def __call__(self, rpc, **fields):
        if hasattr(self.operations, rpc):
            return getattr(self.operations, rpc)(getattr(operations_pb2, f"{rpc}Request")(**fields), timeout=_SECONDS)
        return getattr(self.stub, rpc)(getattr(cluster_pb2, f"{rpc}Request")(**fields), timeout=_SECONDS)

    def refused(self, rpc, **fields):
        def call():
            reply = self(rpc, **fields)
            return list(reply) if hasattr(reply, "cancel") else reply

        return self.failure(call)

    @staticmethod
    def failure(call):
        """Give what is raised by a call."""
        with pytest.raises(grpc.RpcError) as caught:
            call()
        trailers = {one.key: one.value for one in caught.value.trailing_metadata() or ()}
        return failure_of(Status.FromString(trailers["grpc-status-details-bin"]))

    @staticmethod
    def code(call):
        """Give the name of the status that a call ends with."""
        with pytest.raises(grpc.RpcError) as caught:
            call()
        return caught.value.code().name

    def stream(self, options, *messages):
        """Give all replies of a ClusterStream, by kind."""
        requests = [cluster_pb2.ClusterStreamRequest(options=options)]
        requests += [cluster_pb2.ClusterStreamRequest(items=one) for one in messages]
        found = {"progress": [], "failure": [], "clustering": [], "clusters": [], "assignments": []}
        for reply in self.stub.ClusterStream(iter(requests), timeout=_SECONDS):
            kind = reply.WhichOneof("message")
            found[kind].append(getattr(reply, kind))
        return found

    def get(self, id_, **fields):
        """Give a kept clustering: its head, clusters and labels."""
        replies = list(self("GetClustering", id=id_, **fields))
        return SimpleNamespace(
            clustering=replies[0].clustering,
            clusters=[one for reply in replies for one in reply.clusters.clusters],
            labels=[one for reply in replies for one in ints(reply.assignments.clusters)],
            ids=[one for reply in replies for one in reply.assignments.ids],
        )
