"""What passes between the search use cases and the engines: collections, points, queries, hits.

CollectionSpec ──create──▶ Collection ◀──upsert── list[Record]
EngineQuery ──search──▶ list[EngineHit] ──fetch──▶ list[Record]
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nearfield_server.types.calls import SparseRow
from nearfield_server.types.enums import SimilarityMetric
from nearfield_server.types.filters import Filter, FilterValue, PointId

__all__ = [
    "AS_CONFIGURED",
    "CollectionSpec",
    "CollectionStats",
    "Consistency",
    "Durability",
    "EngineHit",
    "EngineQuery",
    "FacetCount",
    "FieldType",
    "Hnsw",
    "IndexState",
    "Json",
    "KeywordOptions",
    "PayloadKind",
    "ReadConsistency",
    "Record",
    "Selection",
    "UpsertMode",
    "UpsertOutcome",
    "Vector",
    "VectorQuantization",
    "WriteOrdering",
]

Vector: TypeAlias = npt.NDArray[np.float32]
"""`[dimensions]`, finite."""

Json: TypeAlias = Any
"""None, bool, int, float (finite), str, or lists and string-keyed dicts of them."""


class Durability(enum.Enum):
    """When a write counts as kept."""

    PROCESS = "process"
    DISK = "disk"


class ReadConsistency(enum.Enum):
    """Copies that must agree on what is read."""

    ONE = "one"
    MAJORITY = "majority"
    QUORUM = "quorum"
    ALL = "all"


class WriteOrdering(enum.Enum):
    """Through which copy writes to a point go."""

    WEAK = "weak"
    MEDIUM = "medium"
    STRONG = "strong"


@dataclass(frozen=True, slots=True)
class Consistency:
    """Of one call; `None`: as the engine is configured."""

    read: ReadConsistency | None = None
    write: WriteOrdering | None = None


AS_CONFIGURED = Consistency()


class VectorQuantization(enum.Enum):
    """How an index holds vectors, beside the float32 ones."""

    NONE = "none"
    INT8 = "int8"


class FieldType(enum.Enum):
    """What kind of values a payload index serves."""

    KEYWORD = "keyword"
    INTEGER = "integer"
    FLOAT = "float"
    BOOL = "bool"
    DATETIME = "datetime"
    GEO = "geo"
    TEXT = "text"


class PayloadKind(enum.Enum):
    """What a top-level payload value was sent as, where JSON doesn't tell."""

    TIMESTAMP = "timestamp"
    GEO = "geo"


class IndexState(enum.Enum):
    """Life of a collection's index."""

    EXACT = "exact"
    BUILDING = "building"
    READY = "ready"
    FAILED = "failed"


class UpsertMode(enum.Enum):
    """What an upsert does with points that are there, and with those that aren't."""

    UPSERT = "upsert"
    CREATE = "create"
    UPDATE = "update"
    PAYLOAD = "payload"


@dataclass(frozen=True, slots=True, kw_only=True)
class KeywordOptions:
    """BM25 (Robertson and Zaragoza, 2009): language of stop words and stemming, or "none"; its constants."""

    language: str = "english"
    k: float = 1.2
    b: float = 0.75
    average_words: float = 256.0


@dataclass(frozen=True, slots=True)
class Hnsw:
    """Links of a node, and candidates looked at when one is put in."""

    m: int = 16
    ef_construct: int = 128


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionSpec:
    """What decides a collection. `model` "" : points and queries bring vectors. `keyword` None: keeps no words."""

    name: str
    model: str
    model_version: str
    dimensions: int
    metric: SimilarityMetric
    keyword: KeywordOptions | None
    quantization: VectorQuantization
    hnsw: Hnsw
    payload_indexes: Mapping[str, FieldType]
    durability: Durability
    ttl_seconds: float | None
    created_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Record:
    """A point as engines keep it.

    `payload` is one JSON object: timestamps as RFC 3339 strings in UTC with six decimals
    (`2024-01-02T03:04:05.000000Z`), places as `{"lat": …, "lon": …}`, numbers without a fraction within 2^53 as
    integers; `kinds` tells which top-level keys were sent as such. With COSINE, `vector` has unit length. `sparse`
    holds the BM25 weights of `text`, without IDF. `expires_at` is seconds since the epoch. `version` 0: not stored
    yet. `vector` None: in PAYLOAD mode, and in replies that left it out.
    """

    id: PointId
    text: str = ""
    vector: Vector | None = None
    sparse: SparseRow | None = None
    payload: Mapping[str, Json] = field(default_factory=dict)
    kinds: Mapping[str, PayloadKind] = field(default_factory=dict)
    expires_at: float | None = None
    version: int = 0


@dataclass(frozen=True, slots=True)
class UpsertOutcome:
    """How many points were stored and left alone, and the number of the write."""

    stored: int
    skipped: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """What to give of a point. Field lists hold paths; `include` empty: all."""

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    payload: bool = True
    text: bool = True
    vector: bool = False

    @property
    def nothing(self) -> bool:
        """Whether nothing but id and version is wanted."""
        return not (self.payload or self.text or self.vector)


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineQuery:
    """One ranked list: by `dense` or by `sparse` (words with weight 1; the engine applies IDF), exactly one of them.

    `exact`: compare all points. `ef` 0: as configured. `exclude`: ids left out.
    """

    tenant: str
    limit: int
    dense: Vector | None = None
    sparse: SparseRow | None = None
    filter: Filter | None = None
    exclude: tuple[PointId, ...] = ()
    exact: bool = False
    ef: int = 0


@dataclass(frozen=True, slots=True)
class EngineHit:
    """A point found: greater scores are nearer. `order` grows with the time of first storing; it breaks ties.

    `version`: that of its record, where the engine has it at hand.
    """

    id: PointId
    score: float
    order: int
    version: int | None = None


@dataclass(frozen=True, slots=True)
class FacetCount:
    """A value of a field, and the number of points that have it."""

    value: FilterValue
    count: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionStats:
    """Figures of a collection, of all tenants. `index_lag`: writes that the index lacks. `disk_bytes`: all files.

    `recall`: share of the nearest points that the index found when that was last measured, in [0, 1].
    """

    points: int
    index_lag: int
    index_state: IndexState
    index_message: str
    disk_bytes: int
    recall: float | None = None
