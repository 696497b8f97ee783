"""Rerank and Classify: requests to calls, results to replies."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield.v1 import embed_pb2
from nearfield_server.core.classifier import ClassifyCall, ClassifyResult
from nearfield_server.core.reranker import RerankCall, RerankResult
from nearfield_server.errors import InvalidInput, Unsupported
from nearfield_server.rpc import convert, replies
from nearfield_server.rpc.enums import PRIORITIES, TRUNCATES
from nearfield_server.types import Input, Limits, Priority, Truncate

__all__ = ["classify_call", "classify_response", "rerank_call", "rerank_response"]

_PLACEHOLDER = "{}"


def rerank_call(request: embed_pb2.RerankRequest, limits: Limits, deadline: float | None) -> RerankCall:
    """Check a request as far as no model is needed. Raises `InvalidInput` or `TextTooLong`."""
    truncate = convert.enum_value("truncate", request.truncate, TRUNCATES, Truncate.END)
    if truncate is Truncate.START:
        raise InvalidInput("truncate", "START isn't offered here: a query and a document are cut at their ends")
    convert.positive("top_n", request)
    return RerankCall(
        model=convert.check_model_name("model", request.model),
        query=convert.text("query", request.query, limits),
        documents=convert.bare_texts("documents", request.documents, limits),
        raw=request.raw_scores,
        truncate=truncate,
        priority=convert.enum_value("priority", request.priority, PRIORITIES, Priority.INTERACTIVE),
        special_tokens_as_text=request.special_tokens_as_text,
        deadline=deadline,
    )


def rerank_response(result: RerankResult, request: embed_pb2.RerankRequest) -> embed_pb2.RerankResponse:
    """Give the reply: the best `top_n` of the request, best first."""
    most = convert.positive("top_n", request, default=len(result.order))
    return embed_pb2.RerankResponse(
        model=result.model,
        results=[
            embed_pb2.RankedDocument(
                index=index,
                score=result.scores[index],
                document=request.documents[index] if request.return_documents else "",
            )
            for index in result.order[:most]
        ],
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=replies.timings(result.timings),
    )


def classify_call(
    request: embed_pb2.ClassifyRequest, limits: Limits, deadline: float | None, tenant: str
) -> ClassifyCall:
    """Check a request as far as no model is needed. Raises `InvalidInput` or `TextTooLong`."""
    convert.positive("top_k", request)
    convert.check_count("inputs", len(request.inputs), limits)
    inputs: list[Input] = []
    pairs: list[str | None] = []
    for index, one in enumerate(request.inputs):
        field = f"inputs[{index}]"
        inputs.append(convert.one_input(f"{field}.input", one.input, limits))
        pairs.append(convert.bare_text(f"{field}.pair", one.pair, limits) if one.HasField("pair") else None)
        if pairs[-1] is not None and not isinstance(inputs[-1], str):
            raise Unsupported(f"{field}.pair", "goes with a text only")
        if pairs[-1] is not None and request.labels:
            raise InvalidInput(f"{field}.pair", "doesn't go with labels: they are compared with one text")
    return ClassifyCall(
        model=convert.check_model_name("model", request.model),
        inputs=tuple(inputs),
        pairs=tuple(pairs),
        labels=_labels(request.labels, limits),
        template=_template(request),
        multi_label=request.multi_label,
        raw=request.raw_scores,
        truncate=convert.enum_value("truncate", request.truncate, TRUNCATES, Truncate.END),
        priority=convert.enum_value("priority", request.priority, PRIORITIES, Priority.INTERACTIVE),
        special_tokens_as_text=request.special_tokens_as_text,
        deadline=deadline,
        tenant=tenant,
    )


def classify_response(result: ClassifyResult, request: embed_pb2.ClassifyRequest) -> embed_pb2.ClassifyResponse:
    """Give the reply: the best `top_k` labels of each input, best first."""
    most = convert.positive("top_k", request, default=len(result.labels))
    return embed_pb2.ClassifyResponse(
        model=result.model,
        results=[
            embed_pb2.Classification(
                labels=[
                    embed_pb2.LabelScore(label=result.labels[index], index=index, score=row[index])
                    for index in np.argsort(-row, kind="stable")[:most].tolist()
                ]
            )
            for row in result.scores
        ],
        token_counts=result.token_counts,
        truncated=result.truncated,
        timings=replies.timings(result.timings),
    )


def _labels(labels: Sequence[str], limits: Limits) -> tuple[str, ...]:
    if not labels:
        return ()
    checked = convert.bare_texts("labels", labels, limits)
    seen: dict[str, int] = {}
    for index, label in enumerate(checked):
        if not label.strip():
            raise InvalidInput(f"labels[{index}]", "must not be empty")
        if (first := seen.setdefault(label, index)) != index:
            raise InvalidInput(f"labels[{index}]", f"stands at labels[{first}] already")
    return checked


def _template(request: embed_pb2.ClassifyRequest) -> str:
    template = request.label_template
    if template and not request.labels:
        raise InvalidInput("label_template", "goes with labels only")
    if template and template.count(_PLACEHOLDER) != 1:
        raise InvalidInput("label_template", "must hold {} once, where the label goes")
    if len(template) > convert.MAX_NAME:
        raise InvalidInput("label_template", f"over {convert.MAX_NAME} characters")
    return str(template)
