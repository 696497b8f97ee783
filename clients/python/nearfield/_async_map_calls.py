"""What the async client does with maps."""
# ruff: noqa: ASYNC109 - `timeout` is the deadline that travels with the RPC

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from contextlib import suppress
from typing import Any, Unpack

import grpc

from nearfield import _projection_methods as methods
from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._channel import call_deadline, check_timeout
from nearfield._deadline import Deadline
from nearfield._ending import Ending
from nearfield._projections import (
    PlaceOptions,
    Projection,
    ProjectOptions,
    Reading,
    messages,
    options_message,
    place_message,
    projection_of,
)
from nearfield._status import error_of_call
from nearfield.v1 import cluster_pb2

__all__ = ["AsyncMaps"]


class AsyncMaps:
    """What a client does with maps: coordinates that put near items near each other."""

    _transport: AsyncTransport

    async def project(self, items: Iterable[Any] | None = None, **options: Unpack[ProjectOptions]) -> Projection:
        """Make a map of texts, vectors, images or token ids, or of a collection.

        Items that fail are left out and told in `Projection.errors`.

        Args:
            items: any iterable, streamed in bounded messages; rows of float arrays are vectors. None with `collection`.
            **options: see `ProjectOptions`.

        Raises:
            FailedPrecondition: the server was installed without the method's libraries.
            ResourceExhausted: it would take more memory than it may, or too many wait.
        """
        return await self._project(options_message(options), items, options)

    async def place(
        self, projection: str, items: Iterable[Any] | None = None, **options: Unpack[PlaceOptions]
    ) -> Projection:
        """Put items into a kept map, which doesn't change by it; texts are embedded by its model.

        Args:
            projection: its id.
            items: as of `project`.
            **options: see `PlaceOptions`.

        Raises:
            NotFound: there is no map of that id, or it has expired.
        """
        return await self._project(place_message(projection, options), items, options)

    async def projection(self, id: str, *, timeout: float | None = None) -> Projection:  # noqa: A002
        """Give a kept map. Raises NotFound."""
        deadline = call_deadline(self._transport.settings, timeout)
        request = cluster_pb2.GetProjectionRequest(id=id)
        call = self._transport.start("unary_stream", methods.GET_PROJECTION, request, deadline.timeout())
        return await _read(call, Reading())

    async def projections(self, *, timeout: float | None = None) -> list[Projection]:
        """List the kept maps, newest first, without coordinates."""
        deadline = call_deadline(self._transport.settings, timeout)
        reply = await self._transport.call(methods.LIST_PROJECTIONS, cluster_pb2.ListProjectionsRequest(), deadline)
        return [projection_of(one) for one in reply.projections]

    async def delete_projection(self, id: str, *, timeout: float | None = None) -> None:  # noqa: A002
        """Delete a kept map. Raises NotFound."""
        request = cluster_pb2.DeleteProjectionRequest(id=id)
        await self._transport.call(methods.DELETE_PROJECTION, request, call_deadline(self._transport.settings, timeout))

    async def _project(self, first: cluster_pb2.ProjectRequest, items: object, options: PlaceOptions) -> Projection:
        deadline = Deadline(check_timeout(options.get("timeout")))
        call = self._transport.start("stream_stream", methods.PROJECT, None, deadline.timeout())

        async def send() -> None:
            # What ends a call early is told to the reader, not to us.
            with suppress(grpc.RpcError, asyncio.InvalidStateError):
                await call.write(first)
                for message in messages(items, options):
                    await call.write(message)
                await call.done_writing()

        async def send_all() -> None:
            try:
                await send()
            except BaseException:
                call.cancel()  # half of the items must not be projected
                raise

        ending, sending = Ending(call), asyncio.ensure_future(send_all())
        try:
            return await _read(call, Reading(options.get("on_progress")), ending)
        finally:
            sending.cancel()
            await asyncio.wait([sending])
            if not sending.cancelled() and (error := sending.exception()) is not None:
                raise error


async def _read(call: Any, reading: Reading, ending: Ending | None = None) -> Projection:
    try:
        with closing_told():
            async for message in call:
                reading.take(message)
    except grpc.RpcError as failure:
        raise (error_of_call(failure) if ending is None else await ending.error()) from failure
    finally:
        call.cancel()
    return reading.result()
