"""Requests of SearchService from plain values, and plain values from its replies."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import timedelta
from typing import Any, TypeAlias, cast

import numpy as np

from nearfield._convert import check_options, enum_name, enum_number
from nearfield._errors import invalid
from nearfield._image import Image
from nearfield._model import Metric
from nearfield._payload import id_message, id_of, instant_of, payload_of, value_of
from nearfield._search_types import (
    CollectionInfo,
    CollectionOptions,
    DuplicateGroup,
    FieldType,
    FilterLike,
    Fusion,
    Group,
    Hit,
    HitScores,
    Id,
    Point,
    PointId,
    RecommendOptions,
    ScrollOptions,
    SearchOptions,
    UpdateOptions,
)
from nearfield._types import Array
from nearfield._upsert import vector_bytes
from nearfield.v1 import embed_pb2, search_pb2, types_pb2

__all__ = [
    "Query",
    "consistency_number",
    "create_request",
    "duplicates_of",
    "facet_of",
    "filter_fields",
    "groups_of",
    "hits_of",
    "id_messages",
    "info_of",
    "more_tenants",
    "ordering_number",
    "point_of",
    "query_message",
    "recommend_request",
    "scroll_request",
    "search_request",
    "selection",
    "tenants_request",
    "update_request",
]

TENANTS_AT_ONCE = 1000

Query: TypeAlias = str | PointId | Image | bytes | Array


def create_request(name: str, options: CollectionOptions) -> search_pb2.CreateCollectionRequest:
    """Make the request. Raises TypeError or ValueError."""
    check_options(options, CollectionOptions)
    request = search_pb2.CreateCollectionRequest(name=name, model=options.get("model", ""))
    request.dimensions = options.get("dimensions") or 0
    if (metric := options.get("metric")) is not None:
        request.metric = _enum(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", "metric", metric)
    for field, kind in (options.get("payload_indexes") or {}).items():
        request.payload_indexes[field] = _enum(search_pb2.FieldType, "FIELD_TYPE_", "payload_indexes", kind)
    request.keyword_search.language = options.get("keyword_language", "")
    request.keyword_search.disabled = not options.get("keyword_search", True)
    _put_keeping(request, options)
    return request


def update_request(name: str, options: UpdateOptions) -> search_pb2.UpdateCollectionRequest:
    """Make the request. Raises TypeError or ValueError."""
    check_options(options, UpdateOptions)
    dropped = options.get("drop_payload_indexes") or ()
    if isinstance(dropped, str):
        raise TypeError("drop_payload_indexes is one path; give a list of them")
    request = search_pb2.UpdateCollectionRequest(collection=name, drop_payload_indexes=dropped)
    for field, kind in (options.get("add_payload_indexes") or {}).items():
        request.add_payload_indexes[field] = _enum(search_pb2.FieldType, "FIELD_TYPE_", "add_payload_indexes", kind)
    _put_keeping(request, options)
    return request


def _put_keeping(
    request: search_pb2.CreateCollectionRequest | search_pb2.UpdateCollectionRequest,
    options: CollectionOptions | UpdateOptions,
) -> None:
    """Put how and how long points are kept."""
    if (quantization := options.get("quantization")) is not None:
        wrapper = search_pb2.VectorQuantization
        request.quantization = _enum(wrapper, "VECTOR_QUANTIZATION_", "quantization", quantization)
    if (ttl := options.get("ttl")) is not None:
        request.ttl.FromTimedelta(ttl if isinstance(ttl, timedelta) else timedelta(seconds=ttl))
    if (durability := options.get("durability")) is not None:
        request.durability = _enum(search_pb2.Durability, "DURABILITY_", "durability", durability)


def info_of(message: search_pb2.Collection) -> CollectionInfo:
    """Give a collection as plain values."""
    kinds = {
        path: cast("FieldType", enum_name(search_pb2.FieldType, "FIELD_TYPE_", kind))
        for path, kind in message.payload_indexes.items()
    }
    return CollectionInfo(
        name=message.name,
        model=message.model,
        model_version=message.model_version,
        dimensions=message.dimensions,
        metric=cast("Metric", enum_name(embed_pb2.SimilarityMetric, "SIMILARITY_METRIC_", message.metric)),
        payload_indexes=kinds,
        durability="disk" if message.durability == search_pb2.DURABILITY_DISK else "process",
        ttl=message.ttl.ToTimedelta() if message.HasField("ttl") else None,
        engine=message.engine,
        created_at=instant_of(message.created_at),
        points=message.points,
        index_lag=message.index_lag,
        index_state=enum_name(search_pb2.IndexState, "INDEX_STATE_", message.index_state),
        index_message=message.index_message,
        disk_bytes=message.disk_bytes,
        aliases=tuple(message.aliases),
    )


def filter_fields(value: FilterLike | None) -> dict[str, Any]:
    """Give a filter as the field of a request that it belongs in. Raises TypeError."""
    if value is None:
        return {}
    if isinstance(value, str):
        return {"filter_expression": value}
    if isinstance(value, search_pb2.Filter):
        return {"filter": value}
    raise TypeError(f"filter is a {type(value).__name__}; give an expression, such as 'price < 20', or a Filter")


def consistency_number(options: Mapping[str, Any]) -> Any:
    """Give how many copies must agree. Raises ValueError."""
    return enum_number(search_pb2.ReadConsistency, "READ_CONSISTENCY_", "consistency", options.get("consistency"))


def ordering_number(ordering: str | None) -> Any:
    """Give through which copy writes go. Raises ValueError."""
    return enum_number(search_pb2.WriteOrdering, "WRITE_ORDERING_", "ordering", ordering)


def selection(options: Mapping[str, Any]) -> search_pb2.PointSelection:
    """Give what is to be given of points."""
    for name in ("fields", "but_fields"):
        if isinstance(options.get(name), str):
            raise TypeError(f"{name} is a str; give a list, such as [{options[name]!r}]")
    fields = options.get("fields")
    return search_pb2.PointSelection(
        include_fields=fields or (),
        exclude_fields=options.get("but_fields") or (),
        without_payload=not options.get("with_payload", True) or (fields is not None and not fields),
        without_text=not options.get("with_text", True),
        with_vector=options.get("with_vector", False),
    )


def scroll_request(collection: str, tenant: str, options: ScrollOptions) -> search_pb2.ScrollRequest:
    """Make the request. Raises TypeError."""
    check_options(options, ScrollOptions)
    request = search_pb2.ScrollRequest(
        collection=collection, tenant=tenant, select=selection(options), **filter_fields(options.get("filter"))
    )
    request.consistency = consistency_number(options)
    return request


def query_message(query: Query, field: str = "query") -> search_pb2.SearchQuery:
    """Make a query of a text, a vector, an id or an image. Raises InvalidArgument or TypeError."""
    if isinstance(query, str):
        return search_pb2.SearchQuery(text=query)
    if isinstance(query, PointId):
        return search_pb2.SearchQuery(id=id_message(query.value, field))
    if isinstance(query, (bytes, bytearray)):
        return search_pb2.SearchQuery(image=bytes(query))
    if isinstance(query, Image):
        try:
            return search_pb2.SearchQuery(image=query.read())
        except OSError as error:
            raise invalid(field, f"image {query.path} can't be read: {error.strerror or error}") from error
    if isinstance(query, int):  # type: ignore[unreachable]  # an id that isn't wrapped
        raise TypeError(f"{field} is an int; nearfield.PointId({query}) searches by a stored point")
    return search_pb2.SearchQuery(vector=vector_bytes(query, field))


def search_request(collection: str, tenant: str, query: Query, options: SearchOptions) -> search_pb2.SearchRequest:
    """Make the request. Raises TypeError, ValueError or InvalidArgument."""
    check_options(options, SearchOptions)
    request = search_pb2.SearchRequest(
        collection=collection, tenant=tenant, query=query_message(query), **filter_fields(options.get("filter"))
    )
    request.select.CopyFrom(selection(options))
    request.consistency = consistency_number(options)
    for name in ("top_k", "offset", "score_threshold", "explain", "exact", "ef"):
        if (value := cast("Any", options.get(name))) is not None:
            setattr(request, name, value)
    request.mode = _enum(search_pb2.SearchMode, "SEARCH_MODE_", "mode", options.get("mode", "dense"))
    if (priority := options.get("priority")) is not None:
        request.priority = _enum(types_pb2.Priority, "PRIORITY_", "priority", priority)
    if (fusion := options.get("fusion")) is not None:
        request.fusion.CopyFrom(_fusion(fusion))
    if rerank := options.get("rerank"):
        request.rerank.model = rerank
        request.rerank.candidates = options.get("rerank_candidates", 0)
    if (diversity := options.get("diversity")) is not None:
        request.diversity.diversity = diversity
    return request


def recommend_request(
    collection: str, tenant: str, examples: tuple[Iterable[Query], Iterable[Query]], options: RecommendOptions
) -> search_pb2.RecommendRequest:
    """Make the request of positive and negative examples. Raises TypeError, ValueError or InvalidArgument."""
    check_options(options, RecommendOptions)
    sides = []
    for name, side in zip(("positive", "negative"), examples, strict=True):
        if isinstance(side, (str, bytes, PointId, Image)):
            raise TypeError(f"{name} is one example; give a list of them")
        sides.append([query_message(one, f"{name}[{index}]") for index, one in enumerate(side)])
    request = search_pb2.RecommendRequest(
        collection=collection,
        tenant=tenant,
        positive=sides[0],
        negative=sides[1],
        select=selection(options),
        **filter_fields(options.get("filter")),
    )
    request.consistency = consistency_number(options)
    for name in ("top_k", "offset", "score_threshold"):
        if (value := cast("Any", options.get(name))) is not None:
            setattr(request, name, value)
    if (strategy := options.get("strategy")) is not None:
        wrapper = search_pb2.RecommendStrategy
        request.strategy = _enum(wrapper, "RECOMMEND_STRATEGY_", "strategy", strategy)
    if (priority := options.get("priority")) is not None:
        request.priority = _enum(types_pb2.Priority, "PRIORITY_", "priority", priority)
    return request


def point_of(message: search_pb2.Point) -> Point:
    """Give a stored point."""
    return Point(
        id=id_of(message.id),
        text=message.text,
        payload=payload_of(message.payload),
        vector=_vector_of(message.vector),
        version=message.version,
        expires_at=instant_of(message.expires_at) if message.HasField("expires_at") else None,
    )


def hits_of(messages: Iterable[search_pb2.Hit]) -> list[Hit]:
    """Give hits, best first."""
    return [_hit_of(one) for one in messages]


def groups_of(messages: Iterable[search_pb2.HitGroup]) -> list[Group]:
    """Give groups, by their best hits."""
    return [Group(value=value_of(one.value), hits=tuple(hits_of(one.hits))) for one in messages]


def duplicates_request(
    collection: str,
    tenant: str,
    wanted: tuple[float, str, str, int],
    filter: FilterLike | None,  # noqa: A002 - as everywhere in this client
) -> search_pb2.FindDuplicatesRequest:
    """Give the request; `wanted`: threshold, grouping, which to keep, members at most."""
    threshold, grouping, keep, max_group = wanted
    return search_pb2.FindDuplicatesRequest(
        collection=collection,
        tenant=tenant,
        threshold=threshold,
        grouping=_enum(search_pb2.DuplicateGrouping, "DUPLICATE_GROUPING_", "grouping", grouping),
        keep=_enum(search_pb2.DuplicateKeep, "DUPLICATE_KEEP_", "keep", keep),
        max_group=max_group,
        **filter_fields(filter),
    )


def duplicates_of(message: search_pb2.FindDuplicatesResponse) -> DuplicateGroup:
    """Give a group of points that say the same."""
    others = tuple((id_of(one.id), one.similarity) for one in message.duplicates)
    return DuplicateGroup(kept=id_of(message.kept), duplicates=others)


def tenants_request(collection: str) -> search_pb2.ListTenantsRequest:
    """Ask for the first tenants."""
    return search_pb2.ListTenantsRequest(collection=collection, limit=TENANTS_AT_ONCE)


def more_tenants(
    request: search_pb2.ListTenantsRequest, found: Sequence[search_pb2.TenantCount]
) -> search_pb2.ListTenantsRequest | None:
    """Ask for those after the ones found; None: there are no more."""
    if len(found) < request.limit:
        return None
    return search_pb2.ListTenantsRequest(collection=request.collection, limit=request.limit, after=found[-1].tenant)


def facet_of(reply: search_pb2.FacetResponse) -> list[tuple[str | int | bool, int]]:
    """Give values with their counts, most frequent first."""
    return [(getattr(one.value, str(one.value.WhichOneof("value"))), one.count) for one in reply.values]


def _hit_of(message: search_pb2.Hit) -> Hit:
    scores = None
    if message.HasField("scores"):
        there = {one.name: value for one, value in message.scores.ListFields()}
        scores = HitScores(**{name: there.get(name) for name in HitScores.__dataclass_fields__})
    return Hit(
        id=id_of(message.id),
        score=message.score,
        payload=payload_of(message.payload),
        text=message.text,
        vector=_vector_of(message.vector),
        version=message.version,
        scores=scores,
    )


def _vector_of(data: bytes) -> Array | None:
    return np.frombuffer(data, "<f4") if data else None


def _enum(wrapper: Any, prefix: str, option: str, value: str) -> Any:
    """Give an enum's number, typed as what each field of the stubs wants."""
    return enum_number(wrapper, prefix, option, value)


def _fusion(fusion: Fusion) -> search_pb2.Fusion:
    made = search_pb2.Fusion(method=_enum(search_pb2.FusionMethod, "FUSION_METHOD_", "fusion", fusion.method))
    for name in ("rrf_k", "dense_weight", "keyword_weight", "candidates"):
        if (value := getattr(fusion, name)) is not None:
            setattr(made, name, value)
    return made


def id_messages(ids: Iterable[Id]) -> list[search_pb2.PointId]:
    """Give ids as the protocol has them. Raises TypeError or InvalidArgument."""
    if isinstance(ids, (str, bytes)):
        raise TypeError("ids is one id; give a list of them")
    return [id_message(one, f"ids[{index}]") for index, one in enumerate(ids)]
