"""What is passed between the parts of clustering. No code but properties.

Rows are positions in the matrix of items. Places are positions in the list of clusters, which is ordered by size; ids
are what callers see, and live on from one clustering to the next.
"""

from __future__ import annotations

import enum
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

__all__ = [
    "Arrays",
    "Change",
    "ClusterInfo",
    "FitOptions",
    "Fitted",
    "FloatColumn",
    "IntColumn",
    "ItemRef",
    "Keyword",
    "LabelOptions",
    "Layer",
    "Lineage",
    "Linkage",
    "Merge",
    "Method",
    "Quality",
    "Trial",
]

IntColumn = npt.NDArray[np.int32]
FloatColumn = npt.NDArray[np.float32]


class Method(enum.Enum):
    """How clusters are found."""

    KMEANS = "kmeans"
    DENSITY = "density"
    AGGLOMERATIVE = "agglomerative"


class Linkage(enum.Enum):
    """The distance of two groups, by scipy's names."""

    AVERAGE = "average"
    COMPLETE = "complete"
    SINGLE = "single"
    WARD = "ward"


class Change(enum.Enum):
    """What became of a cluster since the previous clustering."""

    CONTINUED = "continued"
    NEW = "new"
    SPLIT = "split"
    MERGED = "merged"
    GONE = "gone"


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelOptions:
    """How clusters are named. `languages` (): those that the texts seem to be in."""

    disabled: bool = False
    keywords: int = 10
    max_words: int = 2
    languages: tuple[str, ...] = ()
    stop_words: tuple[str, ...] = ()
    names: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FitOptions:
    """How to cluster; `None` is what the method chooses."""

    method: Method = Method.KMEANS
    k: int | None = None
    min_k: int | None = None
    max_k: int | None = None
    seed: int = 0
    distance_threshold: float | None = None
    linkage: Linkage = Linkage.AVERAGE
    target_clusters: int | None = None
    min_cluster_size: int = 5
    noise_level: float = 0.5
    assign_noise: bool = False
    nearest_items: int = 5
    labels: LabelOptions = field(default_factory=LabelOptions)


@dataclass(frozen=True, slots=True)
class Keyword:
    """A word, or some, that stand more in a cluster than elsewhere; the best has weight 1."""

    term: str
    weight: float


@dataclass(frozen=True, slots=True)
class ItemRef:
    """An item as an example of a cluster: its similarity to the centroid, and the start of its text."""

    row: int
    similarity: float
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterInfo:
    """One cluster; see nearfield.v1.ClusterInfo."""

    id: int
    size: int
    name: str = ""
    name_similarity: float | None = None
    keywords: tuple[Keyword, ...] = ()
    medoid: ItemRef
    nearest: tuple[ItemRef, ...]
    cohesion: float
    radius: float
    silhouette: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """One layer of DENSITY; `parents`: places in the next one, -1 is noise there."""

    clusters: int
    noise_share: float
    silhouette: float
    persistence: float
    parents: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Merge:
    """Two groups that would be joined next, numbered as in scipy's linkage matrix."""

    left: int
    right: int
    distance: float
    size: int


@dataclass(frozen=True, slots=True)
class Trial:
    """A number of clusters that was tried."""

    k: int
    silhouette: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Quality:
    """How good a clustering is; `None`: not defined."""

    silhouette: float | None
    sample: int
    dbcv: float | None
    cohesion: float


@dataclass(frozen=True, slots=True)
class Lineage:
    """One change since the previous clustering; ids there and here."""

    change: Change
    previous: int | None
    current: int | None
    overlap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Fitted:
    """What a fit tells, but for the arrays. `options`: with what was chosen. `next_id`: what no cluster had yet."""

    options: FitOptions
    items: int
    noise: int
    clusters: tuple[ClusterInfo, ...]
    layer: int = 0
    layers: tuple[Layer, ...] = ()
    merges: tuple[Merge, ...] = ()
    trials: tuple[Trial, ...] = ()
    quality: Quality
    lineage: tuple[Lineage, ...] = ()
    next_id: int = 0
    warnings: tuple[str, ...] = ()
    stage_seconds: dict[str, float]
    peak_memory_bytes: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Arrays:
    """What a fit gives for each item and cluster.

    Attributes:
        clusters: id of each item's cluster, -1 for none; int32 [items].
        strengths: how certain that is, 0 to 1; float32 [items].
        nearest: id of the cluster of the nearest centroid; int32 [items].
        layers: of DENSITY the place in each layer, -1 for none; int32 [layers, items].
        centroids: unit rows; float32 [clusters, dimensions].
        deciles: of the cosine distances of items to the nearest centroid, as if each hadn't been part of it;
            float32 [9].
    """

    clusters: IntColumn
    strengths: FloatColumn
    nearest: IntColumn
    layers: npt.NDArray[np.int32]
    centroids: npt.NDArray[np.float32]
    deciles: FloatColumn
