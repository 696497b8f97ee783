"""What the async client does with clusterings: making, keeping and following them, and putting new items into them."""
# ruff: noqa: A002, ASYNC109 - `id` is what callers know it by; `timeout` is the deadline that travels with the RPC

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterable
from typing import Any, TypeVar, Unpack

import grpc
from google.longrunning import operations_pb2

from nearfield import _cluster_methods as methods
from nearfield._async_cluster_run import cluster_async
from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._cache import ModelCache
from nearfield._channel import call_deadline, check_timeout
from nearfield._cluster_items import ItemPacker, elements
from nearfield._cluster_options import ClusterCallOptions, ClusterInputs, ClusterOptions
from nearfield._cluster_parts import ClusteringParts, assignment_of
from nearfield._cluster_plan import ClusterPlan, is_worth_repeating
from nearfield._cluster_replies import drift_of, info_of, job_of_operation, limits_of
from nearfield._cluster_requests import renamed, start_request
from nearfield._cluster_types import Assignment, ClusteringJob, ClusterLimits
from nearfield._clustering import Clustering, ClusteringInfo
from nearfield._clustering_jobs import OPERATIONS, JobPages, JobWatch, result_of
from nearfield._deadline import Deadline
from nearfield._errors import NearfieldError, NotFound, Unavailable
from nearfield._methods import Method
from nearfield._model import Limits, Model
from nearfield._retry import draw, next_delay
from nearfield._search_types import FilterLike, Id
from nearfield._status import error_of_call
from nearfield.v1 import cluster_pb2

__all__ = ["AsyncClusterings"]

_RequestT = TypeVar("_RequestT")
_ReplyT = TypeVar("_ReplyT")


