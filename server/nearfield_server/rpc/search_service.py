"""SearchService: each rpc goes to the part that knows it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import aclosing
from typing import Any

from nearfield.v1 import search_pb2, search_pb2_grpc
from nearfield_server.rpc.collections import CollectionRpcs
from nearfield_server.rpc.points import PointRpcs
from nearfield_server.rpc.reembeddings import ReembeddingRpcs
from nearfield_server.rpc.searches import SearchRpcs
from nearfield_server.rpc.snapshots import SnapshotRpcs

__all__ = ["SearchServicer"]


class SearchServicer(search_pb2_grpc.SearchServiceServicer):
    """Collections, points and searches."""

    def __init__(
        self,
        collections: CollectionRpcs,
        points: PointRpcs,
        searches: SearchRpcs,
        snapshots: SnapshotRpcs,
        reembeddings: ReembeddingRpcs,
    ) -> None:
        """Put the parts together."""
        self._collections = collections
        self._points = points
        self._searches = searches
        self._snapshots = snapshots
        self._reembeddings = reembeddings

    async def CreateCollection(
        self, request: search_pb2.CreateCollectionRequest, context: Any
    ) -> search_pb2.CreateCollectionResponse:
        """Make a collection."""
        return await self._collections.create(request, context)

    async def GetCollection(
        self, request: search_pb2.GetCollectionRequest, context: Any
    ) -> search_pb2.GetCollectionResponse:
        """Give a collection."""
        return await self._collections.get(request, context)

    async def ListCollections(
        self, request: search_pb2.ListCollectionsRequest, context: Any
    ) -> search_pb2.ListCollectionsResponse:
        """Give all collections."""
        return await self._collections.list(request, context)

    async def UpdateCollection(
        self, request: search_pb2.UpdateCollectionRequest, context: Any
    ) -> search_pb2.UpdateCollectionResponse:
        """Change a collection."""
        return await self._collections.update(request, context)

    async def DeleteCollection(
        self, request: search_pb2.DeleteCollectionRequest, context: Any
    ) -> search_pb2.DeleteCollectionResponse:
        """Delete a collection."""
        return await self._collections.delete(request, context)

    async def SetCollectionAlias(
        self, request: search_pb2.SetCollectionAliasRequest, context: Any
    ) -> search_pb2.SetCollectionAliasResponse:
        """Let a name stand for a collection."""
        return await self._collections.set_alias(request, context)

    async def Upsert(self, request: search_pb2.UpsertRequest, context: Any) -> search_pb2.UpsertResponse:
        """Store points."""
        return await self._points.upsert(request, context)

    async def UpsertStream(self, requests: Any, context: Any) -> None:
        """Store points message after message."""
        await self._points.upsert_stream(requests, context)

    async def GetPoints(self, request: search_pb2.GetPointsRequest, context: Any) -> search_pb2.GetPointsResponse:
        """Give points by id."""
        return await self._points.get_points(request, context)

    async def DeletePoints(
        self, request: search_pb2.DeletePointsRequest, context: Any
    ) -> search_pb2.DeletePointsResponse:
        """Delete points."""
        return await self._points.delete_points(request, context)

    async def Scroll(self, request: search_pb2.ScrollRequest, context: Any) -> AsyncIterator[search_pb2.ScrollResponse]:
        """Give all points that match."""
        async for part in self._points.scroll(request, context):
            yield part

    async def Count(self, request: search_pb2.CountRequest, context: Any) -> search_pb2.CountResponse:
        """Give how many points match."""
        return await self._points.count(request, context)

    async def Facet(self, request: search_pb2.FacetRequest, context: Any) -> search_pb2.FacetResponse:
        """Give the most frequent values of a field."""
        return await self._points.facet(request, context)

    async def ListTenants(self, request: search_pb2.ListTenantsRequest, context: Any) -> search_pb2.ListTenantsResponse:
        """Give the tenants of a collection."""
        return await self._points.tenants(request, context)

    async def Search(self, request: search_pb2.SearchRequest, context: Any) -> search_pb2.SearchResponse:
        """Find the points nearest to a query."""
        return await self._searches.search(request, context)

    async def BatchSearch(self, request: search_pb2.BatchSearchRequest, context: Any) -> search_pb2.BatchSearchResponse:
        """Answer several searches."""
        return await self._searches.batch_search(request, context)

    async def SearchStream(self, requests: Any, context: Any) -> None:
        """Answer search after search."""
        await self._searches.search_stream(requests, context)

    async def Recommend(self, request: search_pb2.RecommendRequest, context: Any) -> search_pb2.RecommendResponse:
        """Find points by examples."""
        return await self._searches.recommend(request, context)

    async def FindDuplicates(
        self, request: search_pb2.FindDuplicatesRequest, context: Any
    ) -> AsyncIterator[search_pb2.FindDuplicatesResponse]:
        """Give groups of points that say the same."""
        async with aclosing(self._searches.find_duplicates(request, context)) as groups:
            async for group in groups:
                yield group

    async def CreateSnapshot(
        self, request: search_pb2.CreateSnapshotRequest, context: Any
    ) -> AsyncIterator[search_pb2.CreateSnapshotResponse]:
        """Write a collection to where snapshots are kept."""
        async with aclosing(self._snapshots.create(request, context)) as steps:
            async for step in steps:
                yield step

    async def RestoreSnapshot(
        self, request: search_pb2.RestoreSnapshotRequest, context: Any
    ) -> AsyncIterator[search_pb2.RestoreSnapshotResponse]:
        """Make a collection from a snapshot."""
        async with aclosing(self._snapshots.restore(request, context)) as steps:
            async for step in steps:
                yield step

    async def ListSnapshots(
        self, request: search_pb2.ListSnapshotsRequest, context: Any
    ) -> search_pb2.ListSnapshotsResponse:
        """Give all snapshots."""
        return await self._snapshots.list(request, context)

    async def DeleteSnapshot(
        self, request: search_pb2.DeleteSnapshotRequest, context: Any
    ) -> search_pb2.DeleteSnapshotResponse:
        """Delete a snapshot."""
        return await self._snapshots.delete(request, context)

    async def Reembed(
        self, request: search_pb2.ReembedRequest, context: Any
    ) -> AsyncIterator[search_pb2.ReembedResponse]:
        """Make a collection anew by another model."""
        async with aclosing(self._reembeddings.reembed(request, context)) as steps:
            async for step in steps:
                yield step

    async def ListReembeddings(
        self, request: search_pb2.ListReembeddingsRequest, context: Any
    ) -> search_pb2.ListReembeddingsResponse:
        """Give all re-embeddings."""
        return await self._reembeddings.list(request, context)

    async def CancelReembedding(
        self, request: search_pb2.CancelReembeddingRequest, context: Any
    ) -> search_pb2.CancelReembeddingResponse:
        """End a re-embedding."""
        return await self._reembeddings.cancel(request, context)
