"""What is asked of collections and told of them: the nouns of `collections`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Durability,
    FieldType,
    Hnsw,
    KeywordOptions,
    SimilarityMetric,
    VectorQuantization,
)

__all__ = ["CollectionChange", "CollectionView", "CollectionsSettings", "NewCollection"]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionsSettings:
    """`engine`: its name, as callers see it. `durability` of collections that don't choose one."""

    engine: str
    max_collections: int = 1000
    durability: Durability = Durability.PROCESS


@dataclass(frozen=True, slots=True, kw_only=True)
class NewCollection:
    """What is to be made. `model` "" and `dimensions` 0: the default model; `dimensions` alone: vectors only."""

    name: str
    model: str = ""
    dimensions: int = 0
    metric: SimilarityMetric | None = None
    keyword: KeywordOptions | None = field(default_factory=KeywordOptions)
    quantization: VectorQuantization = VectorQuantization.INT8
    hnsw: Hnsw = field(default_factory=Hnsw)
    payload_indexes: Mapping[str, FieldType] = field(default_factory=dict)
    durability: Durability | None = None
    ttl_seconds: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionChange:
    """What is to change; `None` stays. `ttl_seconds` 0: points no longer vanish."""

    add_indexes: Mapping[str, FieldType] = field(default_factory=dict)
    drop_indexes: tuple[str, ...] = ()
    ttl_seconds: float | None = None
    quantization: VectorQuantization | None = None
    durability: Durability | None = None


@dataclass(frozen=True, slots=True)
class CollectionView:
    """A collection as callers see it."""

    spec: CollectionSpec
    stats: CollectionStats
    aliases: tuple[str, ...]
    engine: str
