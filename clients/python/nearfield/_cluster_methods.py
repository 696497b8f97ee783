"""The rpcs of ClusterService about clusterings, and those of google.longrunning.Operations about their jobs."""

from __future__ import annotations

from google.longrunning import operations_pb2
from google.protobuf.empty_pb2 import Empty

from nearfield._methods import Method
from nearfield.v1 import cluster_pb2

__all__ = [
    "ASSIGN",
    "CANCEL_OPERATION",
    "CLUSTER",
    "CLUSTER_STREAM",
    "DELETE_CLUSTERING",
    "GET_CLUSTERING",
    "GET_OPERATION",
    "LIST_CLUSTERINGS",
    "LIST_OPERATIONS",
    "START_CLUSTERING",
    "WATCH_CLUSTERING",
]

_SERVICE = "/nearfield.v1.ClusterService"
_OPERATIONS = "/google.longrunning.Operations"

CLUSTER = Method(
    f"{_SERVICE}/Cluster", cluster_pb2.ClusterRequest.SerializeToString, cluster_pb2.ClusterResponse.FromString
)
CLUSTER_STREAM = Method(
    f"{_SERVICE}/ClusterStream",
    cluster_pb2.ClusterStreamRequest.SerializeToString,
    cluster_pb2.ClusterStreamResponse.FromString,
)
START_CLUSTERING = Method(
    f"{_SERVICE}/StartClustering",
    cluster_pb2.StartClusteringRequest.SerializeToString,
    operations_pb2.Operation.FromString,
)
WATCH_CLUSTERING = Method(
    f"{_SERVICE}/WatchClustering",
    cluster_pb2.WatchClusteringRequest.SerializeToString,
    cluster_pb2.WatchClusteringResponse.FromString,
)
GET_CLUSTERING = Method(
    f"{_SERVICE}/GetClustering",
    cluster_pb2.GetClusteringRequest.SerializeToString,
    cluster_pb2.GetClusteringResponse.FromString,
)
LIST_CLUSTERINGS = Method(
    f"{_SERVICE}/ListClusterings",
    cluster_pb2.ListClusteringsRequest.SerializeToString,
    cluster_pb2.ListClusteringsResponse.FromString,
)
DELETE_CLUSTERING = Method(
    f"{_SERVICE}/DeleteClustering",
    cluster_pb2.DeleteClusteringRequest.SerializeToString,
    cluster_pb2.DeleteClusteringResponse.FromString,
)
ASSIGN = Method(
    f"{_SERVICE}/Assign", cluster_pb2.AssignRequest.SerializeToString, cluster_pb2.AssignResponse.FromString
)
GET_OPERATION = Method(
    f"{_OPERATIONS}/GetOperation",
    operations_pb2.GetOperationRequest.SerializeToString,
    operations_pb2.Operation.FromString,
)
LIST_OPERATIONS = Method(
    f"{_OPERATIONS}/ListOperations",
    operations_pb2.ListOperationsRequest.SerializeToString,
    operations_pb2.ListOperationsResponse.FromString,
)
CANCEL_OPERATION = Method(
    f"{_OPERATIONS}/CancelOperation",
    operations_pb2.CancelOperationRequest.SerializeToString,
    Empty.FromString,
)