class AsyncClusterings:
    """What a client does with clusterings."""

    _transport: AsyncTransport
    _models: ModelCache
    _fetch: Callable[[str, Deadline], Awaitable[Model]]

    async def cluster(
        self, inputs: ClusterInputs | AsyncIterable[Any] | None = None, **options: Unpack[ClusterCallOptions]
    ) -> Clustering:
        """Find groups of texts, images or vectors that are alike.

        An input that fails has label -1 and its error in `Clustering.failures`; it touches no other. More inputs than
        one request holds are streamed; an iterable, sync or async, is pulled by a task. Lost connections are made
        again, with all inputs, where they can be read again and the result isn't kept.

        Args:
            inputs: texts, token ids or images as `embed` takes them, or vectors: a float array [n, width] or rows.
                None: the points of `collection`, as many as `cluster_limits()` allows; more: `start_clustering`.
            **options: see `ClusterCallOptions`.

        Raises:
            FailedPrecondition: the server was installed without the clustering libraries.
            ResourceExhausted: it would take more memory than one clustering may; the message has the estimate.
        """
        plan = ClusterPlan(inputs, options)
        deadline = Deadline(check_timeout(options.get("timeout")))
        return await cluster_async(
            self._transport, plan, inputs, deadline, lambda: self._item_limits(plan.model, deadline)
        )

    async def start_clustering(
        self,
        collection: str,
        *,
        tenant: str = "",
        filter: FilterLike | None = None,
        **options: Unpack[ClusterOptions],
    ) -> ClusteringJob:
        """Begin to cluster a collection in the server, and return at once; it survives the server's restart.

        It isn't tried again after a lost connection, which may have begun one: look at `clustering_jobs()`.

        Args:
            collection: its name or alias.
            tenant: whose points.
            filter: which points: an expression, or the proto's Filter; None: all.
            **options: see `ClusterOptions`; `timeout` is that of this call.
        """
        request = start_request(collection, tenant, filter, options)
        deadline = call_deadline(self._transport.settings, options.get("timeout"))
        return job_of_operation(await self._carefully(methods.START_CLUSTERING, request, deadline, is_safe=False))

    async def watch_clustering(
        self,
        id: str,
        *,
        timeout: float | None = None,
    ) -> AsyncGenerator[ClusteringJob, None]:
        """Yield how far a job is: at once, with every change, about once a second, and at its end.

        A lost connection is made again, as `RetryPolicy` says. A failed job is yielded with its `error`, not raised.
        """
        deadline = Deadline(check_timeout(timeout))
        watch, request = JobWatch(self._transport.settings.retry), cluster_pb2.WatchClusteringRequest(id=id)
        while True:
            call = self._transport.start("unary_stream", methods.WATCH_CLUSTERING, request, deadline.timeout())
            try:
                while (reply := await _read(call)) is not grpc.aio.EOF:
                    yield watch.accept(reply)
                if watch.has_ended:
                    return
                delay = watch.lost(Unavailable("the server ended the watch before the job"), deadline.left())
            except grpc.RpcError as failure:
                delay = watch.lost(renamed(error_of_call(failure)), deadline.left())
            finally:
                call.cancel()
            await self._transport.pause(delay)

    async def wait_clustering(
        self,
        id: str,
        timeout: float | None = None,
        on_progress: Callable[[ClusteringJob], object] | None = None,
    ) -> Clustering:
        """Wait for a job and give its clustering. The job goes on when the wait ends early.

        Raises:
            NearfieldError: what the job failed with; Cancelled where it was cancelled.
            DeadlineExceeded: it hasn't ended in `timeout` seconds.
        """
        deadline = Deadline(check_timeout(timeout))
        job = None
        async for job in self.watch_clustering(id, timeout=deadline.timeout()):
            if on_progress is not None:
                on_progress(job)
        result_of(job, id)
        return await self.clustering(id, timeout=deadline.timeout())

    async def cancel_clustering(self, id: str, *, timeout: float | None = None) -> ClusteringJob:
        """End a job; give it as it is then. One that has ended stays as it is."""
        deadline = call_deadline(self._transport.settings, timeout)
        name = OPERATIONS + id.removeprefix(OPERATIONS)
        cancel = operations_pb2.CancelOperationRequest(name=name)
        await self._carefully(methods.CANCEL_OPERATION, cancel, deadline)
        return job_of_operation(
            await self._carefully(methods.GET_OPERATION, operations_pb2.GetOperationRequest(name=name), deadline)
        )

    async def clustering_jobs(self, *, timeout: float | None = None) -> list[ClusteringJob]:
        """List the jobs under way and those that ended, newest first."""
        deadline, pages = call_deadline(self._transport.settings, timeout), JobPages()
        while (request := pages.request()) is not None:
            pages.accept(await self._carefully(methods.LIST_OPERATIONS, request, deadline))
        return pages.jobs

    async def clusterings(self, *, timeout: float | None = None) -> list[ClusteringInfo]:
        """List the kept clusterings, newest first, without clusters and labels."""
        return [info_of(one) for one in (await self._listed(timeout)).clusterings]

    async def cluster_limits(self, *, timeout: float | None = None) -> ClusterLimits:
        """Tell what the server takes."""
        return limits_of((await self._listed(timeout)).limits)

    async def clustering(
        self,
        id: str,
        *,
        assignments: bool = True,
        timeout: float | None = None,
    ) -> Clustering:
        """Give a kept clustering; `assignments=False` leaves its labels away.

        Its rows are those of the inputs then; of inputs that failed, those behind the last good one aren't known here.

        Raises:
            NotFound: there is none of that id, or it has expired.
            FailedPrecondition: its job hasn't ended, or has failed.
        """
        request = cluster_pb2.GetClusteringRequest(id=id, without_assignments=not assignments)
        deadline, attempts = call_deadline(self._transport.settings, timeout), 0
        while True:
            parts = ClusteringParts()
            call = self._transport.start("unary_stream", methods.GET_CLUSTERING, request, deadline.timeout())
            try:
                while (reply := await _read(call)) is not grpc.aio.EOF:
                    parts.accept(reply)
                return parts.result()
            except grpc.RpcError as failure:
                attempts += 1
                error, left = error_of_call(failure), deadline.left()
                retry = self._transport.settings.retry
                if (delay := next_delay(retry, error, attempts=attempts, seconds_left=left, draw=draw())) is None:
                    raise renamed(error) from failure
            finally:
                call.cancel()
            await self._transport.pause(delay)

    async def delete_clustering(self, id: str, *, timeout: float | None = None) -> None:
        """Delete a kept clustering. Raises FailedPrecondition while its job is under way: cancel that."""
        request = cluster_pb2.DeleteClusteringRequest(id=id)
        await self._carefully(methods.DELETE_CLUSTERING, request, call_deadline(self._transport.settings, timeout))

    async def assign(
        self,
        id: str,
        inputs: ClusterInputs,
        *,
        ids: Iterable[Id] | None = None,
        dry_run: bool = False,
        timeout: float | None = None,
    ) -> Assignment:
        """Put new items into the clusters of a kept clustering, which doesn't change by it.

        Args:
            id: of the clustering.
            inputs: as `cluster` takes them: texts are embedded by its model, vectors have its width.
            ids: what the caller calls the inputs.
            dry_run: doesn't count them for the drift, and is repeated after a lost connection.
            timeout: seconds for the whole call; None is the client's own default.

        Raises:
            InvalidArgument: an input is wrong; none of them is left out.
        """
        deadline = call_deadline(self._transport.settings, timeout)
        known = self._models.get("")
        packer = ItemPacker(known.limits if known else await self._item_limits("", deadline), ids)
        replies = []
        for items in packer.strict_messages(elements(inputs)):
            request = cluster_pb2.AssignRequest(id=id, items=items, dry_run=dry_run)
            try:
                replies.append(await self._carefully(methods.ASSIGN, request, deadline, is_safe=dry_run))
            except NearfieldError as error:
                self._models.forget_after("", error)  # its limits may be of the past
                raise packer.located(error) from error.__cause__
        return assignment_of(replies, drift_of(replies[-1].drift))

    async def _listed(self, timeout: float | None) -> cluster_pb2.ListClusteringsResponse:
        deadline = call_deadline(self._transport.settings, timeout)
        return await self._carefully(methods.LIST_CLUSTERINGS, cluster_pb2.ListClusteringsRequest(), deadline)

    async def _item_limits(self, model: str, deadline: Deadline) -> Limits:
        # Limits are the same for all models; without any model, vectors can still be clustered.
        try:
            return (await self._fetch(model, deadline)).limits
        except NotFound:
            if model:
                raise
            return Limits()

    async def _carefully(
        self, method: Method[_RequestT, _ReplyT], request: _RequestT, deadline: Deadline, *, is_safe: bool = True
    ) -> _ReplyT:
        attempts = 0
        while True:
            try:
                return await self._transport.once(method, request, deadline.timeout())
            except NearfieldError as error:
                attempts += 1
                retry, left = self._transport.settings.retry, deadline.left()
                delay = next_delay(retry, error, attempts=attempts, seconds_left=left, draw=draw())
                if delay is None or not is_worth_repeating(error, is_safe=is_safe):
                    raise renamed(error) from error.__cause__
            await self._transport.pause(delay)


async def _read(call: Any) -> Any:
    with closing_told():
        return await call.read()
