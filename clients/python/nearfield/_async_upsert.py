"""Drives an upsert over an asyncio channel: one request if one is enough, else a stream; as `_sync_upsert.py` does."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Mapping
from contextlib import suppress
from typing import Any

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._channel import call_deadline
from nearfield._deadline import Deadline
from nearfield._ending import Ending
from nearfield._errors import DeadlineExceeded, InvalidArgument, NearfieldError
from nearfield._retry import draw
from nearfield._search_methods import UPSERT, UPSERT_STREAM
from nearfield._sync_upsert import GOODBYE_SECONDS, NO_REPLY
from nearfield._upsert import Batch, UpsertPlan
from nearfield._upsert_line import UpsertLine
from nearfield.v1 import search_pb2

__all__ = ["AsyncUpsert"]


class _Connection:
    """One call of UpsertStream; `replies` ends with the error that the call ended with."""

    def __init__(self, transport: AsyncTransport) -> None:
        self.replies: asyncio.Queue[search_pb2.UpsertStreamResponse | NearfieldError] = asyncio.Queue()
        self._call = transport.start("stream_stream", UPSERT_STREAM, None, None)
        self._ending = Ending(self._call)
        self._reader = asyncio.create_task(self._read())

    async def send(self, message: search_pb2.UpsertStreamRequest, deadline: Deadline) -> None:
        """Send a message. What ends the call early is told among the replies."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError), closing_told():
            try:
                async with asyncio.timeout(deadline.left()):
                    await self._call.write(message)
            except TimeoutError:
                raise DeadlineExceeded(NO_REPLY) from None

    async def end(self) -> None:
        """Let the server end the call, which it does at once: otherwise it would count a cancelled one."""
        with suppress(grpc.RpcError, asyncio.InvalidStateError, TimeoutError), closing_told():
            async with asyncio.timeout(GOODBYE_SECONDS):
                await self._call.done_writing()
                await self._call.code()

    async def cancel(self) -> None:
        self._call.cancel()
        self._reader.cancel()
        await asyncio.wait([self._reader])

    async def _read(self) -> None:
        reply: Any = None
        while reply is not grpc.aio.EOF:
            if reply is not None:
                self.replies.put_nowait(reply)
            try:
                with closing_told():
                    reply = await self._call.read()
            except grpc.RpcError:
                break
            except NearfieldError as closed:
                self.replies.put_nowait(closed)
                return
        self.replies.put_nowait(await self._ending.error())


class AsyncUpsert:
    """One upsert from its first to its last row."""

    def __init__(self, transport: AsyncTransport, plan: UpsertPlan, timeout: float | None) -> None:
        """`timeout`: seconds in which some batch has to be answered; None: the client's own."""
        self._transport = transport
        self._plan = plan
        self._timeout = timeout
        self._line = UpsertLine(plan, transport.settings.retry)
        self._deadline = call_deadline(transport.settings, timeout)
        self._connection: _Connection | None = None

    async def run(self, rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]) -> None:
        """Store all rows. Raises NearfieldError, and what the iterable raises."""
        try:
            async for batch in self._full_batches(rows):
                await self._put(batch)
            if self._connection is None and self._line.is_empty:
                await self._alone(self._plan.last())
            elif self._plan.last().points:
                await self._put(self._plan.last())
            while not self._line.is_empty:
                await self._settle()
            if self._connection is not None:
                await self._connection.end()
        finally:
            await self._disconnect()

    async def _full_batches(
        self, rows: Iterable[Mapping[str, Any]] | AsyncIterable[Mapping[str, Any]]
    ) -> AsyncGenerator[Batch, None]:
        if isinstance(rows, AsyncIterable):
            async for row in rows:
                if (full := self._plan.add(row)) is not None:
                    yield full
            return
        for batch in self._plan.full_batches(rows):
            yield batch

    async def _alone(self, batch: Batch) -> None:
        while batch.points:
            deadline = call_deadline(self._transport.settings, self._timeout)
            try:
                self._plan.accept(batch, await self._transport.call(UPSERT, self._plan.request(batch), deadline))
            except InvalidArgument as error:
                self._plan.refused(batch, error)

    async def _put(self, batch: Batch) -> None:
        while not self._line.has_room_for(batch) or (self._connection and not self._connection.replies.empty()):
            await self._settle()
        if self._line.is_empty:
            self._deadline = call_deadline(self._transport.settings, self._timeout)
        await self._send(self._line.add(batch))

    async def _send(self, message: search_pb2.UpsertStreamRequest) -> None:
        if self._connection is None:
            self._connection = _Connection(self._transport)
        await self._connection.send(message, self._deadline)

    async def _settle(self) -> None:
        """Take a reply, or connect again. Raises NearfieldError when that is hopeless."""
        if self._connection is None:  # this is a bug: what is under way went over one
            raise RuntimeError("nothing was sent")
        try:
            async with asyncio.timeout(self._deadline.left()):
                reply = await self._connection.replies.get()
        except TimeoutError:
            raise DeadlineExceeded(NO_REPLY) from None
        if isinstance(reply, NearfieldError):
            await self._reconnect(reply)
            return
        self._deadline = call_deadline(self._transport.settings, self._timeout)
        if (again := self._line.on_reply(reply, draw())) is not None:
            await self._transport.pause(again[0])
            await self._send(again[1])

    async def _reconnect(self, error: NearfieldError) -> None:
        await self._disconnect()
        if not self._line.is_empty:
            await self._transport.pause(self._line.on_end(error, seconds_left=self._deadline.left(), draw=draw()))
            for message in self._line.unanswered():
                await self._send(message)

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.cancel()
