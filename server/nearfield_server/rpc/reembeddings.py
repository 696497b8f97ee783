"""The rpcs of SearchService about re-embeddings."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import aclosing
from typing import Any

from nearfield.v1 import search_pb2
from nearfield_server.core.reembedder import Reembedder
from nearfield_server.core.reembeddings import ReembedCall, Reembedding
from nearfield_server.rpc import convert
from nearfield_server.rpc.enums import REEMBED_STATES

__all__ = ["ReembeddingRpcs"]


class ReembeddingRpcs:
    """Requests to calls, and back."""

    def __init__(self, reembedder: Reembedder) -> None:
        """Ask `reembedder`."""
        self._reembedder = reembedder

    async def reembed(
        self, request: search_pb2.ReembedRequest, _: Any
    ) -> AsyncGenerator[search_pb2.ReembedResponse, None]:
        """Begin one, or find it, and follow it."""
        call = ReembedCall(
            collection=convert.check_model_name("collection", request.collection),
            model=convert.check_model_name("model", request.model),
            dimensions=request.dimensions,
            metric=convert.similarity_metric(request.metric),
            target=request.target,
            aliases=tuple(dict.fromkeys(request.aliases)),
            keep_aliases=request.keep_aliases,
            skip_without_text=request.skip_without_text,
        )
        one = await self._reembedder.begin(call)
        async with aclosing(self._reembedder.follow(one)) as steps:
            async for step in steps:
                yield search_pb2.ReembedResponse(reembedding=reembedding_message(step))

    async def list(self, _: search_pb2.ListReembeddingsRequest, __: Any) -> search_pb2.ListReembeddingsResponse:
        """Give all."""
        return search_pb2.ListReembeddingsResponse(reembeddings=map(reembedding_message, self._reembedder.all()))

    async def cancel(
        self, request: search_pb2.CancelReembeddingRequest, _: Any
    ) -> search_pb2.CancelReembeddingResponse:
        """End one."""
        one = await self._reembedder.cancel(request.id)
        return search_pb2.CancelReembeddingResponse(reembedding=reembedding_message(one))


def reembedding_message(one: Reembedding) -> search_pb2.Reembedding:
    """Give a re-embedding for the wire."""
    message = search_pb2.Reembedding(
        id=one.id,
        source=one.source,
        target=one.spec.name,
        aliases=one.moved if one.ended else (),
        model=one.spec.model,
        model_version=one.spec.model_version,
        dimensions=one.spec.dimensions,
        state=REEMBED_STATES[one.state],
        copied=one.copied,
        skipped=one.skipped,
        total=one.total,
        points_per_second=0.0 if one.ended else one.points_per_second,
        error_reason=one.error_reason,
        error_message=one.error_message,
    )
    message.started_at.FromDatetime(one.started_at)
    if one.ended_at is not None:
        message.ended_at.FromDatetime(one.ended_at)
    elif one.points_per_second > 0:
        left = max(0, one.total - one.copied - one.skipped)
        message.remaining.FromMilliseconds(round(left / one.points_per_second * 1000))
    return message
