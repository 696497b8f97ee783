"""Requests to search to calls, and what was found to replies."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from nearfield.v1 import search_pb2
from nearfield_server.core.search_calls import (
    Caller,
    Diversity,
    DuplicateGroup,
    DuplicateGrouping,
    DuplicateKeep,
    DuplicatesCall,
    Found,
    FusionMethod,
    FusionOptions,
    Grouping,
    Image,
    PointRef,
    Query,
    RecommendCall,
    RecommendStrategy,
    Reranking,
    SearchCall,
    SearchMode,
    SearchResult,
    SearchTimings,
    Text,
)
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, filters, payload
from nearfield_server.rpc.enums import (
    DUPLICATE_GROUPINGS,
    DUPLICATE_KEEPS,
    FUSION_METHODS,
    PRIORITIES,
    RECOMMEND_STRATEGIES,
    SEARCH_MODES,
)
from nearfield_server.rpc.points import filter_in
from nearfield_server.types import Limits, Priority, Selection

__all__ = [
    "duplicates_call",
    "duplicates_response",
    "recommend_call",
    "recommend_response",
    "search_call",
    "search_response",
]

_MAX_TOP_K, _TOP_K = 10_000, 10
_MAX_EF = 10_000
_FUSION = FusionOptions()
_MAX_RRF_K, _MAX_WEIGHT = 10_000.0, 1000.0
_MAX_LISTED, _MAX_SECOND = 10_000, 1000
_MAX_GROUP_SIZE = 100
_MAX_EXAMPLES = 256
_MAX_DUPLICATES, _DUPLICATES = 10_000, 1000


def search_call(request: search_pb2.SearchRequest, limits: Limits, deadline: float | None, identity: str) -> SearchCall:
    """Check a search as far as no collection is needed. Raises `InvalidInput` or `TextTooLong`."""
    return SearchCall(
        collection=convert.check_model_name("collection", request.collection),
        query=_query("query", request.query, limits),
        tenant=payload.tenant("tenant", request.tenant),
        top_k=_top_k(request),
        offset=convert.within("offset", request.offset, _MAX_TOP_K, 0),
        filter=filter_in(request),
        mode=convert.enum_value("mode", request.mode, SEARCH_MODES, SearchMode.DENSE),
        fusion=_fusion(request.fusion) if request.HasField("fusion") else _FUSION,
        reranking=_reranking(request.rerank) if request.HasField("rerank") else None,
        diversity=_diversity(request.diversity) if request.HasField("diversity") else None,
        grouping=_grouping(request.group_by) if request.HasField("group_by") else None,
        score_threshold=_threshold(request),
        select=payload.selection("select", request.select),
        exact=request.exact,
        ef=convert.within("ef", request.ef, _MAX_EF, 0),
        caller=_caller(request, deadline, identity),
        consistency=convert.read_consistency(request),
    )


def recommend_call(
    request: search_pb2.RecommendRequest, limits: Limits, deadline: float | None, identity: str
) -> RecommendCall:
    """Check examples as far as no collection is needed. Raises `InvalidInput` or `TextTooLong`."""
    if not request.positive:
        raise InvalidInput("positive", "at least one is needed")
    if (count := len(request.positive) + len(request.negative)) > _MAX_EXAMPLES:
        raise InvalidInput("positive", f"{count} examples with the negative ones; at most {_MAX_EXAMPLES}")
    return RecommendCall(
        collection=convert.check_model_name("collection", request.collection),
        positive=_queries("positive", request.positive, limits),
        negative=_queries("negative", request.negative, limits),
        strategy=convert.enum_value(
            "strategy", request.strategy, RECOMMEND_STRATEGIES, RecommendStrategy.AVERAGE_VECTOR
        ),
        tenant=payload.tenant("tenant", request.tenant),
        top_k=_top_k(request),
        offset=convert.within("offset", request.offset, _MAX_TOP_K, 0),
        filter=filter_in(request),
        score_threshold=_threshold(request),
        select=payload.selection("select", request.select),
        caller=_caller(request, deadline, identity),
        consistency=convert.read_consistency(request),
    )


def duplicates_call(request: search_pb2.FindDuplicatesRequest) -> DuplicatesCall:
    """Check what counts as the same. Raises `InvalidInput`."""
    threshold = request.threshold if request.HasField("threshold") else 0.95
    if not 0.0 < threshold <= 1.0:
        raise InvalidInput("threshold", "must be greater than 0 and at most 1")
    max_group = convert.within("max_group", request.max_group, _MAX_DUPLICATES, _DUPLICATES)
    if max_group == 1:
        raise InvalidInput("max_group", "must be 2 or more")
    return DuplicatesCall(
        collection=convert.check_model_name("collection", request.collection),
        tenant=payload.tenant("tenant", request.tenant),
        filter=filter_in(request),
        threshold=threshold,
        grouping=convert.enum_value("grouping", request.grouping, DUPLICATE_GROUPINGS, DuplicateGrouping.STAR),
        keep=convert.enum_value("keep", request.keep, DUPLICATE_KEEPS, DuplicateKeep.FIRST),
        max_group=max_group,
        consistency=convert.read_consistency(request),
    )


def search_response(result: SearchResult, select: Selection, *, explain: bool) -> search_pb2.SearchResponse:
    """Give the reply to a search."""
    reply = search_pb2.SearchResponse(exact=result.exact)
    _put_timings(reply.timings, result.timings)
    for one in result.hits:
        _put_hit(reply.hits.add(), one, select, explain=explain)
    for group in result.groups:
        message = reply.groups.add()
        for one in group.hits:
            _put_hit(message.hits.add(), one, select, explain=explain)
        payload.put_value(message.value, group.value)
    return reply


def recommend_response(result: SearchResult, select: Selection) -> search_pb2.RecommendResponse:
    """Give the reply to a recommendation."""
    reply = search_pb2.RecommendResponse()
    _put_timings(reply.timings, result.timings)
    for one in result.hits:
        _put_hit(reply.hits.add(), one, select, explain=False)
    return reply


def duplicates_response(group: DuplicateGroup) -> search_pb2.FindDuplicatesResponse:
    """Give the message for a group."""
    return search_pb2.FindDuplicatesResponse(
        kept=payload.point_id_message(group.kept),
        duplicates=[
            search_pb2.Duplicate(id=payload.point_id_message(id_), similarity=score) for id_, score in group.duplicates
        ],
    )


def _query(field: str, message: search_pb2.SearchQuery, limits: Limits) -> Query:
    match message.WhichOneof("query"):
        case "text":
            return Text(convert.text(f"{field}.text", message.text, limits))
        case "vector":
            return payload.vector_of(f"{field}.vector", message.vector)
        case "id":
            return PointRef(payload.point_id(f"{field}.id", message.id))
        case "image":
            return Image(convert.image(f"{field}.image", message.image, limits))
        case _:
            raise InvalidInput(field, "set text, vector, id or image")


def _queries(field: str, messages: Sequence[search_pb2.SearchQuery], limits: Limits) -> tuple[Query, ...]:
    return tuple(_query(f"{field}[{index}]", one, limits) for index, one in enumerate(messages))


def _top_k(request: Any) -> int:
    top_k = convert.positive("top_k", request, _TOP_K) or _TOP_K
    if top_k > _MAX_TOP_K:
        raise InvalidInput("top_k", f"{top_k} is outside 1 to {_MAX_TOP_K}: Scroll gives all", limit=_MAX_TOP_K)
    return top_k


def _number(message: Any, name: str, field: str, most: float, default: float) -> float:
    """Give an optional number in [0, most]."""
    if not message.HasField(name):
        return default
    value = float(getattr(message, name))
    if not 0.0 <= value <= most:
        raise InvalidInput(f"{field}.{name}", f"must be between 0 and {most:g}")
    return value


def _fusion(message: search_pb2.Fusion) -> FusionOptions:
    k = _number(message, "rrf_k", "fusion", _MAX_RRF_K, 60.0)
    if k == 0.0:
        raise InvalidInput("fusion.rrf_k", "must be greater than 0")
    dense = _number(message, "dense_weight", "fusion", _MAX_WEIGHT, 1.0)
    keyword = _number(message, "keyword_weight", "fusion", _MAX_WEIGHT, 1.0)
    if dense == keyword == 0.0:
        raise InvalidInput("fusion", "one of dense_weight and keyword_weight must be greater than 0")
    return FusionOptions(
        method=convert.enum_value("fusion.method", message.method, FUSION_METHODS, FusionMethod.RRF),
        rrf_k=k,
        dense_weight=dense,
        keyword_weight=keyword,
        candidates=convert.within("fusion.candidates", message.candidates, _MAX_LISTED, 0),
    )


def _reranking(message: search_pb2.RerankStage) -> Reranking:
    if not message.model:
        raise InvalidInput("rerank.model", "must name a reranker (ListModels tells the names)")
    model = convert.check_model_name("rerank.model", message.model)
    return Reranking(model, convert.within("rerank.candidates", message.candidates, _MAX_SECOND, 0))


def _diversity(message: search_pb2.Diversity) -> Diversity:
    return Diversity(
        _number(message, "diversity", "diversity", 1.0, 0.5),
        convert.within("diversity.candidates", message.candidates, _MAX_SECOND, 0),
    )


def _grouping(message: search_pb2.GroupBy) -> Grouping:
    path = filters.path("group_by.field", message.field)
    return Grouping(path, convert.within("group_by.group_size", message.group_size, _MAX_GROUP_SIZE, 1))


def _threshold(request: Any) -> float | None:
    if not request.HasField("score_threshold"):
        return None
    if not math.isfinite(request.score_threshold):
        raise InvalidInput("score_threshold", "must be finite")
    return float(request.score_threshold)


def _caller(request: Any, deadline: float | None, identity: str) -> Caller:
    priority = convert.enum_value("priority", request.priority, PRIORITIES, Priority.INTERACTIVE)
    return Caller(deadline=deadline, identity=identity, priority=priority)


def _put_hit(message: search_pb2.Hit, found: Found, select: Selection, *, explain: bool) -> None:
    """Fill a message in its place: copying it there costs as much as making it."""
    if isinstance(found.id, str):
        message.id.text = found.id
    else:
        message.id.number = found.id
    message.score = found.score
    record = found.record
    if record is None:
        message.version = found.version or 0
    else:
        message.version = record.version
        message.text = record.text
        if select.payload and record.payload:
            message.payload.CopyFrom(payload.payload_message(record))
        if record.vector is not None:
            message.vector = record.vector.astype("<f4", copy=False).tobytes()
    if explain:
        scores = found.scores
        message.scores.CopyFrom(
            search_pb2.HitScores(
                dense=scores.dense,
                dense_rank=scores.dense_rank,
                keyword=scores.keyword,
                keyword_rank=scores.keyword_rank,
                fused=scores.fused,
                rerank=scores.rerank,
                diversity=scores.diversity,
            )
        )


def _put_timings(message: search_pb2.SearchTimings, times: SearchTimings) -> None:
    for name in ("embed", "engine", "rank", "rerank", "fetch", "total"):
        if nanos := int(getattr(times, name) * 1e9):
            duration = getattr(message, name)
            duration.seconds, duration.nanos = divmod(nanos, 1_000_000_000)
