"""What callers ask of clustering, and what they get."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.nouns import Arrays, ClusterInfo, FitOptions, Fitted, FloatColumn, IntColumn
from nearfield_server.core.computing.items import Caller, CollectionSource, Items, Origin
from nearfield_server.types import EmbedOptions, PointId

__all__ = ["AssignCall", "Assigned", "ClusterCall", "Clustering", "Drift", "Head"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterCall:
    """What to cluster, and how. `source` None: items come in a stream. `previous` "": none.

    `ttl_seconds` 0: the result isn't kept.
    """

    options: FitOptions
    embedding: EmbedOptions
    source: Items | CollectionSource | None
    previous: str = ""
    ttl_seconds: float = 0.0
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a clustering is, without its clusters and assignments: `fitted.clusters` is empty, `clusters` counts them.

    `id` "": it isn't kept, and `expires_at` is None.
    """

    id: str
    fitted: Fitted
    clusters: int
    origin: Origin
    embedding: EmbedOptions
    previous: str
    created_at: datetime
    expires_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Clustering:
    """A clustering, whole.

    `ids` is empty where the caller gave none. `positions`: of each item in the stream, where items failed; uint64
    [items], or empty.
    """

    head: Head
    clusters: tuple[ClusterInfo, ...]
    arrays: Arrays
    ids: list[PointId] = field(default_factory=list)
    positions: npt.NDArray[np.uint64] = field(default_factory=lambda: np.empty(0, np.uint64))


@dataclass(frozen=True, slots=True, kw_only=True)
class AssignCall:
    """Items to put into the clusters of a kept clustering."""

    id: str
    items: Items
    dry_run: bool = False
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """How unlike the clustered items the latest assigned ones are; see nearfield.v1.ClusterDrift."""

    assigned: int = 0
    far: int = 0
    window: int = 0
    far_share: float = 0.0
    drift_ratio: float = 0.0
    recluster_due: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Assigned:
    """Where items belong: ids of clusters, -1 for none; of the nearest centroid; strengths and cosine distances."""

    clusters: IntColumn
    nearest: IntColumn
    strengths: FloatColumn
    distances: FloatColumn
    drift: Drift
