"""What a search is asked and what it gives: the nouns of `searcher`, `recommender` and `duplicates`."""

from __future__ import annotations

import enum
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from nearfield_server.types import (
    AS_CONFIGURED,
    Consistency,
    Filter,
    Json,
    PointId,
    Priority,
    Record,
    Selection,
    Vector,
)

__all__ = [
    "Diversity",
    "DuplicateGroup",
    "DuplicateGrouping",
    "DuplicateKeep",
    "DuplicatesCall",
    "Found",
    "FusionMethod",
    "FusionOptions",
    "Grouping",
    "HitGroup",
    "HitScores",
    "Image",
    "PointRef",
    "Query",
    "RecommendCall",
    "RecommendStrategy",
    "Reranking",
    "SearchCall",
    "SearchMode",
    "SearchResult",
    "SearchTimings",
    "Text",
]


class SearchMode(enum.Enum):
    """By what to search."""

    DENSE = "dense"
    KEYWORD = "keyword"
    HYBRID = "hybrid"


class FusionMethod(enum.Enum):
    """How ranked lists become one."""

    RRF = "rrf"
    WEIGHTED = "weighted"


class RecommendStrategy(enum.Enum):
    """How examples become a search."""

    AVERAGE_VECTOR = "average_vector"
    BEST_SCORE = "best_score"


class DuplicateGrouping(enum.Enum):
    """How pairs become groups."""

    STAR = "star"
    CONNECTED = "connected"


class DuplicateKeep(enum.Enum):
    """Which of a group is kept."""

    FIRST = "first"
    NEWEST = "newest"
    LONGEST = "longest"
    MEDOID = "medoid"


@dataclass(frozen=True, slots=True)
class Text:
    """A query in words."""

    text: str


@dataclass(frozen=True, slots=True)
class Image:
    """A query by a JPEG, PNG or WebP file."""

    data: bytes


@dataclass(frozen=True, slots=True)
class PointRef:
    """A query by a stored point, which is itself left out."""

    id: PointId


Query: TypeAlias = Text | Image | PointRef | Vector
"""What to look for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FusionOptions:
    """How the lists of a hybrid search become one. `candidates` 0: chosen by what is asked for."""

    method: FusionMethod = FusionMethod.RRF
    rrf_k: float = 60.0
    dense_weight: float = 1.0
    keyword_weight: float = 1.0
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Reranking:
    """A second look at the best `candidates` (0: chosen by what is asked for) by a model."""

    model: str
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Diversity:
    """How much differing from better hits counts against relevance, in [0, 1], among the best `candidates`."""

    diversity: float = 0.5
    candidates: int = 0


@dataclass(frozen=True, slots=True)
class Grouping:
    """The best `size` of each value of the field at `path`."""

    path: str
    size: int = 1


ALL = Selection()


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """Who waits: `deadline` in monotonic seconds, `identity` as the server itself knows it."""

    deadline: float | None = None
    identity: str = ""
    priority: Priority = Priority.INTERACTIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchCall:
    """A well-formed search, its collection not yet looked at."""

    collection: str
    query: Query
    tenant: str = ""
    top_k: int = 10
    offset: int = 0
    filter: Filter | None = None
    mode: SearchMode = SearchMode.DENSE
    fusion: FusionOptions = FusionOptions()
    reranking: Reranking | None = None
    diversity: Diversity | None = None
    grouping: Grouping | None = None
    score_threshold: float | None = None
    select: Selection = ALL
    exact: bool = False
    ef: int = 0
    caller: Caller = Caller()
    consistency: Consistency = AS_CONFIGURED


@dataclass(frozen=True, slots=True, kw_only=True)
class RecommendCall:
    """Well-formed examples: at least one positive."""

    collection: str
    positive: tuple[Query, ...]
    negative: tuple[Query, ...] = ()
    strategy: RecommendStrategy = RecommendStrategy.AVERAGE_VECTOR
    tenant: str = ""
    top_k: int = 10
    offset: int = 0
    filter: Filter | None = None
    score_threshold: float | None = None
    select: Selection = ALL
    caller: Caller = Caller()
    consistency: Consistency = AS_CONFIGURED


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicatesCall:
    """What counts as the same."""

    collection: str
    tenant: str = ""
    filter: Filter | None = None
    threshold: float = 0.95
    grouping: DuplicateGrouping = DuplicateGrouping.STAR
    keep: DuplicateKeep = DuplicateKeep.FIRST
    max_group: int = 1000
    consistency: Consistency = AS_CONFIGURED


@dataclass(slots=True, kw_only=True)
class HitScores:
    """The stages of a hit's score; ranks count from 1, `None`: it wasn't in that stage."""

    dense: float | None = None
    dense_rank: int | None = None
    keyword: float | None = None
    keyword_rank: int | None = None
    fused: float | None = None
    rerank: float | None = None
    diversity: float | None = None


@dataclass(slots=True)
class Found:
    """A point on its way through the stages: `score` is that of the last one, `order` breaks ties.

    Where nothing but id and version is wanted, it may end without a `record`.
    """

    id: PointId
    score: float
    order: int
    scores: HitScores = field(default_factory=HitScores)
    record: Record | None = None
    version: int | None = None


@dataclass(frozen=True, slots=True)
class HitGroup:
    """Hits with the same value of a field, best first."""

    value: Json
    hits: list[Found]


@dataclass(slots=True)
class SearchTimings:
    """Seconds spent in each stage."""

    embed: float = 0.0
    engine: float = 0.0
    rank: float = 0.0
    rerank: float = 0.0
    fetch: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchResult:
    """Hits, or groups where grouping was asked for, best first; `exact`: whether all points were compared."""

    hits: list[Found]
    groups: list[HitGroup]
    exact: bool
    timings: SearchTimings


@dataclass(frozen=True, slots=True)
class DuplicateGroup:
    """The point to keep, and those that say the same with their cosine to it, most similar first."""

    kept: PointId
    duplicates: list[tuple[PointId, float]]


FieldName: TypeAlias = Callable[[int], str]
"""The name in the request of the n-th query, for messages."""
