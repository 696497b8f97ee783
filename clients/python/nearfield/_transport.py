"""Unary calls over a blocking channel: retries, deadlines, several parts at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
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

__all__ = ["CLOSED", "PARTS_IN_FLIGHT", "Transport"]

PARTS_IN_FLIGHT = 4
"""Requests of one call that are under way at once."""
CLOSED = "the client was closed"

PartT = TypeVar("PartT")
RequestT = TypeVar("RequestT")
ReplyT = TypeVar("ReplyT")


class _Group:
    """The calls of one job: when one fails, the others are cancelled. All methods are safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._calls: set[Any] = set()
        self._why = ""
        self.stopped = threading.Event()

    def result(self, call: Any) -> Any:
        with self._lock:
            self._calls.add(call)
        try:
            if self.stopped.is_set():
                call.cancel()
            return call.result()
        except grpc.FutureCancelledError:
            raise self.error() from None
        finally:
            with self._lock:
                self._calls.discard(call)

    def stop(self, why: str) -> None:
        with self._lock:
            self._why = self._why or why
            self.stopped.set()
            calls = list(self._calls)
        for call in calls:
            call.cancel()

    def error(self) -> Cancelled:
        return Cancelled(self._why)


class Transport:
    """A channel and how to call over it."""

    def __init__(self, settings: Settings) -> None:
        """Make the channel; it connects with the first call."""
        self.settings = settings
        options = settings.channel_options
        if settings.credentials is None:
            self._channel = grpc.insecure_channel(settings.target, options, settings.compression)
        else:
            self._channel = grpc.secure_channel(settings.target, settings.credentials, options, settings.compression)
        self._callables: dict[str, Any] = {}
        self._groups: set[_Group] = set()
        self._closed = threading.Event()

    def close(self) -> None:
        """Cancel what is under way and disconnect; a second time does nothing."""
        self._closed.set()
        for group in list(self._groups):
            group.stop(CLOSED)
        self._channel.close()

    def pause(self, seconds: float, group: _Group | None = None) -> None:
        """Wait. Raises Cancelled when the client is closed, or another call of `group` failed, meanwhile."""
        stopped = self._closed if group is None else group.stopped
        if stopped.wait(min(seconds, threading.TIMEOUT_MAX)):
            raise Cancelled(CLOSED) if group is None else group.error()

    def call(
        self, method: Method[RequestT, ReplyT], request: RequestT, deadline: Deadline, group: _Group | None = None
    ) -> ReplyT:
        """Call, and again where `_retry` says so, within `deadline`. Raises NearfieldError."""
        attempts = 0
        while True:
            try:
                return self.once(method, request, deadline.timeout(), group)
            except NearfieldError as error:
                attempts += 1
                left = deadline.left()
                delay = next_delay(self.settings.retry, error, attempts=attempts, seconds_left=left, draw=draw())
                if delay is None:
                    raise
            self.pause(delay, group)

    def once(
        self,
        method: Method[RequestT, ReplyT],
        request: RequestT,
        timeout: float | None,
        group: _Group | None = None,
    ) -> ReplyT:
        """Call once. Raises NearfieldError."""
        metadata = self.settings.metadata
        try:
            multi = self._callable("unary_unary", method)
            if group is None:
                # The blocking form: it needs no thread of the channel, and is faster.
                return multi(request, timeout=timeout, metadata=metadata)  # type: ignore[no-any-return]
            return group.result(multi.future(request, timeout=timeout, metadata=metadata))  # type: ignore[no-any-return]
        except grpc.RpcError as error:
            raise error_of_call(error) from error
        except ValueError as error:
            # Ours or gRPC's own: the client was closed before this part of a call under way was sent.
            if group is not None and self._closed.is_set():
                raise Cancelled(CLOSED) from error
            raise

    def start(self, kind: str, method: Method[Any, Any], request: Any, timeout: float | None) -> Any:
        """Start a streaming call (`kind` as grpc.Channel names it); gives gRPC's call, which raises grpc.RpcError."""
        return self._callable(kind, method)(request, timeout=timeout, metadata=self.settings.metadata)

    def run(self, job: Job[PartT, RequestT, ReplyT], model: Model, deadline: Deadline) -> int:
        """Ask for all parts of `job`, a few at a time; give their number.

        Raises the first NearfieldError, with the caller's indexes.
        """
        parts = job.parts(model)
        if len(parts) == 1:
            self._run_part(job, parts[0], deadline, None)
            return 1
        group, line, lock = _Group(), iter(parts), threading.Lock()

        def work() -> None:
            while not group.stopped.is_set() and (part := _next(line, lock)) is not None:
                self._run_part(job, part, deadline, group)

        workers = min(PARTS_IN_FLIGHT, len(parts))
        self._groups.add(group)
        with ThreadPoolExecutor(max(1, workers), "nearfield") as pool:
            futures = [pool.submit(work) for _ in range(workers)]
            try:
                for future in as_completed(futures):
                    future.result()
            except BaseException:
                group.stop("another part of the same call failed")
                raise
            finally:
                self._groups.discard(group)
        return len(parts)

    def _run_part(
        self, job: Job[PartT, RequestT, ReplyT], part: PartT, deadline: Deadline, group: _Group | None
    ) -> None:
        try:
            reply = self.call(job.method, job.request(part), deadline, group)
        except NearfieldError as error:
            raise job.located(part, error) from error.__cause__
        job.accept(part, reply)

    def _callable(self, kind: str, method: Method[Any, Any]) -> Any:
        if self._closed.is_set():
            raise ValueError("the client is closed")
        if (found := self._callables.get(method.path)) is None:
            found = getattr(self._channel, kind)(method.path, method.encode, method.decode)
            self._callables[method.path] = found
        return found


def _next(line: Iterator[PartT], lock: threading.Lock) -> PartT | None:
    with lock:
        return next(line, None)
