"""Unary calls over an asyncio channel: retries, deadlines, several parts at once."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterator
from typing import Any, TypeVar

import grpc

from nearfield._channel import Settings
from nearfield._deadline import Deadline
from nearfield._errors import Cancelled, NearfieldError
from nearfield._jobs import Job
from nearfield._methods import Method
from nearfield._model import Model
from nearfield._retry import draw, next_delay
from nearfield._status import error_of_call
from nearfield._transport import CLOSED, PARTS_IN_FLIGHT

__all__ = ["AsyncTransport", "closing_told"]

PartT = TypeVar("PartT")
RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


@contextlib.contextmanager
def closing_told() -> Iterator[None]:
    """Raise Cancelled for gRPC's CancelledError where nobody cancelled the present task.

    Closing a channel makes gRPC raise CancelledError in all who wait for one of its calls. Let through, it would pass
    for a cancel of the caller's task: a TaskGroup, for one, would take the task for done.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is not None and not task.cancelling():
            raise Cancelled(CLOSED) from None
        raise


class AsyncTransport:
    """A channel and how to call over it. The channel is made with the first call, inside the loop that will use it."""

    def __init__(self, settings: Settings) -> None:
        """Open nothing yet."""
        self.settings = settings
        self._channel: grpc.aio.Channel | None = None
        self._callables: dict[str, Any] = {}
        self._closed = asyncio.Event()

    async def close(self) -> None:
        """Cancel what is under way and disconnect; a second time does nothing."""
        self._closed.set()
        channel, self._channel = self._channel, None
        if channel is not None:
            await channel.close()

    async def call(self, method: Method[RequestT, ReplyT], request: RequestT, deadline: Deadline) -> ReplyT:
        """Call, and again where `_retry` says so, within `deadline`. Raises NearfieldError."""
        attempts = 0
        while True:
            try:
                return await self.once(method, request, deadline.timeout())
            except NearfieldError as error:
                attempts += 1
                left = deadline.left()
                delay = next_delay(self.settings.retry, error, attempts=attempts, seconds_left=left, draw=draw())
                if delay is None:
                    raise
            await self.pause(delay)

    async def pause(self, seconds: float) -> None:
        """Wait. Raises Cancelled when the client is closed meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._closed.wait()
                raise Cancelled(CLOSED)

    async def once(self, method: Method[RequestT, ReplyT], request: RequestT, timeout: float | None) -> ReplyT:  # noqa: ASYNC109 - gRPC's own
        """Call once; cancelling the task cancels the RPC. Raises NearfieldError."""
        try:
            with closing_told():
                return await self.start("unary_unary", method, request, timeout)  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            raise error_of_call(error) from error

    def start(self, kind: str, method: Method[Any, Any], request: Any, timeout: float | None) -> Any:
        """Start a call (`kind` as grpc.aio.Channel names it); gives gRPC's call, which raises grpc.RpcError."""
        arguments: dict[str, Any] = {"timeout": timeout, "metadata": self.settings.metadata}
        if kind != "stream_stream":
            return self._callable(kind, method)(request, **arguments)
        return self._callable(kind, method)(**arguments)

    async def run(self, job: Job[PartT, RequestT, ReplyT], model: Model, deadline: Deadline) -> int:
        """Ask for all parts of `job`, a few at a time; give their number.

        Raises the first NearfieldError, with the caller's indexes.
        """
        parts = job.parts(model)
        line = iter(parts)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(PARTS_IN_FLIGHT, len(parts))):
                    group.create_task(self._work(job, line, deadline))
        except BaseExceptionGroup as failed:
            # The group cancelled the others after the first failure; a second one in the same moment adds nothing.
            raise failed.exceptions[0] from failed.exceptions[0].__cause__
        return len(parts)

    async def _work(self, job: Job[PartT, RequestT, ReplyT], line: Iterator[PartT], deadline: Deadline) -> None:
        for part in line:
            try:
                reply = await self.call(job.method, job.request(part), deadline)
            except NearfieldError as error:
                raise job.located(part, error) from error.__cause__
            job.accept(part, reply)

    def _callable(self, kind: str, method: Method[Any, Any]) -> Any:
        if self._closed.is_set():
            raise ValueError("the client is closed")
        if (found := self._callables.get(method.path)) is None:
            found = getattr(self._open(), kind)(method.path, method.encode, method.decode)
            self._callables[method.path] = found
        return found

    def _open(self) -> grpc.aio.Channel:
        if self._channel is None:
            one = self.settings
            if one.credentials is None:
                self._channel = grpc.aio.insecure_channel(one.target, one.channel_options, one.compression)
            else:
                self._channel = grpc.aio.secure_channel(
                    one.target, one.credentials, one.channel_options, one.compression
                )
        return self._channel
