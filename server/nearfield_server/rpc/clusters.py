"""The rpcs of ClusterService that make clusterings, give them, and put new items into them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from google.protobuf.duration_pb2 import Duration

from nearfield.v1 import cluster_pb2
from nearfield_server.core.clustering.assigner import Assigner
from nearfield_server.core.clustering.calls import Clustering
from nearfield_server.core.clustering.clusterer import Clusterer
from nearfield_server.core.clustering.estimate import MAX_AGGLOMERATIVE
from nearfield_server.core.clustering.jobs import ClusterJobs
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.core.computing.gatherer import Gatherer
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.models import ModelRegistry
from nearfield_server.rpc import cluster_convert, cluster_replies, replies
from nearfield_server.rpc.embed import deadline_of, tenant_of
from nearfield_server.rpc.gathering import Gathering, Progress

__all__ = ["ClusterLimits", "ClusterRpcs", "ClusterTools"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLimits:
    """What may be asked for; see nearfield.v1.ClusterLimits."""

    max_items: int
    memory_bytes: int
    max_ttl_seconds: float
    default_ttl_seconds: float
    max_kept: int


@dataclass(frozen=True, slots=True)
class ClusterTools:
    """The use cases."""

    clusterer: Clusterer
    gatherer: Gatherer
    kept: KeptClusterings
    assigner: Assigner
    jobs: ClusterJobs


class ClusterRpcs:
    """Requests to calls, and back."""

    def __init__(
        self, tools: ClusterTools, registry: ModelRegistry, limits: ClusterLimits, idle_seconds: float
    ) -> None:
        """`registry` publishes the limits of messages; `idle_seconds` is how long a stream may stand still."""
        self._tools = tools
        self._registry = registry
        self._limits = limits
        self._idle_seconds = idle_seconds

    async def cluster(self, request: cluster_pb2.ClusterRequest, context: Any) -> cluster_pb2.ClusterResponse:
        """Cluster, and wait for the result."""
        limits, ours = self._registry.limits, self._limits
        call = await asyncio.to_thread(
            cluster_convert.cluster_call, request, limits, ours.max_items, ours.max_ttl_seconds, caller_of(context)
        )
        made = await self._tools.clusterer.cluster(call)
        reply = cluster_pb2.ClusterResponse(
            clustering=cluster_replies.head_message(made.head),
            clusters=cluster_replies.cluster_page(made, 0, len(made.clusters)),
            assignments=cluster_replies.assignment_page(made, 0, len(made.arrays.clusters)),
        )
        return replies.within_limit("source", reply, limits, "use ClusterStream, which gives it in parts")

    async def cluster_stream(
        self, requests: AsyncIterator[cluster_pb2.ClusterStreamRequest], context: Any
    ) -> AsyncGenerator[cluster_pb2.ClusterStreamResponse, None]:
        """Cluster what is streamed in."""
        clusterer, caller = self._tools.clusterer, caller_of(context)
        gathering = Gathering(requests, self._tools.gatherer, self._registry, self._idle_seconds)
        first = await gathering.first()
        call = cluster_convert.stream_call(first.options, self._limits.max_ttl_seconds, caller)
        gathered = clusterer.begin(call)
        try:
            async with aclosing(gathering.items(gathered, call.embedding, caller)) as steps:
                async for step in steps:
                    yield _step(step)
            progress: Progress[Clustering] = Progress(gathering.count)
            work = clusterer.finish(call, gathered, progress.told, gathering.positions)
            async with aclosing(progress.follow(work)) as told:
                async for step in told:
                    yield _step(step)
            made: Clustering = progress.result
        finally:
            gathered.close()
        yield cluster_pb2.ClusterStreamResponse(clustering=cluster_replies.head_message(made.head))
        for part in self._parts(made):
            yield cluster_pb2.ClusterStreamResponse(**part)

    async def get(
        self, request: cluster_pb2.GetClusteringRequest, _: Any
    ) -> AsyncGenerator[cluster_pb2.GetClusteringResponse, None]:
        """Give a kept clustering."""
        id_ = cluster_convert.id_of("id", request.id)
        self._tools.jobs.check_ended(id_)
        made = await self._tools.kept.load(id_)
        yield cluster_pb2.GetClusteringResponse(clustering=cluster_replies.head_message(made.head))
        for part in self._parts(made, assignments=not request.without_assignments):
            yield cluster_pb2.GetClusteringResponse(**part)

    async def list(self, _: cluster_pb2.ListClusteringsRequest, __: Any) -> cluster_pb2.ListClusteringsResponse:
        """Give all kept clusterings."""
        ours = self._limits
        reply = cluster_pb2.ListClusteringsResponse(
            clusterings=map(cluster_replies.head_message, self._tools.kept.all()),
            limits=cluster_pb2.ClusterLimits(
                max_items=ours.max_items,
                max_agglomerative_items=MAX_AGGLOMERATIVE,
                max_memory_bytes=ours.memory_bytes,
                max_ttl=_duration(ours.max_ttl_seconds),
                default_ttl=_duration(ours.default_ttl_seconds),
                max_kept=ours.max_kept,
            ),
        )
        return replies.within_limit("", reply, self._registry.limits, "delete some")

    async def delete(
        self, request: cluster_pb2.DeleteClusteringRequest, _: Any
    ) -> cluster_pb2.DeleteClusteringResponse:
        """Delete a kept clustering."""
        id_ = cluster_convert.id_of("id", request.id)
        self._tools.jobs.check_ended(id_)
        await self._tools.kept.delete(id_)
        self._tools.assigner.forget(id_)
        return cluster_pb2.DeleteClusteringResponse()

    async def assign(self, request: cluster_pb2.AssignRequest, context: Any) -> cluster_pb2.AssignResponse:
        """Put new items into clusters."""
        call = cluster_convert.assign_call(request, self._registry.limits, caller_of(context))
        self._tools.jobs.check_ended(call.id)
        return cluster_replies.assign_response(await self._tools.assigner.assign(call))

    def _parts(self, made: Clustering, *, assignments: bool = True) -> Iterator[dict[str, Any]]:
        most = self._registry.limits.max_response_bytes
        for clusters in cluster_replies.cluster_pages(made, most):
            yield {"clusters": clusters}
        for part in cluster_replies.assignment_pages(made, most) if assignments else ():
            yield {"assignments": part}


def caller_of(context: Any) -> Caller:
    """Give who calls, and how long he waits."""
    return Caller(deadline=deadline_of(context), identity=tenant_of(context))


def _step(step: cluster_pb2.ClusteringProgress | cluster_pb2.ClusterItemFailure) -> cluster_pb2.ClusterStreamResponse:
    if isinstance(step, cluster_pb2.ClusterItemFailure):
        return cluster_pb2.ClusterStreamResponse(failure=step)
    return cluster_pb2.ClusterStreamResponse(progress=step)


def _duration(seconds: float) -> Duration:
    whole, part = divmod(seconds, 1)
    return Duration(seconds=int(whole), nanos=int(part * 1e9))
