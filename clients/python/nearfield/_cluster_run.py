"""Drives a call of `cluster` over a blocking channel.

inputs ──gRPC's sender thread──▶ messages ──▶ server ──▶ progress, failures, the clustering ──▶ caller's thread
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Generator, Iterable
from typing import Any

import grpc

from nearfield._cluster_items import elements
from nearfield._cluster_methods import CLUSTER, CLUSTER_STREAM
from nearfield._cluster_plan import ClusterPlan, ClusterRun
from nearfield._cluster_requests import renamed
from nearfield._clustering import Clustering
from nearfield._deadline import Deadline
from nearfield._errors import NearfieldError
from nearfield._model import Limits
from nearfield._status import error_of_call
from nearfield._transport import Transport
from nearfield.v1 import cluster_pb2

__all__ = ["cluster"]


def cluster(
    transport: Transport, plan: ClusterPlan, inputs: Any, deadline: Deadline, limits: Callable[[], Limits]
) -> Clustering:
    """Cluster inputs, or the plan's collection where they are None. Raises NearfieldError, and what `inputs` raises."""
    attempts = 0
    while True:
        try:
            if inputs is None:
                return _of_collection(transport, plan, deadline)
            return _of_inputs(transport, plan.run(limits()), plan, inputs, deadline)
        except NearfieldError as error:
            attempts += 1
            if (delay := plan.pause(error, attempts, deadline, transport.settings.retry)) is None:
                raise
        transport.pause(delay)


def _of_collection(transport: Transport, plan: ClusterPlan, deadline: Deadline) -> Clustering:
    try:
        reply = transport.once(CLUSTER, plan.request(), deadline.timeout())
    except NearfieldError as error:
        raise renamed(error) from error.__cause__
    return plan.run(Limits()).collected(reply)


def _of_inputs(transport: Transport, run: ClusterRun, plan: ClusterPlan, inputs: Any, deadline: Deadline) -> Clustering:
    values = iter(elements(inputs))
    first = run.packer.fill(values)
    only = run.alone(first)
    if only is not None and plan.on_progress is None:
        try:
            return run.whole(transport.once(CLUSTER, plan.request(only), deadline.timeout()))
        except NearfieldError as error:
            run.goes_on(error)
    known = [one for one in (first, only) if one is not None]
    rest = () if only is not None else run.packer.messages(values)
    return _Stream(transport, run).result(plan.hello(), itertools.chain(known, rest), deadline)


class _Stream:
    """One call of ClusterStream."""

    def __init__(self, transport: Transport, run: ClusterRun) -> None:
        self._transport = transport
        self._run = run
        self._call: Any = None
        self._raised: BaseException | None = None

    def result(
        self,
        hello: cluster_pb2.ClusterStreamRequest,
        messages: Iterable[cluster_pb2.ClusterItems],
        deadline: Deadline,
    ) -> Clustering:
        requests = self._requests(hello, messages)
        self._call = self._transport.start("stream_stream", CLUSTER_STREAM, requests, deadline.timeout())
        if self._raised is not None:
            self._call.cancel()
        try:
            for reply in self._call:
                self._run.accept(reply)
        except grpc.RpcError as failure:
            if self._raised is not None:
                raise self._raised from None
            raise self._run.failed(error_of_call(failure)) from failure
        finally:
            self._call.cancel()
        return self._run.result()

    def _requests(
        self, hello: cluster_pb2.ClusterStreamRequest, messages: Iterable[cluster_pb2.ClusterItems]
    ) -> Generator[cluster_pb2.ClusterStreamRequest, None, None]:
        yield hello
        try:
            for items in messages:
                yield cluster_pb2.ClusterStreamRequest(items=items)
        except Exception as error:  # noqa: BLE001 - raised again, where the caller waits
            # What came until then is not to be clustered.
            self._raised = error
            if self._call is not None:
                self._call.cancel()
