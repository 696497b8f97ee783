"""ClusterService: each rpc goes to the part that knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from google.longrunning import operations_pb2

from nearfield.v1 import cluster_pb2, cluster_pb2_grpc
from nearfield_server.rpc.classifiers import ClassifierRpcs
from nearfield_server.rpc.clusters import ClusterRpcs
from nearfield_server.rpc.deduplication import DedupRpcs
from nearfield_server.rpc.operations import JobRpcs
from nearfield_server.rpc.projections import ProjectionRpcs

__all__ = ["ClusterServicer"]


class ClusterServicer(cluster_pb2_grpc.ClusterServiceServicer):
    """Clusterings, near-duplicates, maps and classifiers."""

    def __init__(
        self,
        clusters: ClusterRpcs,
        jobs: JobRpcs,
        deduplication: DedupRpcs,
        projections: ProjectionRpcs,
        classifiers: ClassifierRpcs,
    ) -> None:
        """Put the parts together."""
        self._clusters = clusters
        self._jobs = jobs
        self._deduplication = deduplication
        self._projections = projections
        self._classifiers = classifiers

    async def Cluster(self, request: cluster_pb2.ClusterRequest, context: Any) -> cluster_pb2.ClusterResponse:
        """Cluster, and wait for the result."""
        return await self._clusters.cluster(request, context)

    async def ClusterStream(self, requests: Any, context: Any) -> AsyncIterator[cluster_pb2.ClusterStreamResponse]:
        """Cluster what is streamed in."""
        async with aclosing(self._clusters.cluster_stream(requests, context)) as parts:
            async for part in parts:
                yield part

    async def StartClustering(
        self, request: cluster_pb2.StartClusteringRequest, context: Any
    ) -> operations_pb2.Operation:
        """Queue a clustering of a collection."""
        return await self._jobs.start(request, context)

    async def WatchClustering(
        self, request: cluster_pb2.WatchClusteringRequest, context: Any
    ) -> AsyncIterator[cluster_pb2.WatchClusteringResponse]:
        """Follow a job."""
        async with aclosing(self._jobs.watch(request, context)) as steps:
            async for step in steps:
                yield step

    async def GetClustering(
        self, request: cluster_pb2.GetClusteringRequest, context: Any
    ) -> AsyncIterator[cluster_pb2.GetClusteringResponse]:
        """Give a kept clustering."""
        async with aclosing(self._clusters.get(request, context)) as parts:
            async for part in parts:
                yield part

    async def ListClusterings(
        self, request: cluster_pb2.ListClusteringsRequest, context: Any
    ) -> cluster_pb2.ListClusteringsResponse:
        """Give all kept clusterings."""
        return await self._clusters.list(request, context)

    async def DeleteClustering(
        self, request: cluster_pb2.DeleteClusteringRequest, context: Any
    ) -> cluster_pb2.DeleteClusteringResponse:
        """Delete a kept clustering."""
        return await self._clusters.delete(request, context)

    async def Assign(self, request: cluster_pb2.AssignRequest, context: Any) -> cluster_pb2.AssignResponse:
        """Put new items into clusters."""
        return await self._clusters.assign(request, context)

    async def Project(self, requests: Any, context: Any) -> AsyncIterator[cluster_pb2.ProjectResponse]:
        """Give what is streamed in coordinates on a map."""
        async with aclosing(self._projections.project(requests, context)) as parts:
            async for part in parts:
                yield part

    async def GetProjection(
        self, request: cluster_pb2.GetProjectionRequest, context: Any
    ) -> AsyncIterator[cluster_pb2.GetProjectionResponse]:
        """Give a kept projection."""
        async with aclosing(self._projections.get(request, context)) as parts:
            async for part in parts:
                yield part

    async def ListProjections(
        self, request: cluster_pb2.ListProjectionsRequest, context: Any
    ) -> cluster_pb2.ListProjectionsResponse:
        """Give all kept projections."""
        return await self._projections.list(request, context)

    async def DeleteProjection(
        self, request: cluster_pb2.DeleteProjectionRequest, context: Any
    ) -> cluster_pb2.DeleteProjectionResponse:
        """Delete a kept projection."""
        return await self._projections.delete(request, context)

    async def Deduplicate(self, requests: Any, context: Any) -> None:
        """Tell of each item whether it says what an earlier one said."""
        await self._deduplication.deduplicate(requests, context)

    async def TrainClassifier(self, requests: Any, context: Any) -> cluster_pb2.TrainClassifierResponse:
        """Train on labelled examples."""
        return await self._classifiers.train(requests, context)

    async def GetClassifier(
        self, request: cluster_pb2.GetClassifierRequest, context: Any
    ) -> cluster_pb2.GetClassifierResponse:
        """Give a classifier."""
        return await self._classifiers.get(request, context)

    async def ListClassifiers(
        self, request: cluster_pb2.ListClassifiersRequest, context: Any
    ) -> cluster_pb2.ListClassifiersResponse:
        """Give all classifiers."""
        return await self._classifiers.list(request, context)

    async def DeleteClassifier(
        self, request: cluster_pb2.DeleteClassifierRequest, context: Any
    ) -> cluster_pb2.DeleteClassifierResponse:
        """Delete a version of a classifier, or all of a name."""
        return await self._classifiers.delete(request, context)

    async def ExportClassifier(
        self, request: cluster_pb2.ExportClassifierRequest, context: Any
    ) -> cluster_pb2.ExportClassifierResponse:
        """Give a classifier as a file."""
        return await self._classifiers.export(request, context)

    async def ImportClassifier(
        self, request: cluster_pb2.ImportClassifierRequest, context: Any
    ) -> cluster_pb2.ImportClassifierResponse:
        """Keep a classifier from a file."""
        return await self._classifiers.import_(request, context)
