"""The rpcs of SearchService about snapshots."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from nearfield.v1 import search_pb2
from nearfield_server.core.collection_calls import CollectionView
from nearfield_server.core.snapshot_files import SnapshotInfo
from nearfield_server.core.snapshots import Progress, Snapshots
from nearfield_server.rpc import convert
from nearfield_server.rpc.collections import collection_message
from nearfield_server.types import CollectionStats, IndexState

__all__ = ["SnapshotRpcs"]


class SnapshotRpcs:
    """Requests to calls, and back."""

    def __init__(self, snapshots: Snapshots) -> None:
        """Ask `snapshots`."""
        self._snapshots = snapshots

    async def create(
        self, request: search_pb2.CreateSnapshotRequest, _: Any
    ) -> AsyncGenerator[search_pb2.CreateSnapshotResponse, None]:
        """Write a collection."""
        collection = convert.check_model_name("collection", request.collection)
        async with aclosing(self._snapshots.create(collection, request.name)) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield search_pb2.CreateSnapshotResponse(progress=progress_message(step))
                else:
                    yield search_pb2.CreateSnapshotResponse(snapshot=snapshot_message(step))

    async def restore(
        self, request: search_pb2.RestoreSnapshotRequest, _: Any
    ) -> AsyncGenerator[search_pb2.RestoreSnapshotResponse, None]:
        """Make a collection."""
        async with aclosing(self._snapshots.restore(request.snapshot, request.collection)) as steps:
            async for step in steps:
                if isinstance(step, Progress):
                    yield search_pb2.RestoreSnapshotResponse(progress=progress_message(step))
                else:
                    yield search_pb2.RestoreSnapshotResponse(collection=collection_message(step))

    async def list(self, _: search_pb2.ListSnapshotsRequest, __: Any) -> search_pb2.ListSnapshotsResponse:
        """Give all."""
        return search_pb2.ListSnapshotsResponse(snapshots=map(snapshot_message, await self._snapshots.all()))

    async def delete(self, request: search_pb2.DeleteSnapshotRequest, _: Any) -> search_pb2.DeleteSnapshotResponse:
        """Delete one."""
        await self._snapshots.delete(request.snapshot)
        return search_pb2.DeleteSnapshotResponse()


def progress_message(progress: Progress) -> search_pb2.SnapshotProgress:
    """Give progress for the wire."""
    return search_pb2.SnapshotProgress(points=progress.points, total=progress.total, bytes=progress.bytes)


def snapshot_message(info: SnapshotInfo) -> search_pb2.Snapshot:
    """Give a snapshot for the wire."""
    stats = CollectionStats(
        points=info.points, index_lag=0, index_state=IndexState.EXACT, index_message="", disk_bytes=0
    )
    collection = collection_message(CollectionView(info.spec, stats, (), info.engine))
    collection.index_state = search_pb2.INDEX_STATE_UNSPECIFIED
    message = search_pb2.Snapshot(name=info.name, collection=collection, points=info.points, bytes=info.bytes)
    message.created_at.FromDatetime(info.created_at)
    return message
