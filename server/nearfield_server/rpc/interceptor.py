"""What happens around every call: decoding, limits, errors to statuses, request id, metrics.

One interceptor of our own, because the ready-made ones break bidirectional handlers or count cancelled calls as OK, and
because gRPC answers a message that can't be decoded with UNKNOWN and lets exception texts through to clients.
"""

from __future__ import annotations

import asyncio
import inspect
import logging
import os
import re
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import aclosing, contextmanager
from typing import Any, NoReturn

import grpc
from google.protobuf.message import DecodeError

from nearfield_server.errors import InvalidInput, Overloaded
from nearfield_server.rpc.status import to_status, trailers
from nearfield_server.telemetry.logs import bound_request_id
from nearfield_server.telemetry.metrics import Metrics

__all__ = ["CallInterceptor"]

logger = logging.getLogger("nearfield.rpc")

_REQUEST_ID = re.compile(r"[A-Za-z0-9._-]{1,64}")
_CODES = {code.value[0]: code for code in grpc.StatusCode}
_OURS = ("/nearfield.v1.", "/google.longrunning.")
_RETRY_SECONDS = 0.25
_ID_BYTES = 16


class _Undecodable:
    """Stands for a message whose bytes are no valid message."""


class CallInterceptor(grpc.aio.ServerInterceptor):
    """Wraps the handlers of all services. Limits hold for Nearfield's own services, never for health checks."""

    def __init__(self, metrics: Metrics, *, max_calls: int, max_streams: int) -> None:
        """At most `max_calls` unary calls and `max_streams` streaming calls at once."""
        self._metrics = metrics
        self._limits = {False: max_calls, True: max_streams}
        self._active = {False: 0, True: 0}

    @property
    def active(self) -> int:
        """Calls of Nearfield's own services in progress."""
        return sum(self._active.values())

    async def intercept_service(
        self,
        continuation: Callable[[grpc.HandlerCallDetails], Awaitable[Any]],
        handler_call_details: grpc.HandlerCallDetails,
    ) -> Any:
        """Give the handler for a call, wrapped."""
        handler: Any = await continuation(handler_call_details)
        method = handler_call_details.method
        rpc = method.rpartition("/")[2] if method.startswith(_OURS) else "other"
        if handler is None:
            self._metrics.request_refused("other", grpc.StatusCode.UNIMPLEMENTED.name)
            return None
        decode = _guarded(handler.request_deserializer)
        if not handler.response_streaming:
            single = self._unary(rpc, handler.stream_unary if handler.request_streaming else handler.unary_unary)
            make = (
                grpc.stream_unary_rpc_method_handler
                if handler.request_streaming
                else grpc.unary_unary_rpc_method_handler
            )
            return make(single, decode, handler.response_serializer)
        if handler.request_streaming:
            wrapped = self._streaming(rpc, handler.stream_stream)
            return grpc.stream_stream_rpc_method_handler(wrapped, decode, handler.response_serializer)
        wrapped = self._streaming(rpc, handler.unary_stream)
        return grpc.unary_stream_rpc_method_handler(wrapped, decode, handler.response_serializer)

    def _unary(self, rpc: str, behavior: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
            with self._observed(rpc, context) as outcome:
                try:
                    streaming = hasattr(request, "__aiter__")
                    with self._counted(rpc, streaming=streaming):
                        given = _decoded_stream(request) if streaming else _decoded(request)
                        reply = await behavior(given, context)
                except grpc.aio.AbortError:
                    outcome.ended(context.code())  # a ready-made servicer (reflection, channelz) chose it
                    raise
                except Exception as error:  # noqa: BLE001 - every error gets its status here
                    await outcome.abort(error)
                except asyncio.CancelledError as error:
                    await outcome.cancelled(error)
                outcome.finish()
                return reply

        return call

    def _streaming(self, rpc: str, behavior: Callable[..., Any]) -> Callable[..., Awaitable[None]]:
        async def call(request: Any, context: grpc.aio.ServicerContext[Any, Any]) -> None:
            with self._observed(rpc, context) as outcome:
                try:
                    with self._counted(rpc, streaming=True):
                        request = _decoded_stream(request) if hasattr(request, "__aiter__") else _decoded(request)
                        if inspect.isasyncgenfunction(behavior):
                            async with aclosing(behavior(request, context)) as replies:
                                async for reply in replies:
                                    await context.write(reply)
                        else:
                            await behavior(request, context)
                except grpc.aio.AbortError:
                    outcome.ended(context.code())  # a ready-made servicer (reflection, channelz) chose it
                    raise
                except Exception as error:  # noqa: BLE001 - every error gets its status here
                    await outcome.abort(error)
                except asyncio.CancelledError as error:
                    await outcome.cancelled(error)
                outcome.finish()

        return call

    @contextmanager
    def _observed(self, rpc: str, context: grpc.aio.ServicerContext[Any, Any]) -> Any:
        started = time.monotonic()

        def record(code: grpc.StatusCode) -> None:
            seconds = time.monotonic() - started
            self._metrics.request_done(rpc, code.name, seconds)
            if logger.isEnabledFor(logging.DEBUG):
                logger.debug("call", extra={"rpc": rpc, "status": code.name, "seconds": round(seconds, 6)})

        outcome = _Outcome(context, record)
        self._metrics.request_started(rpc)
        with bound_request_id(outcome.request_id):
            try:
                yield outcome
            finally:
                outcome.ended(grpc.StatusCode.UNKNOWN)

    @contextmanager
    def _counted(self, rpc: str, *, streaming: bool) -> Any:
        if rpc == "other":
            yield
            return
        if self._active[streaming] >= self._limits[streaming]:
            kind = "streams" if streaming else "calls"
            self._metrics.rejected(kind)
            msg = f"{self._limits[streaming]} {kind} are in progress, as many as allowed; try again"
            raise Overloaded(msg, retry_after_seconds=_RETRY_SECONDS, limited_by=kind)
        self._active[streaming] += 1
        try:
            yield
        finally:
            self._active[streaming] -= 1


class _Outcome:
    """How one call ends; recorded once."""

    def __init__(self, context: grpc.aio.ServicerContext[Any, Any], record: Callable[[grpc.StatusCode], None]) -> None:
        self._context = context
        self._record: Callable[[grpc.StatusCode], None] | None = record
        self.request_id = _given_id(context.invocation_metadata() or ()) or os.urandom(_ID_BYTES).hex()

    def ended(self, code: grpc.StatusCode) -> None:
        if self._record is not None:
            self._record(code)
            self._record = None

    def finish(self) -> None:
        self.ended(grpc.StatusCode.OK)
        self._context.set_trailing_metadata((("x-request-id", self.request_id),))

    async def abort(self, error: BaseException) -> NoReturn:
        status = to_status(error)
        code = _CODES[status.code]
        # Before it is sent: to a client that doesn't read, sending takes as long as the client likes.
        self.ended(code)
        metadata = (("x-request-id", self.request_id), *trailers(error, status))
        await self._context.abort(code, status.message, metadata)
        raise AssertionError  # abort always raises

    async def cancelled(self, error: asyncio.CancelledError) -> NoReturn:
        task = asyncio.current_task()
        if task is None or not task.cancelling():
            # Nobody cancelled this call: a bug below, but the client must not be left waiting.
            await self.abort(RuntimeError("a handler raised CancelledError of its own"))
        left = self._context.time_remaining()
        expired = left is not None and left <= 0
        self.ended(grpc.StatusCode.DEADLINE_EXCEEDED if expired else grpc.StatusCode.CANCELLED)
        raise error


def _given_id(metadata: Iterable[tuple[str, str | bytes]]) -> str:
    """Give the caller's name for the call; "" without one that is well-formed."""
    for key, value in metadata:
        if key == "x-request-id":
            return value if isinstance(value, str) and _REQUEST_ID.fullmatch(value) else ""
    return ""


def _guarded(decode: Callable[[bytes], Any] | None) -> Callable[[bytes], Any] | None:
    """Give a deserialiser that never raises: gRPC would answer UNKNOWN."""
    if decode is None:
        return None

    def guarded(data: bytes) -> Any:
        try:
            return decode(data)
        except (DecodeError, UnicodeDecodeError, ValueError):
            return _Undecodable()

    return guarded


def _decoded(message: Any) -> Any:
    if isinstance(message, _Undecodable):
        raise InvalidInput("", "the bytes are no valid message of this type: truncated, or a string isn't UTF-8")
    return message


async def _decoded_stream(messages: AsyncIterator[Any]) -> AsyncIterator[Any]:
    async for message in messages:
        yield _decoded(message)
