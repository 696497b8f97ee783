"""Drives a `DedupPlan` over a call: a few messages are under way at once, so that memory stays constant."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncGenerator, AsyncIterable, Generator, Iterable, Iterator
from contextlib import suppress
from itertools import repeat
from typing import Any, Unpack

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._channel import check_timeout
from nearfield._deadline import Deadline
from nearfield._dedup_types import DeduplicateOptions, DuplicateVerdict, OneItem
from nearfield._deduplicate import DedupPlan
from nearfield._ending import Ending
from nearfield._errors import Unavailable
from nearfield._methods import DEDUPLICATE
from nearfield._status import error_of_call
from nearfield._transport import Transport
from nearfield.v1 import cluster_pb2

__all__ = ["AsyncDeduplication", "Deduplication"]

_UNDER_WAY = 4
_CUT_OFF = "the server ended the stream before every message was answered"


class Deduplication:
    """What a client does to find duplicates."""

    _transport: Transport

    def deduplicate(
        self, items: Iterable[OneItem], **options: Unpack[DeduplicateOptions]
    ) -> Generator[DuplicateVerdict, None, None]:
        """Tell of each item whether it says what an earlier one said; one verdict per item, in order.

        `items`, of any length, is pulled by a thread of gRPC's, a few messages ahead of the verdicts that are taken.
        The server holds what was unique; a lost connection ends the stream, which then has to be begun anew. What
        `items` raises is raised here, after the verdicts on what came before.

        Args:
            items: texts, sequences of token ids, images, vectors of floats, or pairs of a text and its vector.
            **options: see `DeduplicateOptions`.
        """
        plan = DedupPlan(options)
        return _run(self._transport, plan, _checked(items), options)


class AsyncDeduplication:
    """What a client does to find duplicates."""

    _transport: AsyncTransport

    def deduplicate(
        self, items: Iterable[OneItem] | AsyncIterable[OneItem], **options: Unpack[DeduplicateOptions]
    ) -> AsyncGenerator[DuplicateVerdict, None]:
        """Tell of each item whether it says what an earlier one said; one verdict per item, in order.

        `items`, of any length, sync or async, is pulled by a task, a few messages ahead of the verdicts that are taken.
        The server holds what was unique; a lost connection ends the stream, which then has to be begun anew. What
        `items` raises is raised here, after the verdicts on what came before.

        Args:
            items: texts, sequences of token ids, images, vectors of floats, or pairs of a text and its vector.
            **options: see `DeduplicateOptions`.
        """
        plan = DedupPlan(options)
        return _run_async(self._transport, plan, _checked(items), options)


def _checked(items: Any) -> Any:
    if isinstance(items, (str, bytes)):
        raise TypeError("one text, not an iterable of texts: put it into a list")
    if not isinstance(items, (Iterable, AsyncIterable)):
        raise TypeError(f"a {type(items).__name__} is no iterable of items")
    return items


def _named(items: Iterable[OneItem], options: DeduplicateOptions) -> Iterator[tuple[OneItem, Any]]:
    ids = options.get("ids")
    # Given ids must be one each.
    return zip(items, repeat(None)) if ids is None else zip(items, ids, strict=True)


class _Sender:
    """The messages of one call, made in gRPC's own thread; it waits for replies when a few are under way."""

    def __init__(self, plan: DedupPlan, named: Iterator[tuple[OneItem, Any]]) -> None:
        self._plan = plan
        self._named = named
        self._room = threading.Semaphore(_UNDER_WAY)
        self._stopped = False
        self.raised: BaseException | None = None

    def messages(self) -> Iterator[cluster_pb2.DeduplicateRequest]:
        yield self._plan.hello
        # gRPC would swallow what the caller's iterable raises.
        try:
            for item, id_ in self._named:
                for message in self._plan.add(item, id_):
                    self._room.acquire()
                    if self._stopped:
                        return
                    yield message
        except Exception as error:  # noqa: BLE001 - raised again, where the verdicts are taken
            self.raised = error
        yield from self._plan.last()

    def answered(self) -> None:
        self._room.release()

    def stop(self) -> None:
        self._stopped = True
        self._room.release()


def _run(
    transport: Transport, plan: DedupPlan, items: Iterable[OneItem], options: DeduplicateOptions
) -> Generator[DuplicateVerdict, None, None]:
    sender = _Sender(plan, _named(items, options))
    timeout = Deadline(check_timeout(options.get("timeout"))).timeout()
    call = transport.start("stream_stream", DEDUPLICATE, sender.messages(), timeout)
    try:
        for reply in call:
            sender.answered()
            yield from plan.verdicts(reply)
    except grpc.RpcError as failure:
        raise error_of_call(failure) from failure
    finally:
        sender.stop()
        call.cancel()
    if not plan.is_answered:
        raise Unavailable(_CUT_OFF)
    yield from plan.rest()
    if sender.raised is not None:
        raise sender.raised


async def _run_async(
    transport: AsyncTransport,
    plan: DedupPlan,
    items: Iterable[OneItem] | AsyncIterable[OneItem],
    options: DeduplicateOptions,
) -> AsyncGenerator[DuplicateVerdict, None]:
    timeout = Deadline(check_timeout(options.get("timeout"))).timeout()
    call = transport.start("stream_stream", DEDUPLICATE, None, timeout)
    ending, room = Ending(call), asyncio.Semaphore(_UNDER_WAY)
    sending = asyncio.ensure_future(_send(call, plan, _each(items, options), room))
    try:
        while (reply := await _read(call, ending)) is not None:
            room.release()
            for one in plan.verdicts(reply):
                yield one
        if not plan.is_answered:
            raise Unavailable(_CUT_OFF)
        for one in plan.rest():
            yield one
        await sending
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()  # raised above, or the call's end is what matters
        call.cancel()


async def _send(
    call: Any, plan: DedupPlan, named: AsyncGenerator[tuple[OneItem, Any], None], room: asyncio.Semaphore
) -> None:
    raised: Exception | None = None
    # What ends a call early is told to the reader, not to us.
    with suppress(grpc.RpcError, asyncio.InvalidStateError):
        await call.write(plan.hello)
        try:
            async for item, id_ in named:
                for message in plan.add(item, id_):
                    await room.acquire()
                    await call.write(message)
        except Exception as error:  # noqa: BLE001 - raised again, when what came before is answered
            raised = error
        for message in plan.last():
            await call.write(message)
        await call.done_writing()
    if raised is not None:
        raise raised


async def _read(call: Any, ending: Ending) -> cluster_pb2.DeduplicateResponse | None:
    """Give the next reply, None after the last one. Raises NearfieldError."""
    with closing_told():
        try:
            reply: Any = await call.read()
        except grpc.RpcError:
            raise await ending.error() from None
    return None if reply is grpc.aio.EOF else reply


async def _each(
    items: Iterable[OneItem] | AsyncIterable[OneItem], options: DeduplicateOptions
) -> AsyncGenerator[tuple[OneItem, Any], None]:
    if not isinstance(items, AsyncIterable):
        for one in _named(items, options):
            yield one
        return
    ids = options.get("ids")
    names = repeat(None) if ids is None else iter(ids)
    async for item in items:
        if (id_ := next(names, _END)) is _END:
            raise ValueError("ids ended before items: give one each")
        yield item, id_


_END = object()
