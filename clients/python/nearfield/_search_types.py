"""The nouns of search: points, hits, groups, and what callers may choose."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Literal, TypeAlias, TypedDict

from nearfield._errors import NearfieldError
from nearfield._model import Metric
from nearfield._options import Priority
from nearfield._types import Array
from nearfield.v1 import search_pb2

__all__ = [
    "CollectionInfo",
    "CollectionOptions",
    "DuplicateGroup",
    "FieldType",
    "FilterLike",
    "Fusion",
    "GeoPoint",
    "Group",
    "Hit",
    "HitScores",
    "Id",
    "Ordering",
    "Point",
    "PointId",
    "RecommendOptions",
    "RowError",
    "ScrollOptions",
    "SearchOptions",
    "UpdateOptions",
    "UpsertOptions",
    "UpsertResult",
]

Id: TypeAlias = str | int
FilterLike: TypeAlias = str | search_pb2.Filter
Ordering: TypeAlias = Literal["weak", "medium", "strong"]
FieldType: TypeAlias = Literal["keyword", "integer", "float", "bool", "datetime", "geo", "text"]


@dataclass(frozen=True, slots=True)
class GeoPoint:
    """A place on the Earth, in degrees north and east."""

    lat: float
    lon: float


@dataclass(frozen=True, slots=True)
class PointId:
    """Wraps an id where a text or an id may stand: `search(PointId("a"))` looks for what is like point "a"."""

    value: Id


@dataclass(frozen=True, slots=True, kw_only=True)
class Fusion:
    """How the two lists of hybrid search become one; None is the server's default.

    Attributes:
        method: "rrf" adds reciprocal ranks, "weighted" scaled scores.
        rrf_k: constant of "rrf"; 60 by default.
        dense_weight: weight of the list by vectors; 1 by default.
        keyword_weight: weight of the list by words; 1 by default.
        candidates: length of each list.
    """

    method: Literal["rrf", "weighted"] = "rrf"
    rrf_k: float | None = None
    dense_weight: float | None = None
    keyword_weight: float | None = None
    candidates: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Point:
    """A stored point. `vector` is float32 [width], or None where it wasn't asked for."""

    id: Id
    text: str = ""
    payload: dict[str, Any] = field(default_factory=dict)
    vector: Array | None = None
    version: int = 0
    expires_at: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class HitScores:
    """The stages of a hit's score; None where it wasn't part of a stage. Ranks count from 1."""

    dense: float | None = None
    dense_rank: int | None = None
    keyword: float | None = None
    keyword_rank: int | None = None
    fused: float | None = None
    rerank: float | None = None
    diversity: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    """A point that was found; a greater score is better. `scores` is set with `explain=True`."""

    id: Id
    score: float
    payload: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    vector: Array | None = None
    version: int = 0
    scores: HitScores | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """Hits with the same value of a payload field, best first."""

    value: Any
    hits: tuple[Hit, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class DuplicateGroup:
    """Points that say the same: the one to keep, and the others with their cosine to it."""

    kept: Id
    duplicates: tuple[tuple[Id, float], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CollectionInfo:
    """A collection as the server tells of it. `ttl` None: points stay. `index_lag` counts writes not yet indexed."""

    name: str
    model: str
    model_version: str
    dimensions: int
    metric: Metric
    payload_indexes: dict[str, FieldType]
    durability: Literal["process", "disk"]
    ttl: timedelta | None
    engine: str
    created_at: datetime
    points: int
    index_lag: int
    index_state: str
    index_message: str
    disk_bytes: int
    aliases: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RowError:
    """A row that wasn't stored: its number from 0 on, its id where it has one, and why."""

    row: int
    id: Id | None
    error: NearfieldError


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertResult:
    """What an upsert did. `version` is the number of the last write; `errors` are those that were collected."""

    stored: int = 0
    skipped: int = 0
    version: int = 0
    errors: tuple[RowError, ...] = ()


class CollectionOptions(TypedDict, total=False):
    """What a new collection is like. Every key may be left out.

    Keys:
        model: model that embeds its texts; "" is the server's default, unless `dimensions` is set.
        dimensions: width of the vectors; without a model, points and queries bring vectors.
        metric: how vectors are compared; None is the model's own, or cosine.
        payload_indexes: payload fields to index, with the type of each.
        keyword_language: language of stop words and stems, such as "german"; "none": words as they are.
        keyword_search: False keeps no words: keyword and hybrid search are refused.
        quantization: "int8" (the default) or "none".
        ttl: time after which points vanish that don't say when; a timedelta or seconds.
        durability: "process" survives the server's end, "disk" power loss too.
        timeout: seconds for the whole call, retries included; None is the client's own default.
    """

    model: str
    dimensions: int | None
    metric: Metric | None
    payload_indexes: Mapping[str, FieldType]
    keyword_language: str
    keyword_search: bool
    quantization: Literal["int8", "none"]
    ttl: timedelta | float | None
    durability: Literal["process", "disk"]
    timeout: float | None


class UpdateOptions(TypedDict, total=False):
    """What to change of a collection; what is left out stays.

    Keys:
        add_payload_indexes: payload fields to index, with the type of each.
        drop_payload_indexes: payload fields that are to lose their index.
        ttl: time after which points vanish that are stored from now on and don't say when; 0: never.
        quantization: "int8" or "none"; the index is built again.
        durability: "process" or "disk", for writes from now on.
        timeout: seconds for the whole call, retries included; None is the client's own default.
    """

    add_payload_indexes: Mapping[str, FieldType]
    drop_payload_indexes: Iterable[str]
    ttl: timedelta | float
    quantization: Literal["int8", "none"]
    durability: Literal["process", "disk"]
    timeout: float | None


class UpsertOptions(TypedDict, total=False):
    """How to store rows. Every key may be left out.

    Keys:
        id: name of the column with ids, str or int; "id" by default.
        text: name of the column with texts; "text" by default. None: there is none.
        vector: name of the column with vectors; None: the collection's model embeds the texts.
        payload: columns to carry; None: all but the three above.
        expires_at: name of a column with datetimes after which the point vanishes.
        mode: "upsert" replaces, "create" leaves what is there, "update" only replaces what is there, "payload" puts
            the payload's keys over those that are there.
        wait: return when searches find the points, not only when they are kept; True by default.
        batch_size: most rows in a request; 128 by default.
        priority: queue that texts wait in; "bulk" by default.
        ordering: through which copy writes to a point go, where the engine keeps several: "weak" (any), "medium" (a
            leader that may change) or "strong" (the permanent leader); None: as the server is configured.
        on_error: "raise" stops at a row that is refused; "collect" goes on, and gives it in `UpsertResult.errors`.
        progress: called after each request with the number of rows done so far.
        timeout: seconds in which some request must be answered, retries included; None is the client's own default.
    """

    id: str
    text: str | None
    vector: str | None
    payload: Sequence[str] | None
    expires_at: str | None
    mode: Literal["upsert", "create", "update", "payload"]
    wait: bool
    batch_size: int
    priority: Priority
    ordering: Ordering | None
    on_error: Literal["raise", "collect"]
    progress: Callable[[int], object] | None
    timeout: float | None


class ScrollOptions(TypedDict, total=False):
    """What to give of points, and which. Every key may be left out.

    Keys:
        filter: an expression such as `price < 20 and brand in ("a", "b")`, or the proto's Filter.
        fields: paths of payload fields to give; None: all.
        but_fields: paths of payload fields to leave out.
        with_payload: True by default.
        with_text: True by default.
        with_vector: False by default.
        consistency: copies that must agree, where the engine keeps several: "one", "majority", "quorum" or "all"; None:
            as the server is configured.
        timeout: seconds for the whole call; None is the client's own default.
    """

    filter: FilterLike | None
    fields: Sequence[str] | None
    but_fields: Sequence[str]
    with_payload: bool
    with_text: bool
    with_vector: bool
    consistency: Literal["one", "majority", "quorum", "all"] | None
    timeout: float | None


class RecommendOptions(ScrollOptions, total=False):
    """How to find by examples: keys of `ScrollOptions` and these.

    Keys:
        top_k: hits to give; 10 by default.
        offset: hits to pass over.
        score_threshold: only hits whose score is at least this.
        strategy: "average_vector" (the default) searches once, "best_score" compares with each example.
        priority: queue that texts wait in; "interactive" by default.
    """

    top_k: int
    offset: int
    score_threshold: float | None
    strategy: Literal["average_vector", "best_score"]
    priority: Priority | None


class SearchOptions(ScrollOptions, total=False):
    """How to search: keys of `ScrollOptions` and these.

    Keys:
        top_k: hits to give, or groups; 10 by default.
        offset: hits to pass over.
        mode: "dense" (by vectors, the default), "keyword" (by words) or "hybrid" (both).
        fusion: how "hybrid" makes one list of two.
        rerank: model that takes a second look at the best.
        rerank_candidates: how many of the best it sees.
        diversity: 0 is relevance alone, 1 difference alone (MMR); None leaves the order as it is.
        score_threshold: only hits whose score is at least this.
        explain: tell the scores of each stage.
        exact: compare all points.
        ef: candidates that the index looks at; more is slower and more exact.
        priority: queue that a text waits in; "interactive" by default.
    """

    top_k: int
    offset: int
    mode: Literal["dense", "keyword", "hybrid"]
    fusion: Fusion | None
    rerank: str
    rerank_candidates: int
    diversity: float | None
    score_threshold: float | None
    explain: bool
    exact: bool
    ef: int
    priority: Priority | None
