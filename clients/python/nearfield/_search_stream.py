"""Many searches over one call: requests out of the caller's iterable, results as the server gives them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterable, Callable, Generator, Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._channel import check_timeout
from nearfield._deadline import Deadline
from nearfield._ending import Ending
from nearfield._errors import DeadlineExceeded, NearfieldError, Unavailable
from nearfield._search_methods import SEARCH_STREAM
from nearfield._search_requests import Query, hits_of
from nearfield._search_types import Hit
from nearfield._status import error_of_call, error_of_status
from nearfield._transport import Transport
from nearfield.v1 import search_pb2

__all__ = ["SearchStreamResult", "async_results", "results"]


@dataclass(frozen=True, slots=True)
class SearchStreamResult:
    """Outcome of one search of a stream: `hits`, best first, or `error`; `index` counts the queries from 0."""

    index: int
    hits: list[Hit] = field(default_factory=list)
    error: NearfieldError | None = None


def results(
    transport: Transport,
    queries: Iterable[Query],
    make: Callable[[Query], search_pb2.SearchRequest],
    timeout: float | None,
) -> Generator[SearchStreamResult, None, None]:
    """Send a search for each query while results come back. Raises what the iterable or `make` raised, in the end."""
    raised: list[BaseException] = []

    def messages() -> Iterator[search_pb2.SearchStreamRequest]:
        # In gRPC's own thread, which would swallow the error.
        try:
            for index, query in enumerate(queries):
                yield search_pb2.SearchStreamRequest(id=str(index), search=make(query))
        except Exception as error:  # noqa: BLE001 - raised again below
            raised.append(error)

    seconds = Deadline(check_timeout(timeout)).timeout()
    call = transport.start("stream_stream", SEARCH_STREAM, messages(), seconds)
    try:
        for reply in call:
            yield _result_of(reply)
    except grpc.RpcError as failure:
        raise error_of_call(failure) from failure
    finally:
        call.cancel()
    if raised:
        raise raised[0]


async def async_results(
    transport: AsyncTransport,
    queries: Iterable[Query] | AsyncIterable[Query],
    make: Callable[[Query], search_pb2.SearchRequest],
    timeout: float | None,  # noqa: ASYNC109 - the deadline that travels with the RPC
) -> AsyncGenerator[SearchStreamResult, None]:
    """Send a search for each query while results come back. Raises what the iterable or `make` raised, in the end."""
    deadline = Deadline(check_timeout(timeout))
    call = transport.start("stream_stream", SEARCH_STREAM, None, deadline.timeout())
    ending = Ending(call)

    async def send() -> None:
        index = 0
        # What ends a call early is told to the reader, not to us.
        with suppress(grpc.RpcError, asyncio.InvalidStateError):
            try:
                async for query in _each(queries):
                    await call.write(search_pb2.SearchStreamRequest(id=str(index), search=make(query)))
                    index += 1
            finally:
                await call.done_writing()

    sending = asyncio.ensure_future(send())
    try:
        while (reply := await _read(call, ending, deadline)) is not None:
            yield _result_of(reply)
        await sending
    finally:
        sending.cancel()
        await asyncio.wait([sending])
        if not sending.cancelled():
            sending.exception()  # raised above, or the call's end is what matters
        call.cancel()


async def _read(call: Any, ending: Ending, deadline: Deadline) -> search_pb2.SearchStreamResponse | None:
    """Give the next reply, None after the last one. Raises NearfieldError."""
    with closing_told():
        try:
            reply: Any = await call.read()
        except grpc.RpcError:
            error = await ending.error()
            if deadline.left() == 0.0 and isinstance(error, Unavailable):  # a status that came too late to be seen
                error = DeadlineExceeded("the deadline passed while searches were under way")
            raise error from None
    return None if reply is grpc.aio.EOF else reply


async def _each(queries: Iterable[Query] | AsyncIterable[Query]) -> AsyncGenerator[Query, None]:
    if isinstance(queries, AsyncIterable):
        async for query in queries:
            yield query
        return
    for query in queries:
        yield query


def _result_of(reply: search_pb2.SearchStreamResponse) -> SearchStreamResult:
    index = int(reply.id)
    if reply.WhichOneof("outcome") == "error":
        return SearchStreamResult(index, error=error_of_status(reply.error))
    return SearchStreamResult(index, hits_of(reply.result.hits))
