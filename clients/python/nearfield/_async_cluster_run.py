"""Drives a call of `cluster` over an asyncio channel, as `_cluster_run.py` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Awaitable, Callable, Iterator
from contextlib import suppress
from typing import Any

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._cluster_items import elements
from nearfield._cluster_methods import CLUSTER, CLUSTER_STREAM
from nearfield._cluster_plan import ClusterPlan, ClusterRun
from nearfield._cluster_requests import renamed
from nearfield._clustering import Clustering
from nearfield._deadline import Deadline
from nearfield._ending import Ending
from nearfield._errors import Cancelled, NearfieldError
from nearfield._model import Limits
from nearfield.v1 import cluster_pb2

__all__ = ["cluster_async"]


async def cluster_async(
    transport: AsyncTransport,
    plan: ClusterPlan,
    inputs: Any,
    deadline: Deadline,
    limits: Callable[[], Awaitable[Limits]],
) -> Clustering:
    """Cluster inputs, or the plan's collection where they are None. Raises NearfieldError, and what `inputs` raises."""
    attempts = 0
    while True:
        try:
            if inputs is None:
                return await _of_collection(transport, plan, deadline)
            return await _of_inputs(transport, plan.run(await limits()), plan, inputs, deadline)
        except NearfieldError as error:
            attempts += 1
            if (delay := plan.pause(error, attempts, deadline, transport.settings.retry)) is None:
                raise
        await transport.pause(delay)


async def _of_collection(transport: AsyncTransport, plan: ClusterPlan, deadline: Deadline) -> Clustering:
    try:
        reply = await transport.once(CLUSTER, plan.request(), deadline.timeout())
    except NearfieldError as error:
        raise renamed(error) from error.__cause__
    return plan.run(Limits()).collected(reply)


async def _of_inputs(
    transport: AsyncTransport, run: ClusterRun, plan: ClusterPlan, inputs: Any, deadline: Deadline
) -> Clustering:
    source = _Messages(run, inputs)
    first = await source.first()
    only = run.alone(first)
    if only is not None and plan.on_progress is None:
        try:
            return run.whole(await transport.once(CLUSTER, plan.request(only), deadline.timeout()))
        except NearfieldError as error:
            run.goes_on(error)
    source.known = [one for one in (first, only) if one is not None]
    return await _Stream(transport, run).result(plan.hello(), source.rest(ended=only is not None), deadline)


class _Messages:
    """Inputs, sync or async, as messages."""

    def __init__(self, run: ClusterRun, inputs: Any) -> None:
        self._packer = run.packer
        self._line: Iterator[object] | AsyncIterable[object]
        self._line = aiter(inputs) if isinstance(inputs, AsyncIterable) else iter(elements(inputs))
        self.known: list[cluster_pb2.ClusterItems] = []

    async def first(self) -> cluster_pb2.ClusterItems | None:
        if not isinstance(self._line, AsyncIterable):
            return self._packer.fill(self._line)
        async for value in self._line:
            if (full := self._packer.add(value)) is not None:
                return full
        return None

    async def rest(self, *, ended: bool) -> AsyncGenerator[cluster_pb2.ClusterItems, None]:
        for one in self.known:
            yield one
        if ended:
            return
        if isinstance(self._line, AsyncIterable):
            async for value in self._line:
                if (full := self._packer.add(value)) is not None:
                    yield full
            if (last := self._packer.last()) is not None:
                yield last
            return
        for one in self._packer.messages(self._line):
            yield one


class _Stream:
    """One call of ClusterStream."""

    def __init__(self, transport: AsyncTransport, run: ClusterRun) -> None:
        self._transport = transport
        self._run = run
        self._raised: Exception | None = None

    async def result(
        self,
        hello: cluster_pb2.ClusterStreamRequest,
        messages: AsyncGenerator[cluster_pb2.ClusterItems, None],
        deadline: Deadline,
    ) -> Clustering:
        call = self._transport.start("stream_stream", CLUSTER_STREAM, None, deadline.timeout())
        ending = Ending(call)
        writer = asyncio.create_task(self._write(call, hello, messages))
        try:
            if await self._is_whole(call):
                return self._run.result()
            if self._raised is not None:
                raise self._raised
            raise self._run.failed(await ending.error())
        finally:
            call.cancel()
            writer.cancel()
            await asyncio.wait([writer])
            await messages.aclose()

    async def _is_whole(self, call: Any) -> bool:
        """Take all replies; tell whether the call ended well."""
        try:
            with closing_told():
                while (reply := await call.read()) is not grpc.aio.EOF:
                    self._run.accept(reply)
                return await call.code() is grpc.StatusCode.OK
        except grpc.RpcError:
            return False
        except Cancelled:
            # By us, since the inputs failed; or the client was closed.
            if self._raised is None:
                raise
            return False

    async def _write(
        self,
        call: Any,
        hello: cluster_pb2.ClusterStreamRequest,
        messages: AsyncGenerator[cluster_pb2.ClusterItems, None],
    ) -> None:
        # What ends the call early is told where its replies are read.
        with suppress(grpc.RpcError, asyncio.InvalidStateError):
            await call.write(hello)
            try:
                async for items in messages:
                    await call.write(cluster_pb2.ClusterStreamRequest(items=items))
            except (grpc.RpcError, asyncio.InvalidStateError):
                return
            except Exception as error:  # noqa: BLE001 - raised again, where the caller waits
                self._raised = error
                call.cancel()
                return
            await call.done_writing()
