"""The rpcs of SearchService about collections."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from google.protobuf.duration_pb2 import Duration

from nearfield.v1 import search_pb2
from nearfield_server.core.collection_calls import CollectionChange, CollectionView, NewCollection
from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.collections import Collections
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, filters
from nearfield_server.rpc.enums import (
    DURABILITIES,
    FIELD_TYPES,
    INDEX_STATES,
    QUANTIZATIONS,
    TO_DURABILITY,
    TO_FIELD_TYPE,
    TO_METRIC,
    TO_QUANTIZATION,
)
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import FieldType, Hnsw, KeywordOptions, VectorQuantization

__all__ = ["CollectionRpcs"]

_LEAST_LINKS, _MOST_LINKS = 4, 128
_LEAST_CONSTRUCT, _MOST_CONSTRUCT = 8, 2048
_MOST_K = 10.0
_DEFAULTS = Hnsw()


class CollectionRpcs:
    """Requests to calls, and back."""

    def __init__(self, collections: Collections, vectors: CollectionVectors, metrics: SearchMetrics) -> None:
        """Show and change `collections`; `vectors` knows which languages there are."""
        self._collections = collections
        self._vectors = vectors
        self._metrics = metrics

    async def create(self, request: search_pb2.CreateCollectionRequest, _: Any) -> search_pb2.CreateCollectionResponse:
        """Make a collection."""
        keyword = keyword_options(request.keyword_search)
        if keyword is not None:
            self._vectors.check_keywords(keyword)
        quantization = convert.enum_value("quantization", request.quantization, QUANTIZATIONS, VectorQuantization.INT8)
        asked = NewCollection(
            name=request.name,
            model=convert.check_model_name("model", request.model),
            dimensions=request.dimensions,
            metric=convert.similarity_metric(request.metric),
            keyword=keyword,
            quantization=quantization,
            hnsw=hnsw_options(request.hnsw),
            payload_indexes=_indexes("payload_indexes", request.payload_indexes),
            durability=convert.enum_value("durability", request.durability, DURABILITIES, None),
            ttl_seconds=_seconds("ttl", request.ttl) if request.HasField("ttl") else None,
        )
        view = await self._collections.create(asked)
        return search_pb2.CreateCollectionResponse(collection=collection_message(view))

    async def get(self, request: search_pb2.GetCollectionRequest, _: Any) -> search_pb2.GetCollectionResponse:
        """Give one."""
        view = await self._collections.get(convert.check_model_name("collection", request.collection))
        return search_pb2.GetCollectionResponse(collection=collection_message(view))

    async def list(self, _: search_pb2.ListCollectionsRequest, __: Any) -> search_pb2.ListCollectionsResponse:
        """Give all."""
        views = await self._collections.list()
        return search_pb2.ListCollectionsResponse(collections=[collection_message(one) for one in views])

    async def update(self, request: search_pb2.UpdateCollectionRequest, _: Any) -> search_pb2.UpdateCollectionResponse:
        """Change one."""
        change = CollectionChange(
            add_indexes=_indexes("add_payload_indexes", request.add_payload_indexes),
            drop_indexes=tuple(request.drop_payload_indexes),
            ttl_seconds=_seconds("ttl", request.ttl) if request.HasField("ttl") else None,
            quantization=convert.enum_value("quantization", request.quantization, QUANTIZATIONS, None),
            durability=convert.enum_value("durability", request.durability, DURABILITIES, None),
        )
        name = convert.check_model_name("collection", request.collection)
        view = await self._collections.update(name, change)
        return search_pb2.UpdateCollectionResponse(collection=collection_message(view))

    async def delete(self, request: search_pb2.DeleteCollectionRequest, _: Any) -> search_pb2.DeleteCollectionResponse:
        """Delete one."""
        await self._collections.delete(convert.check_model_name("collection", request.collection))
        self._metrics.forget(request.collection)
        return search_pb2.DeleteCollectionResponse()

    async def set_alias(
        self, request: search_pb2.SetCollectionAliasRequest, _: Any
    ) -> search_pb2.SetCollectionAliasResponse:
        """Let a name stand for one."""
        collection = convert.check_model_name("collection", request.collection)
        previous = await self._collections.set_alias(request.alias, collection)
        return search_pb2.SetCollectionAliasResponse(previous=previous)


def keyword_options(message: search_pb2.KeywordSearch) -> KeywordOptions | None:
    """Give how keywords are found; `None`: not at all. Raises `InvalidInput`."""
    if message.disabled:
        return None
    default = KeywordOptions()
    options = KeywordOptions(
        language=message.language or default.language,
        k=round(message.k, 6) if message.HasField("k") else default.k,
        b=round(message.b, 6) if message.HasField("b") else default.b,
        average_words=round(message.average_words, 6) if message.HasField("average_words") else default.average_words,
    )
    # Comparisons that NaN fails.
    for name, value, right, text in (
        ("k", options.k, 0 <= options.k <= _MOST_K, "[0, 10]"),
        ("b", options.b, 0 <= options.b <= 1, "[0, 1]"),
        ("average_words", options.average_words, 0 < options.average_words < math.inf, "(0, infinity)"),
    ):
        if not right:
            raise InvalidInput(f"keyword_search.{name}", f"{value} is outside {text}")
    return options


def hnsw_options(message: search_pb2.HnswOptions) -> Hnsw:
    """Give what the neighbour graph is like. Raises `InvalidInput`."""
    links, construct = message.m or _DEFAULTS.m, message.ef_construct or _DEFAULTS.ef_construct
    if not _LEAST_LINKS <= links <= _MOST_LINKS:
        raise InvalidInput("hnsw.m", f"{links} is outside {_LEAST_LINKS} to {_MOST_LINKS}")
    if not _LEAST_CONSTRUCT <= construct <= _MOST_CONSTRUCT:
        raise InvalidInput("hnsw.ef_construct", f"{construct} is outside {_LEAST_CONSTRUCT} to {_MOST_CONSTRUCT}")
    return Hnsw(links, construct)


def collection_message(view: CollectionView) -> search_pb2.Collection:
    """Give a collection for the wire."""
    spec, stats = view.spec, view.stats
    message = search_pb2.Collection(
        name=spec.name,
        model=spec.model,
        model_version=spec.model_version,
        dimensions=spec.dimensions,
        metric=TO_METRIC[spec.metric],
        keyword_search=_keyword_message(spec.keyword),
        quantization=TO_QUANTIZATION[spec.quantization],
        hnsw=search_pb2.HnswOptions(m=spec.hnsw.m, ef_construct=spec.hnsw.ef_construct),
        payload_indexes={path: TO_FIELD_TYPE[kind] for path, kind in spec.payload_indexes.items()},
        durability=TO_DURABILITY[spec.durability],
        engine=view.engine,
        points=stats.points,
        index_lag=stats.index_lag,
        index_state=INDEX_STATES[stats.index_state],
        index_message=stats.index_message,
        disk_bytes=stats.disk_bytes,
        aliases=view.aliases,
    )
    message.created_at.FromDatetime(spec.created_at)
    if spec.ttl_seconds is not None:
        message.ttl.FromMicroseconds(round(spec.ttl_seconds * 1e6))
    return message


def _keyword_message(options: KeywordOptions | None) -> search_pb2.KeywordSearch:
    if options is None:
        return search_pb2.KeywordSearch(disabled=True)
    return search_pb2.KeywordSearch(
        language=options.language, k=options.k, b=options.b, average_words=options.average_words
    )


def _indexes(field: str, messages: Mapping[str, int]) -> dict[str, FieldType]:
    found = {}
    for path, number in messages.items():
        filters.path(field, path)
        kind = convert.enum_value(field, number, FIELD_TYPES, None)
        if kind is None:
            raise InvalidInput(field, "FIELD_TYPE_UNSPECIFIED is never valid: say what kind of values the field has")
        found[path] = kind
    return found


def _seconds(field: str, message: Duration) -> float:
    seconds = message.seconds + message.nanos / 1e9
    if seconds < 0:
        raise InvalidInput(field, "must not be negative")
    return float(seconds)
