"""Drives an upsert over a blocking channel: one request if one is enough, else a stream.

rows ──caller's thread──▶ batches ──gRPC's sender thread──▶ server ──reader thread──▶ replies ──▶ caller's thread
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterable, Mapping
from typing import Any

import grpc

from nearfield._channel import call_deadline
from nearfield._errors import DeadlineExceeded, InvalidArgument, NearfieldError, Unavailable
from nearfield._retry import draw
from nearfield._search_methods import UPSERT, UPSERT_STREAM
from nearfield._status import error_of_call
from nearfield._transport import Transport
from nearfield._upsert import Batch, UpsertPlan
from nearfield._upsert_line import UpsertLine
from nearfield.v1 import search_pb2

__all__ = ["GOODBYE_SECONDS", "NO_REPLY", "SyncUpsert"]

GOODBYE_SECONDS = 5.0
NO_REPLY = "the deadline passed while the server stored points"


class _Connection:
    """One call of UpsertStream; `replies` ends with the error that the call ended with."""

    def __init__(self, transport: Transport) -> None:
        self.replies: queue.SimpleQueue[search_pb2.UpsertStreamResponse | NearfieldError] = queue.SimpleQueue()
        self._requests: queue.SimpleQueue[search_pb2.UpsertStreamRequest | None] = queue.SimpleQueue()
        self._call = transport.start("stream_stream", UPSERT_STREAM, iter(self._requests.get, None), None)
        threading.Thread(target=self._read, name="nearfield-upsert", daemon=True).start()

    def send(self, message: search_pb2.UpsertStreamRequest) -> None:
        self._requests.put(message)

    def end(self) -> None:
        """Let the server end the call, which it does at once: otherwise it would count a cancelled one."""
        self._requests.put(None)
        try:
            self.replies.get(timeout=GOODBYE_SECONDS)
        except queue.Empty:
            return

    def cancel(self) -> None:
        self._requests.put(None)
        self._call.cancel()

    def _read(self) -> None:
        try:
            for reply in self._call:
                self.replies.put(reply)
        except grpc.RpcError as failure:
            error = error_of_call(failure)
            error.__cause__ = failure
            self.replies.put(error)
        else:
            self.replies.put(Unavailable("the server ended the stream before every message was answered"))


class SyncUpsert:
    """One upsert from its first to its last row."""

    def __init__(self, transport: Transport, plan: UpsertPlan, timeout: float | None) -> None:
        """`timeout`: seconds in which some batch has to be answered; None: the client's own."""
        self._transport = transport
        self._plan = plan
        self._timeout = timeout
        self._line = UpsertLine(plan, transport.settings.retry)
        self._deadline = call_deadline(transport.settings, timeout)
        self._connection: _Connection | None = None

    def run(self, rows: Iterable[Mapping[str, Any]]) -> None:
        """Store all rows. Raises NearfieldError, and what the iterable raises."""
        try:
            for batch in self._plan.full_batches(rows):
                self._put(batch)
            if self._connection is None and self._line.is_empty:
                self._alone(self._plan.last())
            elif self._plan.last().points:
                self._put(self._plan.last())
            while not self._line.is_empty:
                self._settle()
            if self._connection is not None:
                self._connection.end()
        finally:
            self._disconnect()

    def _alone(self, batch: Batch) -> None:
        while batch.points:
            deadline = call_deadline(self._transport.settings, self._timeout)
            try:
                self._plan.accept(batch, self._transport.call(UPSERT, self._plan.request(batch), deadline))
            except InvalidArgument as error:
                self._plan.refused(batch, error)

    def _put(self, batch: Batch) -> None:
        while not self._line.has_room_for(batch) or (self._connection and not self._connection.replies.empty()):
            self._settle()
        if self._line.is_empty:
            self._deadline = call_deadline(self._transport.settings, self._timeout)
        self._send(self._line.add(batch))

    def _send(self, message: search_pb2.UpsertStreamRequest) -> None:
        if self._connection is None:
            self._connection = _Connection(self._transport)
        self._connection.send(message)

    def _settle(self) -> None:
        """Take a reply, or connect again. Raises NearfieldError when that is hopeless."""
        if self._connection is None:  # this is a bug: what is under way went over one
            raise RuntimeError("nothing was sent")
        try:
            reply = self._connection.replies.get(timeout=self._deadline.left())
        except queue.Empty:
            raise DeadlineExceeded(NO_REPLY) from None
        if isinstance(reply, NearfieldError):
            self._reconnect(reply)
            return
        self._deadline = call_deadline(self._transport.settings, self._timeout)
        if (again := self._line.on_reply(reply, draw())) is not None:
            self._transport.pause(again[0])
            self._send(again[1])

    def _reconnect(self, error: NearfieldError) -> None:
        self._disconnect()
        if not self._line.is_empty:
            self._transport.pause(self._line.on_end(error, seconds_left=self._deadline.left(), draw=draw()))
            for message in self._line.unanswered():
                self._send(message)

    def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.cancel()
