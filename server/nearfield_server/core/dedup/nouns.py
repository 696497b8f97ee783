"""The nouns: how duplicates are looked for, and what was found about an item."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum

from nearfield_server.core.computing.items import Caller, CollectionSource
from nearfield_server.types import EmbedOptions, PointId

__all__ = ["DedupOptions", "Found", "Kind", "Level", "Reference"]


class Level(StrEnum):
    """How alike duplicates are, whatever the model."""

    STRICT = "strict"
    NORMAL = "normal"
    LOOSE = "loose"


class Kind(StrEnum):
    """What an item is."""

    UNIQUE = "unique"
    EXACT = "exact"
    NEAR = "near"


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupOptions:
    """`limit`: a level, or the cosine from which on items are duplicates. `source` None: the stream alone.

    `compare_all`: duplicates are compared with too. `lexical_check`: words must agree as well.
    """

    embedding: EmbedOptions
    limit: Level | float
    source: CollectionSource | None = None
    collection_only: bool = False
    compare_all: bool = False
    lexical_check: bool = False
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True)
class Reference:
    """An item or a point: its id, or, for an item without one, its position in the stream."""

    id: PointId | None = None
    index: int = 0
    in_collection: bool = False


@dataclass(frozen=True, slots=True)
class Found:
    """What an item is, and of what; of a UNIQUE one the nearest that was seen (`of` None: nothing was)."""

    kind: Kind
    of: Reference | None = None
    similarity: float = 0.0
