"""The rpcs of ClusterService for maps that this client calls."""

from __future__ import annotations

from nearfield._methods import Method
from nearfield.v1 import cluster_pb2

__all__ = ["DELETE_PROJECTION", "GET_PROJECTION", "LIST_PROJECTIONS", "PROJECT"]

_SERVICE = "/nearfield.v1.ClusterService"

PROJECT = Method(
    f"{_SERVICE}/Project", cluster_pb2.ProjectRequest.SerializeToString, cluster_pb2.ProjectResponse.FromString
)
GET_PROJECTION = Method(
    f"{_SERVICE}/GetProjection",
    cluster_pb2.GetProjectionRequest.SerializeToString,
    cluster_pb2.GetProjectionResponse.FromString,
)
LIST_PROJECTIONS = Method(
    f"{_SERVICE}/ListProjections",
    cluster_pb2.ListProjectionsRequest.SerializeToString,
    cluster_pb2.ListProjectionsResponse.FromString,
)
DELETE_PROJECTION = Method(
    f"{_SERVICE}/DeleteProjection",
    cluster_pb2.DeleteProjectionRequest.SerializeToString,
    cluster_pb2.DeleteProjectionResponse.FromString,
)
