"""Drives a `StreamState` over a blocking channel.

    caller's iterable ──feeder thread──▶ state ──gRPC's sender thread──▶ server ──▶ caller's own thread ──▶ yield

One condition guards the state. The caller's thread reads replies while something is unanswered, and else waits for
the feeder; so a stream with nothing under way doesn't notice that its connection went, and makes a new one when it
needs it.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Generator, Iterable, Iterator
from typing import Any

import grpc

from nearfield._deadline import Deadline
from nearfield._errors import DeadlineExceeded, NearfieldError, Unavailable
from nearfield._methods import EMBED_STREAM
from nearfield._model import Model
from nearfield._plan import StreamPlan
from nearfield._retry import draw
from nearfield._status import error_of_call
from nearfield._stream import StreamState
from nearfield._transport import Transport
from nearfield._types import StreamResult
from nearfield.v1 import embed_pb2

__all__ = ["SyncStream"]

_GOODBYE_SECONDS = 5.0


class _Connection:
    """One call of EmbedStream; `closed` ends its sender."""

    def __init__(self) -> None:
        self.closed = False
        self.call: Any = None


class SyncStream:
    """One `embed_stream` from its first to its last result."""

    def __init__(
        self, transport: Transport, plan: StreamPlan, deadline: Deadline, model: Callable[[str, Deadline], Model]
    ) -> None:
        """Use `model` to learn the limits when the first result is asked for, and the version with each reconnect."""
        self._transport = transport
        self._plan = plan
        self._deadline = deadline
        self._model = model
        self._changed = threading.Condition()
        self._connection: _Connection | None = None
        self._stopped = False
        self._raised: BaseException | None = None
        self._state: StreamState

    def results(self, inputs: Iterable[object]) -> Generator[StreamResult, None, None]:
        """Give the results. Raises TypeError at once for what can't be iterated."""
        if isinstance(inputs, (str, bytes)):
            raise TypeError("one text, not an iterable of texts: put it into a list")
        return self._run(iter(inputs))

    def _run(self, iterator: Iterator[object]) -> Generator[StreamResult, None, None]:
        model = self._model(self._plan.model_name, self._deadline)
        self._state = self._plan.start(model, self._transport.settings.retry)
        self._state.on_connect(model)
        feeder = threading.Thread(target=self._feed, args=(iterator,), name="nearfield-feeder", daemon=True)
        feeder.start()
        try:
            while (result := self._next()) is not None:
                yield result
            self._say_goodbye()
            if self._raised is not None:
                raise self._raised
        finally:
            self._stop()

    def _next(self) -> StreamResult | None:
        while True:
            with self._changed:
                while not self._state.has_unresolved or self._state.has_results:
                    if (result := self._state.take()) is not None:
                        self._changed.notify_all()
                        return result
                    if self._state.is_done:
                        return None
                    self._wait_for_input()
            self._read()

    def _wait_for_input(self) -> None:
        if not self._changed.wait(self._deadline.left()):
            raise DeadlineExceeded("the deadline passed while the stream waited for its next input")

    def _read(self) -> None:
        """Take one reply, or reconnect. Raises NearfieldError when that is hopeless."""
        connection = self._connection or self._connect()
        try:
            reply = next(connection.call)
        except StopIteration:
            error: NearfieldError = Unavailable("the server ended the stream before every message was answered")
        except grpc.RpcError as failure:
            error = error_of_call(failure)
            error.__cause__ = failure
        else:
            with self._changed:
                self._state.on_reply(reply, now=time.monotonic(), draw=draw())
                self._changed.notify_all()
            return
        self._disconnect()
        with self._changed:
            delay = self._state.on_disconnect(error, seconds_left=self._deadline.left(), draw=draw())
        self._transport.pause(delay)
        self._state.on_connect(self._model(self._plan.model_name, self._deadline))

    def _connect(self) -> _Connection:
        connection = _Connection()
        timeout = self._deadline.timeout()
        connection.call = self._transport.start("stream_stream", EMBED_STREAM, self._messages(connection), timeout)
        self._connection = connection
        return connection

    def _disconnect(self) -> None:
        with self._changed:
            connection, self._connection = self._connection, None
            if connection is not None:
                connection.closed = True
            self._changed.notify_all()
        if connection is not None:
            connection.call.cancel()

    def _messages(self, connection: _Connection) -> Iterator[embed_pb2.EmbedStreamRequest]:
        """Run in gRPC's sender thread; its end half-closes the call."""
        yield self._plan.hello
        while True:
            with self._changed:
                while True:
                    if connection.closed or self._state.is_done:
                        return
                    if (message := self._state.next_message(time.monotonic())) is not None:
                        break
                    self._changed.wait(self._state.wake_in(time.monotonic()))
            yield message

    def _feed(self, iterator: Iterator[object]) -> None:
        """Run in the feeder thread, until the iterable ends or fails, or the stream stops."""
        try:
            while self._has_credit():
                value = next(iterator, _END)
                if value is _END:
                    return
                with self._changed:
                    idle = not self._state.has_unresolved
                    self._state.add(value)
                    # Waking a thread for every input would cost more than the inputs: only when there is work for it.
                    if idle or self._state.has_sendable:
                        self._changed.notify_all()
        except BaseException as error:  # noqa: BLE001 - raised again where the results are taken
            self._raised = error
        finally:
            with self._changed:
                self._state.close()
                self._changed.notify_all()

    def _has_credit(self) -> bool:
        with self._changed:
            while not (self._stopped or self._state.wants_input):
                self._changed.wait()
            return not self._stopped

    def _say_goodbye(self) -> None:
        """Let the server end the call, which it does at once: otherwise it would count a cancelled one."""
        with self._changed:
            self._changed.notify_all()
        if self._connection is not None:
            try:
                self._connection.call.exception(timeout=_GOODBYE_SECONDS)
            except (grpc.FutureTimeoutError, grpc.FutureCancelledError):
                return

    def _stop(self) -> None:
        with self._changed:
            self._stopped = True
        self._disconnect()


_END = object()
