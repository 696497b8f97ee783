"""Qdrant Edge as the workers use it: shards, points, conditions, queries. Only child processes import this.

Edge keeps the GIL in every call, so it stops the process that it runs in.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import qdrant_edge as edge

from nearfield_server.engines.embedded.changes import Change
from nearfield_server.engines.embedded.codec import unpack_sparse
from nearfield_server.engines.embedded.index.encoding import TENANT, WORDS, encode, key_of
from nearfield_server.engines.embedded.index.plan import Plan
from nearfield_server.engines.embedded.index.word_counts import WordCounts
from nearfield_server.types import CollectionSpec, FieldType, SimilarityMetric, Vector, VectorQuantization

__all__ = ["create_shard", "load_shard", "put", "request_of"]

_DENSE, _SPARSE = "dense", "text"
_SCAN_KIB = 1000  # filters that leave less than this are scanned: exact, and faster than the graph
_ONE_SEGMENT_KIB = 2**31
_QUANTILE = 0.99
_NO_WORDS = np.zeros(0, np.uint32)

_PARAMS: Mapping[FieldType, tuple[str, Any]] = {
    FieldType.KEYWORD: ("k", edge.KeywordIndexParams(prefix=True)),
    FieldType.BOOL: ("k", edge.KeywordIndexParams()),
    FieldType.INTEGER: ("n", edge.FloatIndexParams()),
    FieldType.FLOAT: ("n", edge.FloatIndexParams()),
    FieldType.DATETIME: ("t", edge.DatetimeIndexParams()),
    FieldType.GEO: ("g", edge.GeoIndexParams()),
    FieldType.TEXT: ("w", edge.KeywordIndexParams()),
}


def create_shard(folder: Path, spec: CollectionSpec, threads: int) -> Any:
    """Make an empty shard whose `optimize` puts all points into one segment with one graph."""
    int8 = edge.ScalarQuantizationConfig(edge.ScalarType.Int8, quantile=_QUANTILE, memory=edge.Memory.Pinned)
    euclidean = spec.metric is SimilarityMetric.EUCLIDEAN
    dense = edge.EdgeVectorParams(
        size=spec.dimensions,
        distance=edge.Distance.Euclid if euclidean else edge.Distance.Dot,  # vectors of COSINE have unit length
        quantization_config=int8 if spec.quantization is VectorQuantization.INT8 else None,
    )
    words = {_SPARSE: edge.EdgeSparseVectorParams()}
    config = edge.EdgeConfig(
        vectors={_DENSE: dense},
        sparse_vectors=words if spec.keyword is not None else None,
        hnsw_config=edge.HnswIndexConfig(
            m=spec.hnsw.m,
            ef_construct=spec.hnsw.ef_construct,
            full_scan_threshold=_SCAN_KIB,
            max_indexing_threads=threads,
        ),
        wal_enabled=False,  # SQLite is the truth
        optimizers=edge.EdgeOptimizersConfig(
            default_segment_number=1, indexing_threshold=1, max_segment_size=_ONE_SEGMENT_KIB
        ),
    )
    shard = edge.EdgeShard.create(str(folder), config)
    shard.update(edge.UpdateOperation.create_field_index(TENANT, edge.KeywordIndexParams(is_tenant=True)))
    for path, kind in spec.payload_indexes.items():
        letter, params = _PARAMS[kind]
        shard.update(edge.UpdateOperation.create_field_index(key_of(letter, path), params))
    return shard


def load_shard(folder: Path) -> Any:
    """Open a shard that `create_shard` made."""
    return edge.EdgeShard.load(str(folder))


def put(shard: Any, spec: CollectionSpec, changes: Sequence[Change], words: WordCounts) -> None:
    """Bring rows to their last state, and `words` with them."""
    if spec.keyword is not None:
        words.drop(_words_of(one) for one in shard.retrieve([one.row for one in changes], False, [_SPARSE]))
        there = (one.sparse for one in changes if one.vector is not None)
        words.take(_NO_WORDS if sparse is None else sparse.ids for sparse in there)
    points: list[Any] = []
    gone: list[Any] = []
    for change in changes:
        if change.deleted or change.vector is None:
            gone.append(change.row)
        else:
            points.append(_point(spec, change, change.vector))
    if points:
        shard.update(edge.UpdateOperation.upsert_points(points))
    if gone:
        shard.update(edge.UpdateOperation.delete_points(gone))


def _point(spec: CollectionSpec, change: Change, vector: Vector) -> Any:
    vectors: dict[str, Any] = {_DENSE: vector.tolist()}
    if spec.keyword is not None and change.sparse is not None:
        vectors[_SPARSE] = edge.SparseVector(change.sparse.ids.tolist(), change.sparse.weights.tolist())
    return edge.Point(
        change.row, vectors, encode(change.tenant, change.payload or {}, change.text, spec.payload_indexes)
    )


def _words_of(record: Any) -> npt.NDArray[np.uint32]:
    """Give the ids of the words of a point that was asked for with them."""
    sparse = (record.vector or {}).get(_SPARSE)
    return _NO_WORDS if sparse is None else np.array(sparse.indices, np.uint32)


def request_of(query: Mapping[str, Any], data: bytes, spec: CollectionSpec, words: WordCounts) -> Any:
    """Give the query that a frame holds (`searcher.to_header`), its vector in `data`."""
    if "sparse" in query:
        asked = words.weighted(unpack_sparse(data))
        nearest = edge.Query.Nearest(edge.SparseVector(asked.ids.tolist(), asked.weights.tolist()), using=_SPARSE)
    else:
        nearest = edge.Query.Nearest(np.frombuffer(data, "<f4").tolist(), using=_DENSE)
    exact = query["exact"]
    rescoring = edge.QuantizationSearchParams(ignore=exact, rescore=True, oversampling=query["oversampling"])
    int8 = spec.quantization is VectorQuantization.INT8
    return edge.QueryRequest(
        limit=query["limit"],
        query=nearest,
        filter=_filter(query),
        params=edge.SearchParams(hnsw_ef=query["ef"], exact=exact, quantization=rescoring if int8 else None),
    )


def _filter(query: Mapping[str, Any]) -> Any:
    must: list[Any] = []
    if query["tenant"] is not None:
        must.append(edge.FieldCondition(TENANT, match=edge.MatchValue(query["tenant"])))
    if query["plan"] is not None:
        must.append(_condition(query["plan"]))
    must_not: list[Any] | None = [edge.HasIdCondition(set(query["exclude"]))] if query["exclude"] else None
    return edge.Filter(must=must or None, must_not=must_not) if must or must_not else None


def _condition(plan: Plan) -> Any:  # noqa: PLR0911 - one for each kind of plan
    kind, first, *rest = plan
    match kind:
        case "and":
            return edge.Filter(must=[_condition(one) for one in first])
        case "or":
            return edge.Filter(should=[_condition(one) for one in first])
        case "not":
            return edge.Filter(must_not=[_condition(first)])
        case "rows":
            return edge.HasIdCondition(set(first))
        case "there":
            return edge.Filter(must_not=[edge.IsEmptyCondition(first)])
        case "nested":
            each: list[Any] = [edge.FieldCondition(WORDS, match=edge.MatchValue(token)) for token in rest[0]]
            return edge.NestedCondition(first, edge.Filter(must=each))
        case _:
            return edge.FieldCondition(first, **_FIELDS[kind](*rest))


_FIELDS: Mapping[str, Any] = {
    "any": lambda values: {"match": edge.MatchValue(values[0]) if len(values) == 1 else edge.MatchAny(values)},
    "prefix": lambda prefix: {"match": edge.MatchPrefix(prefix)},
    "number": lambda bounds: {"range": edge.RangeFloat(**bounds)},
    "time": lambda bounds: {"range": edge.RangeDateTime(**bounds)},
    "radius": lambda lat, lon, meters: {"geo_radius": edge.GeoRadius(edge.GeoPoint(lon, lat), meters)},
    "box": lambda north, west, south, east: {
        "geo_bounding_box": edge.GeoBoundingBox(edge.GeoPoint(west, north), edge.GeoPoint(east, south))
    },
}
