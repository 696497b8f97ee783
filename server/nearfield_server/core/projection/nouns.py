"""What is passed between the parts of projection. No code but properties."""

from __future__ import annotations

import enum
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from nearfield_server.core.computing.items import Caller, CollectionSource, Origin
from nearfield_server.types import EmbedOptions, FloatRows, PointId

__all__ = [
    "MapArrays",
    "Positions",
    "ProjectCall",
    "ProjectOptions",
    "Projected",
    "Projection",
    "ProjectionHead",
    "Way",
]

Positions = npt.NDArray[np.uint64]


class Way(enum.Enum):
    """How maps are made."""

    PCA = "pca"
    PACMAP = "pacmap"
    UMAP = "umap"
    TSNE = "tsne"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectOptions:
    """How to make a map. `components`: coordinates of an item, 2 or 3. `neighbors` 0: as the method does."""

    method: Way = Way.PACMAP
    components: int = 2
    seed: int = 0
    neighbors: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectCall:
    """What to project, and how. `collection` None: items come in a stream.

    `ttl_seconds` 0: the result isn't kept. `projection` "": a map is made; else items are put into that one, and of
    the other members only `collection` and `caller` count.
    """

    options: ProjectOptions
    embedding: EmbedOptions
    collection: CollectionSource | None = None
    ttl_seconds: float = 0.0
    projection: str = ""
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Projected:
    """What a fit tells, but for the arrays. `options`: with what was chosen. `trustworthiness` None: too few items."""

    options: ProjectOptions
    items: int
    trustworthiness: float | None = None
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[str, float] = field(default_factory=dict)
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class MapArrays:
    """What a fit gives: coordinates, and what places new items, which is a matrix (PCA) or items of the map.

    Attributes:
        coordinates: of each item; float32 [items, components].
        anchors: unit rows of some items that differ; float16 [anchors, dimensions].
        places: their coordinates; float32 [anchors, components].
        matrix: coordinates are `row @ matrix + offset`; float32 [dimensions, components], or empty.
        offset: float32 [components], or empty.
    """

    coordinates: FloatRows
    anchors: npt.NDArray[np.float16]
    places: FloatRows
    matrix: FloatRows
    offset: npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionHead:
    """What a map is, without coordinates. `id` "": it isn't kept, and `expires_at` is None."""

    id: str
    projected: Projected
    origin: Origin
    embedding: EmbedOptions
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Projection:
    """Where items are on a map: those it was made of, or others that were put into it.

    `ids` is empty where the caller gave none. `positions`: of each item in the stream, where items failed; uint64
    [items], or empty.
    """

    head: ProjectionHead
    coordinates: FloatRows
    ids: list[PointId] = field(default_factory=list)
    positions: Positions = field(default_factory=lambda: np.empty(0, np.uint64))
