"""StartClustering, WatchClustering, and google.longrunning.Operations over the jobs that they are about."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from google.longrunning import operations_pb2, operations_pb2_grpc
from google.protobuf.empty_pb2 import Empty
from google.rpc import code_pb2, status_pb2

from nearfield.v1 import cluster_pb2
from nearfield_server.core.clustering.jobs import ClusterJob, ClusterJobs, JobState
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.errors import ClusteringNotFound, InvalidInput
from nearfield_server.rpc import cluster_replies
from nearfield_server.rpc.cluster_convert import PREFIX, id_of

__all__ = ["JobRpcs", "OperationsServicer"]

_MAX_PAGE, _PAGE = 1000, 100
_LONGEST_WAIT = 3600.0


class JobRpcs:
    """The rpcs of ClusterService about jobs."""

    def __init__(self, jobs: ClusterJobs, kept: KeptClusterings) -> None:
        """Ask `jobs`; their results are in `kept`."""
        self.jobs = jobs
        self.kept = kept

    async def start(self, request: cluster_pb2.StartClusteringRequest, _: Any) -> operations_pb2.Operation:
        """Queue one."""
        return self.operation(await self.jobs.begin(request.SerializeToString(deterministic=True)))

    async def watch(
        self, request: cluster_pb2.WatchClusteringRequest, _: Any
    ) -> AsyncGenerator[cluster_pb2.WatchClusteringResponse, None]:
        """Follow one."""
        async with aclosing(self.jobs.follow(id_of("id", request.id))) as steps:
            async for job in steps:
                yield cluster_pb2.WatchClusteringResponse(progress=cluster_replies.job_progress(job))

    def operation(self, job: ClusterJob) -> operations_pb2.Operation:
        """Give a job as an Operation."""
        message = operations_pb2.Operation(name=PREFIX + job.id, done=job.ended)
        message.metadata.Pack(cluster_replies.job_progress(job), deterministic=True)
        if job.state is JobState.DONE:
            try:
                message.response.Pack(cluster_replies.head_message(self.kept.head(job.id)), deterministic=True)
            except ClusteringNotFound:
                text = "its clustering was deleted, or has expired"
                message.error.CopyFrom(status_pb2.Status(code=code_pb2.NOT_FOUND, message=text))
        elif job.state is JobState.FAILED:
            message.error.CopyFrom(cluster_replies.failed(job))
        elif job.state is JobState.CANCELLED:
            message.error.CopyFrom(status_pb2.Status(code=code_pb2.CANCELLED, message="it was cancelled"))
        return message


class OperationsServicer(operations_pb2_grpc.OperationsServicer):  # type: ignore[misc]  # it has no types
    """google.longrunning.Operations (AIP-151)."""

    def __init__(self, rpcs: JobRpcs) -> None:
        """Serve the jobs of `rpcs`."""
        self._rpcs = rpcs
        self._jobs = rpcs.jobs

    async def GetOperation(self, request: operations_pb2.GetOperationRequest, context: Any) -> operations_pb2.Operation:
        """Give one."""
        return self._rpcs.operation(self._jobs.get(_id(request.name)))

    async def ListOperations(
        self, request: operations_pb2.ListOperationsRequest, context: Any
    ) -> operations_pb2.ListOperationsResponse:
        """Give a page of them, newest first; `filter` may be `done=true` or `done=false`."""
        if request.name not in {"", "operations", PREFIX}:
            raise InvalidInput("name", "must be operations")
        filters = {"": None, "done=true": True, "done=false": False}
        wanted = request.filter.replace(" ", "").lower()
        if wanted not in filters:
            raise InvalidInput("filter", "must be empty, done=true or done=false")
        if not 0 <= request.page_size <= _MAX_PAGE:
            raise InvalidInput("page_size", f"must be 0 to {_MAX_PAGE}", limit=_MAX_PAGE)
        jobs = [one for one in self._jobs.all() if filters[wanted] in {None, one.ended}]
        start = 0
        if request.page_token:
            start = next((at + 1 for at, one in enumerate(jobs) if one.id == request.page_token), -1)
            if start < 0:
                raise InvalidInput("page_token", "is none that ListOperations gave, or its job is gone: begin anew")
        page = jobs[start : start + (request.page_size or _PAGE)]
        more = start + len(page) < len(jobs)
        return operations_pb2.ListOperationsResponse(
            operations=[self._rpcs.operation(one) for one in page], next_page_token=page[-1].id if more else ""
        )

    async def WaitOperation(
        self, request: operations_pb2.WaitOperationRequest, context: Any
    ) -> operations_pb2.Operation:
        """Wait for one's end, or the timeout; give it as it is then."""
        asked = request.timeout.ToMilliseconds() / 1000 if request.HasField("timeout") else _LONGEST_WAIT
        if asked < 0:
            raise InvalidInput("timeout", "must not be negative")
        return self._rpcs.operation(await self._jobs.wait(_id(request.name), min(asked, _LONGEST_WAIT)))

    async def CancelOperation(self, request: operations_pb2.CancelOperationRequest, context: Any) -> Empty:
        """End one; one that has ended stays as it is."""
        await self._jobs.cancel(_id(request.name))
        return Empty()

    async def DeleteOperation(self, request: operations_pb2.DeleteOperationRequest, context: Any) -> Empty:
        """Forget one that has ended; its clustering stays."""
        await self._jobs.forget(_id(request.name))
        return Empty()


def _id(name: str) -> str:
    if not name:
        raise InvalidInput("name", "must name an operation: operations/ID")
    return id_of("name", name)
