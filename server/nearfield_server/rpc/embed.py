"""EmbedService: requests to calls, results to replies."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from google.protobuf.message import Message

from nearfield.v1 import embed_pb2, embed_pb2_grpc
from nearfield_server.core.classifier import Classifier
from nearfield_server.core.classifiers.scorer import Scorer
from nearfield_server.core.embedder import Embedder, SimilarityCall
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.reranker import Reranker
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import classifying, convert, replies, scoring
from nearfield_server.rpc.stream import EmbedStream, StreamCaller, StreamSettings
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import EmbedCall
from nearfield_server.vectors.sparse import greatest

__all__ = ["EmbedServicer", "UseCases"]

_M = TypeVar("_M", bound=Message)


@dataclass(frozen=True, slots=True)
class UseCases:
    """What the service is made of."""

    embedder: Embedder
    reranker: Reranker
    classifier: Classifier


class EmbedServicer(embed_pb2_grpc.EmbedServiceServicer):
    """Vectors from texts."""

    def __init__(
        self,
        use_cases: UseCases,
        scorer: Scorer,
        registry: ModelRegistry,
        metrics: Metrics,
        stream_settings: StreamSettings,
    ) -> None:
        """Serve the models of `registry` through `use_cases`, and trained classifiers through `scorer`."""
        self._use_cases = use_cases
        self._scorer = scorer
        self._embedder = use_cases.embedder
        self._registry = registry
        self._metrics = metrics
        self._stream_settings = stream_settings

    async def Embed(self, request: embed_pb2.EmbedRequest, context: Any) -> embed_pb2.EmbedResponse:
        """Embed the inputs of one request."""
        call = EmbedCall(
            inputs=convert.inputs("inputs", request.inputs, self._registry.limits),
            options=convert.embed_options(request),
            deadline=deadline_of(context),
            tenant=tenant_of(context),
        )
        return self._within_limit("inputs", replies.embed_response(await self._embedder.embed(call)))

    async def EmbedSparse(self, request: embed_pb2.EmbedSparseRequest, context: Any) -> embed_pb2.EmbedSparseResponse:
        """Give the inputs of one request weights over the vocabulary."""
        options = convert.sparse_options(request)
        most = convert.positive("max_terms", request)
        call = EmbedCall(
            inputs=convert.inputs("inputs", request.inputs, self._registry.limits),
            options=options,
            deadline=deadline_of(context),
        )
        result = await self._embedder.embed(call)
        rows = tuple(greatest(row, most) for row in result.sparse or ())
        terms: list[str] = []
        if request.return_terms:
            terms = self._embedder.terms(options.model, [int(one) for row in rows for one in row.ids])
        return self._within_limit("inputs", replies.sparse_response(replace(result, sparse=rows), terms))

    async def EmbedMulti(self, request: embed_pb2.EmbedMultiRequest, context: Any) -> embed_pb2.EmbedMultiResponse:
        """Give the inputs of one request a vector per token."""
        call = EmbedCall(
            inputs=convert.inputs("inputs", request.inputs, self._registry.limits),
            options=convert.multi_options(request),
            deadline=deadline_of(context),
        )
        return self._within_limit("inputs", replies.multi_response(await self._embedder.embed(call)))

    async def EmbedStream(self, requests: Any, context: Any) -> None:
        """Embed message after message."""
        caller = StreamCaller(deadline_of(context), tenant_of(context))
        stream = EmbedStream(self._embedder, self._registry, self._metrics, self._stream_settings, caller)
        await stream.serve(requests, context)

    async def Similarity(self, request: embed_pb2.SimilarityRequest, context: Any) -> embed_pb2.SimilarityResponse:
        """Compare two lists."""
        limits, deadline, tenant = self._registry.limits, deadline_of(context), tenant_of(context)
        convert.check_count("sources", len(request.sources), limits)
        if (total := len(request.sources) + len(request.targets)) > limits.max_inputs:
            text = f"{total} sources and targets together; at most {limits.max_inputs} (Limits.max_inputs)"
            raise InvalidInput("targets", text, limit=limits.max_inputs, count=total)
        sources = convert.inputs("sources", request.sources, limits)
        targets = convert.inputs("targets", request.targets, limits) if request.targets else None
        result = await self._embedder.similarity(
            SimilarityCall(
                sources=EmbedCall(sources, convert.similarity_options(request, "sources"), deadline, tenant),
                targets=EmbedCall(targets, convert.similarity_options(request, "targets"), deadline, tenant)
                if targets
                else None,
                metric=convert.similarity_metric(request.metric),
            )
        )
        return replies.similarity_response(result)

    async def Rerank(self, request: embed_pb2.RerankRequest, context: Any) -> embed_pb2.RerankResponse:
        """Order documents by a query."""
        call = scoring.rerank_call(request, self._registry.limits, deadline_of(context))
        result = await self._use_cases.reranker.rerank(call)
        return self._within_limit("documents", scoring.rerank_response(result, request))

    async def Classify(self, request: embed_pb2.ClassifyRequest, context: Any) -> embed_pb2.ClassifyResponse:
        """Give labels."""
        if request.classifier:
            asked = classifying.score_call(request, self._registry.limits, deadline_of(context), tenant_of(context))
            scored = await self._scorer.classify(asked)
            limits = self._registry.limits
            return self._within_limit(
                "inputs", await asyncio.to_thread(classifying.score_response, scored, request, limits)
            )
        classifying.check_untrained(request)
        call = scoring.classify_call(request, self._registry.limits, deadline_of(context), tenant_of(context))
        result = await self._use_cases.classifier.classify(call)
        return self._within_limit("inputs", scoring.classify_response(result, request))

    async def Tokenize(self, request: embed_pb2.TokenizeRequest, context: Any) -> embed_pb2.TokenizeResponse:
        """Take texts apart."""
        model, tokenized = await self._embedder.tokenize(
            convert.check_model_name("model", request.model),
            convert.texts("texts", request.texts, self._registry.limits),
            convert.check_model_name("prompt_name", request.prompt_name),
            add_special_tokens=request.add_special_tokens if request.HasField("add_special_tokens") else True,
            as_text=request.special_tokens_as_text,
            deadline=deadline_of(context),
        )
        reply = embed_pb2.TokenizeResponse(model=model, texts=[replies.tokenized_text(one) for one in tokenized])
        return self._within_limit("texts", reply)

    async def Detokenize(self, request: embed_pb2.DetokenizeRequest, context: Any) -> embed_pb2.DetokenizeResponse:
        """Put tokens together."""
        model, texts = await self._embedder.detokenize(
            convert.check_model_name("model", request.model),
            convert.sequences("sequences", request.sequences, self._registry.limits),
            keep_special_tokens=request.keep_special_tokens,
            deadline=deadline_of(context),
        )
        return self._within_limit("sequences", embed_pb2.DetokenizeResponse(model=model, texts=texts))

    def _within_limit(self, field: str, reply: _M) -> _M:
        return replies.within_limit(field, reply, self._registry.limits, "send fewer at once")


def deadline_of(context: Any) -> float | None:
    """Give the call's deadline in monotonic seconds; `None` when the caller set none."""
    left = context.time_remaining()
    return None if left is None else time.monotonic() + left


def tenant_of(context: Any) -> str:
    """Give who calls: the name in the client's certificate, which the server has verified; empty without one."""
    names = context.peer_identities()
    return b"\0".join(names).decode("utf-8", "backslashreplace") if names else ""
