"""What a client does with maps."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Unpack

import grpc

from nearfield import _projection_methods as methods
from nearfield._channel import call_deadline, check_timeout
from nearfield._deadline import Deadline
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
from nearfield._transport import Transport
from nearfield.v1 import cluster_pb2

__all__ = ["Maps"]


class Maps:
    """What a client does with maps: coordinates that put near items near each other."""

    _transport: Transport

    def project(self, items: Iterable[Any] | None = None, **options: Unpack[ProjectOptions]) -> Projection:
        """Make a map of texts, vectors, images or token ids, or of a collection.

        Items that fail are left out and told in `Projection.errors`.

        Args:
            items: any iterable, streamed in bounded messages; rows of float arrays are vectors. None with `collection`.
            **options: see `ProjectOptions`.

        Raises:
            FailedPrecondition: the server was installed without the method's libraries.
            ResourceExhausted: it would take more memory than it may, or too many wait.
        """
        return self._project(options_message(options), items, options)

    def place(self, projection: str, items: Iterable[Any] | None = None, **options: Unpack[PlaceOptions]) -> Projection:
        """Put items into a kept map, which doesn't change by it; texts are embedded by its model.

        Args:
            projection: its id.
            items: as of `project`.
            **options: see `PlaceOptions`.

        Raises:
            NotFound: there is no map of that id, or it has expired.
        """
        return self._project(place_message(projection, options), items, options)

    def projection(self, id: str, *, timeout: float | None = None) -> Projection:  # noqa: A002
        """Give a kept map. Raises NotFound."""
        deadline = call_deadline(self._transport.settings, timeout)
        request = cluster_pb2.GetProjectionRequest(id=id)
        call = self._transport.start("unary_stream", methods.GET_PROJECTION, request, deadline.timeout())
        return _read(call, Reading())

    def projections(self, *, timeout: float | None = None) -> list[Projection]:
        """List the kept maps, newest first, without coordinates."""
        deadline = call_deadline(self._transport.settings, timeout)
        reply = self._transport.call(methods.LIST_PROJECTIONS, cluster_pb2.ListProjectionsRequest(), deadline)
        return [projection_of(one) for one in reply.projections]

    def delete_projection(self, id: str, *, timeout: float | None = None) -> None:  # noqa: A002
        """Delete a kept map. Raises NotFound."""
        request = cluster_pb2.DeleteProjectionRequest(id=id)
        self._transport.call(methods.DELETE_PROJECTION, request, call_deadline(self._transport.settings, timeout))

    def _project(self, first: cluster_pb2.ProjectRequest, items: object, options: PlaceOptions) -> Projection:
        raised: list[BaseException] = []
        calls: list[Any] = []

        def send() -> Iterator[cluster_pb2.ProjectRequest]:
            # In gRPC's own thread, which would swallow the error; half of the items must not be projected.
            try:
                yield first
                yield from messages(items, options)
            except Exception as error:  # noqa: BLE001 - raised again below
                raised.append(error)
                for call in calls:
                    call.cancel()

        deadline = Deadline(check_timeout(options.get("timeout")))
        calls.append(self._transport.start("stream_stream", methods.PROJECT, send(), deadline.timeout()))
        if raised:  # before there was a call to cancel
            calls[0].cancel()
        try:
            return _read(calls[0], Reading(options.get("on_progress")))
        finally:
            if raised:
                raise raised[0]


def _read(call: Any, reading: Reading) -> Projection:
    try:
        for message in call:
            reading.take(message)
    except grpc.RpcError as failure:
        raise error_of_call(failure) from failure
    finally:
        call.cancel()
    return reading.result()
