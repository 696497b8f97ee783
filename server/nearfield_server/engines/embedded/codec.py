"""How values stand in the database: JSON, little-endian arrays."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Mapping
from datetime import datetime

import numpy as np

from nearfield_server.types import (
    CollectionSpec,
    Durability,
    FieldType,
    Hnsw,
    Json,
    KeywordOptions,
    PayloadKind,
    SimilarityMetric,
    SparseRow,
    Vector,
    VectorQuantization,
)

__all__ = [
    "pack_kinds",
    "pack_payload",
    "pack_sparse",
    "pack_spec",
    "pack_vector",
    "unpack_kinds",
    "unpack_payload",
    "unpack_sparse",
    "unpack_spec",
    "unpack_vector",
]

_ENTRY_BYTES = 8


def pack_payload(payload: Mapping[str, Json]) -> str:
    """Give JSON; integers keep all their digits."""
    return json.dumps(payload, ensure_ascii=False, separators=(",", ":"), allow_nan=False) if payload else "{}"


def unpack_payload(text: str) -> dict[str, Json]:
    """Give the payload of `pack_payload`."""
    payload: dict[str, Json] = json.loads(text)
    return payload


def pack_kinds(kinds: Mapping[str, PayloadKind]) -> str:
    """Give JSON, or "" for none."""
    return json.dumps({key: kind.value for key, kind in kinds.items()}, ensure_ascii=False) if kinds else ""


def unpack_kinds(text: str) -> dict[str, PayloadKind]:
    """Give the kinds of `pack_kinds`."""
    return {key: PayloadKind(kind) for key, kind in json.loads(text).items()} if text else {}


def pack_vector(vector: Vector) -> bytes:
    """Give float32, little-endian."""
    return vector.astype("<f4", copy=False).tobytes()


def unpack_vector(data: bytes) -> Vector:
    """Give the vector of `pack_vector`, read-only."""
    return np.frombuffer(data, "<f4")


def pack_sparse(sparse: SparseRow) -> bytes:
    """Give the uint32 ids, then the float32 weights."""
    return sparse.ids.astype("<u4", copy=False).tobytes() + sparse.weights.astype("<f4", copy=False).tobytes()


def unpack_sparse(data: bytes) -> SparseRow:
    """Give the row of `pack_sparse`, read-only."""
    count = len(data) // _ENTRY_BYTES
    return SparseRow(np.frombuffer(data, "<u4", count), np.frombuffer(data, "<f4", count, count * 4))


def pack_spec(spec: CollectionSpec) -> str:
    """Give JSON."""
    plain = {
        "name": spec.name,
        "model": spec.model,
        "model_version": spec.model_version,
        "dimensions": spec.dimensions,
        "metric": spec.metric.value,
        "keyword": None if spec.keyword is None else dataclasses.asdict(spec.keyword),
        "quantization": spec.quantization.value,
        "hnsw": dataclasses.asdict(spec.hnsw),
        "payload_indexes": {path: kind.value for path, kind in spec.payload_indexes.items()},
        "durability": spec.durability.value,
        "ttl_seconds": spec.ttl_seconds,
        "created_at": spec.created_at.isoformat(),
    }
    return json.dumps(plain, ensure_ascii=False)


def unpack_spec(text: str) -> CollectionSpec:
    """Give the spec of `pack_spec`."""
    plain = json.loads(text)
    return CollectionSpec(
        name=plain["name"],
        model=plain["model"],
        model_version=plain["model_version"],
        dimensions=plain["dimensions"],
        metric=SimilarityMetric(plain["metric"]),
        keyword=None if plain["keyword"] is None else KeywordOptions(**plain["keyword"]),
        quantization=VectorQuantization(plain["quantization"]),
        hnsw=Hnsw(**plain["hnsw"]),
        payload_indexes={path: FieldType(kind) for path, kind in plain["payload_indexes"].items()},
        durability=Durability(plain["durability"]),
        ttl_seconds=plain["ttl_seconds"],
        created_at=datetime.fromisoformat(plain["created_at"]),
    )
