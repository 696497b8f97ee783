"""The rpcs of ClusterService that make maps, give them, and put new items into them."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Iterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any

from nearfield.v1 import cluster_pb2
from nearfield_server.core.computing.gatherer import Gatherer
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.projection.kept import KeptProjections
from nearfield_server.core.projection.nouns import Projection
from nearfield_server.core.projection.projector import Projector
from nearfield_server.rpc import projection_convert, replies
from nearfield_server.rpc.clusters import caller_of
from nearfield_server.rpc.gathering import Gathering, Progress, Step

__all__ = ["MapRpcs", "ProjectionRpcs"]


@dataclass(frozen=True, slots=True)
class MapRpcs:
    """The use cases."""

    projector: Projector
    gatherer: Gatherer
    kept: KeptProjections


class ProjectionRpcs:
    """Requests to calls, and back."""

    def __init__(self, tools: MapRpcs, registry: ModelRegistry, max_ttl_seconds: float, idle_seconds: float) -> None:
        """`registry` publishes the limits of messages; `idle_seconds` is how long a stream may stand still."""
        self._tools = tools
        self._registry = registry
        self._max_ttl_seconds = max_ttl_seconds
        self._idle_seconds = idle_seconds

    async def project(
        self, requests: AsyncIterator[cluster_pb2.ProjectRequest], context: Any
    ) -> AsyncGenerator[cluster_pb2.ProjectResponse, None]:
        """Project what is streamed in, or a collection; or put it into a kept map."""
        caller = caller_of(context)
        gathering = Gathering(requests, self._tools.gatherer, self._registry, self._idle_seconds)
        first = await gathering.first()
        call = projection_convert.project_call(first.options, self._max_ttl_seconds, caller)
        gathered, embedding = self._tools.projector.begin(call)
        try:
            if call.collection is None:
                async with aclosing(gathering.items(gathered, embedding, caller)) as steps:
                    async for step in steps:
                        yield _step(step)
            else:
                await gathering.end()
            progress: Progress[Projection] = Progress(gathering.count)
            positions = gathering.positions if call.collection is None else None
            work = self._tools.projector.finish(call, gathered, progress.told, positions)
            async with aclosing(progress.follow(work)) as told:
                async for step in told:
                    yield _step(step)
            made: Projection = progress.result
        finally:
            gathered.close()
        yield cluster_pb2.ProjectResponse(projection=projection_convert.head_message(made.head))
        for page in self._pages(made):
            yield cluster_pb2.ProjectResponse(coordinates=page)

    async def get(
        self, request: cluster_pb2.GetProjectionRequest, _: Any
    ) -> AsyncGenerator[cluster_pb2.GetProjectionResponse, None]:
        """Give a kept projection."""
        made = await self._tools.kept.load(projection_convert.id_of("id", request.id))
        yield cluster_pb2.GetProjectionResponse(projection=projection_convert.head_message(made.head))
        for page in self._pages(made):
            yield cluster_pb2.GetProjectionResponse(coordinates=page)

    async def list(self, _: cluster_pb2.ListProjectionsRequest, __: Any) -> cluster_pb2.ListProjectionsResponse:
        """Give all kept projections."""
        heads = map(projection_convert.head_message, self._tools.kept.all())
        reply = cluster_pb2.ListProjectionsResponse(projections=heads)
        return replies.within_limit("", reply, self._registry.limits, "delete some")

    async def delete(
        self, request: cluster_pb2.DeleteProjectionRequest, _: Any
    ) -> cluster_pb2.DeleteProjectionResponse:
        """Delete a kept projection."""
        await self._tools.kept.delete(projection_convert.id_of("id", request.id))
        return cluster_pb2.DeleteProjectionResponse()

    def _pages(self, made: Projection) -> Iterator[cluster_pb2.CoordinatePage]:
        return projection_convert.pages(made, self._registry.limits.max_response_bytes)


def _step(step: Step) -> cluster_pb2.ProjectResponse:
    if isinstance(step, cluster_pb2.ClusterItemFailure):
        return cluster_pb2.ProjectResponse(failure=step)
    return cluster_pb2.ProjectResponse(progress=step)
