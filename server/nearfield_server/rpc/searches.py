"""The rpcs of SearchService that find points."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any, TypeVar

from google.protobuf.message import Message

from nearfield.v1 import search_pb2
from nearfield_server.core.duplicates import DuplicateFinder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.recommender import Recommender
from nearfield_server.core.searcher import Searcher
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import replies, search_convert
from nearfield_server.rpc.embed import deadline_of, tenant_of
from nearfield_server.rpc.message_stream import MAX_ID_BYTES, MessageStream, Window, check_id, patiently
from nearfield_server.rpc.status import to_status
from nearfield_server.telemetry.metrics import Metrics

__all__ = ["Finders", "SearchRpcs"]

_M = TypeVar("_M", bound=Message)

_MAX_SEARCHES = 256
_STREAM_CREDITS = 64
_AT_ONCE = 16
"""Searches of a batch that run at the same time."""


@dataclass(frozen=True, slots=True)
class Finders:
    """What finds points."""

    searcher: Searcher
    recommender: Recommender
    duplicates: DuplicateFinder


class SearchRpcs:
    """Requests to calls, and back."""

    def __init__(self, finders: Finders, registry: ModelRegistry, metrics: Metrics, idle_seconds: float) -> None:
        """`registry` publishes the limits; `idle_seconds` is how long the client of a stream may stand still."""
        self._finders = finders
        self._registry = registry
        self._metrics = metrics
        self._idle_seconds = idle_seconds

    async def search(self, request: search_pb2.SearchRequest, context: Any) -> search_pb2.SearchResponse:
        """Find the points nearest to a query."""
        return await self._found(request, deadline_of(context), tenant_of(context))

    async def batch_search(
        self, request: search_pb2.BatchSearchRequest, context: Any
    ) -> search_pb2.BatchSearchResponse:
        """Answer several searches, some of them at the same time; what is wrong in one is blamed on it."""
        if not 1 <= (count := len(request.searches)) <= _MAX_SEARCHES:
            raise InvalidInput("searches", f"{count} in one call; 1 to {_MAX_SEARCHES} are allowed")
        deadline, identity = deadline_of(context), tenant_of(context)
        slots = asyncio.Semaphore(_AT_ONCE)

        async def one(index: int, search: search_pb2.SearchRequest) -> search_pb2.SearchResponse:
            async with slots:
                try:
                    return await self._found(search, deadline, identity)
                except InvalidInput as error:
                    wrong = error.violations[0]
                    field = f"searches[{index}].{wrong.field}"
                    raise type(error)(field, wrong.description, **error.metadata) from None

        tasks = [asyncio.ensure_future(one(index, search)) for index, search in enumerate(request.searches)]
        try:
            results = await asyncio.gather(*tasks)
        finally:
            for task in tasks:
                task.cancel()
        return self._within_limit("searches", search_pb2.BatchSearchResponse(results=results))

    async def search_stream(self, requests: AsyncIterator[Any], context: Any) -> None:
        """Answer search after search."""
        deadline, identity = deadline_of(context), tenant_of(context)

        async def answer(message: search_pb2.SearchStreamRequest) -> search_pb2.SearchStreamResponse:
            id_ = message.id[:MAX_ID_BYTES]
            try:
                check_id(message.id)
                result = await patiently(lambda: self._found(message.search, deadline, identity))
            except Exception as error:  # noqa: BLE001 - a failed search is answered and touches no other
                self._metrics.stream_message("error")
                return search_pb2.SearchStreamResponse(id=id_, error=to_status(error))
            self._metrics.stream_message("ok")
            return search_pb2.SearchStreamResponse(id=id_, result=result)

        window = Window(credits=_STREAM_CREDITS, cost=lambda _: 1, idle_seconds=self._idle_seconds)
        await MessageStream(self._registry, window, answer).serve(requests, context)

    async def recommend(self, request: search_pb2.RecommendRequest, context: Any) -> search_pb2.RecommendResponse:
        """Find points by examples."""
        call = search_convert.recommend_call(request, self._registry.limits, deadline_of(context), tenant_of(context))
        result = await self._finders.recommender.recommend(call)
        return self._within_limit("top_k", search_convert.recommend_response(result, call.select))

    async def find_duplicates(
        self, request: search_pb2.FindDuplicatesRequest, _: Any
    ) -> AsyncGenerator[search_pb2.FindDuplicatesResponse, None]:
        """Give groups of points that say the same."""
        async with aclosing(self._finders.duplicates.find(search_convert.duplicates_call(request))) as groups:
            async for group in groups:
                yield search_convert.duplicates_response(group)

    async def _found(
        self, request: search_pb2.SearchRequest, deadline: float | None, identity: str
    ) -> search_pb2.SearchResponse:
        call = search_convert.search_call(request, self._registry.limits, deadline, identity)
        result = await self._finders.searcher.search(call)
        reply = search_convert.search_response(result, call.select, explain=request.explain)
        return self._within_limit("top_k", reply)

    def _within_limit(self, field: str, reply: _M) -> _M:
        advice = "ask for fewer, or for less of each (select)"
        return replies.within_limit(field, reply, self._registry.limits, advice)
