"""The nouns of clusterings: clusters, how good they are, what became of earlier ones, and jobs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nearfield._errors import NearfieldError
from nearfield._search_types import Id

__all__ = [
    "Assignment",
    "Cluster",
    "ClusterChange",
    "ClusterDrift",
    "ClusterExample",
    "ClusterKeyword",
    "ClusterLayer",
    "ClusterLimits",
    "ClusterLineage",
    "ClusterMerge",
    "ClusterQuality",
    "ClusterTrial",
    "ClusteringJob",
    "ClusteringState",
]

ClusteringState: TypeAlias = Literal["unspecified", "queued", "running", "done", "failed", "cancelled"]
ClusterChange: TypeAlias = Literal["unspecified", "continued", "new", "split", "merged", "gone"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterKeyword:
    """Words that stand more in a cluster than elsewhere; the best of a cluster has weight 1."""

    term: str
    weight: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterExample:
    """An item of a cluster: its position in the input, its similarity to the centroid; id and text where it has them.

    Texts are cut after 500 characters.
    """

    index: int
    similarity: float
    id: Id | None = None
    text: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cluster:
    """One cluster.

    Attributes:
        id: what labels name; 0, 1, … from the largest on, unless `previous` was given.
        size: items in it.
        name: of `names` the nearest, else the first keywords; "" without texts.
        name_similarity: of the name to the centroid; None: it isn't one of `names`.
        keywords: best first.
        medoid: the item nearest to the centroid.
        nearest: the items nearest to the centroid, no text twice.
        cohesion: mean similarity of its items to its centroid.
        radius: cosine distance up to which `assign` takes items in.
        silhouette: mean of its items in the sample, -1 to 1; None: none is in it.
    """

    id: int
    size: int
    name: str
    name_similarity: float | None
    keywords: tuple[ClusterKeyword, ...]
    medoid: ClusterExample | None
    nearest: tuple[ClusterExample, ...]
    cohesion: float
    radius: float
    silhouette: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLayer:
    """One layer of "density"; `parents` are the clusters of the next layer that hold most of each of its own, or -1."""

    clusters: int
    noise_share: float
    silhouette: float
    persistence: float
    parents: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterMerge:
    """Two groups that would be joined next, numbered as in scipy's linkage matrix."""

    left: int
    right: int
    distance: float
    size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterTrial:
    """A number of clusters that was tried, and its silhouette."""

    k: int
    silhouette: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterQuality:
    """How good a clustering is.

    Attributes:
        silhouette: mean over a sample without noise, -1 to 1; None: fewer than two clusters.
        sample: items in that sample.
        dbcv: density-based validity, -1 to 1, of "density"; None: not defined.
        cohesion: mean similarity of items to the centroid of their cluster.
    """

    silhouette: float | None
    sample: int
    dbcv: float | None
    cohesion: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLineage:
    """What became of a cluster of the previous clustering: its id there and here, and the share that both have."""

    change: ClusterChange
    previous: int | None
    current: int | None
    overlap: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterLimits:
    """What the server takes.

    Attributes:
        max_items: items of one Cluster call; streams and jobs take more.
        max_agglomerative_items: items of "agglomerative".
        max_memory_bytes: memory that one clustering may take.
        max_keep_seconds: longest time to keep one.
        default_keep_seconds: time that results of `start_clustering` are kept where the caller says nothing.
        max_kept: clusterings that may be kept.
    """

    max_items: int
    max_agglomerative_items: int
    max_memory_bytes: int
    max_keep_seconds: float
    default_keep_seconds: float
    max_kept: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusteringJob:
    """How far a clustering is.

    Attributes:
        id: of the clustering that it makes; "": it won't be kept.
        state: "queued", "running", "done", "failed" or "cancelled".
        stage: what is being done, for people.
        fraction: share of the work that is done, 0 to 1, an estimate.
        remaining: time that is left, an estimate; None: not known.
        items: items taken in.
        error: why it failed or was cancelled.
        attempts: how often it was begun; over 1: the server's end cut it off.
        created_at: when it was asked for; None: not a job.
        ended_at: when it ended; None: it hasn't.
    """

    id: str
    state: ClusteringState
    stage: str
    fraction: float
    remaining: timedelta | None
    items: int
    error: NearfieldError | None
    attempts: int
    created_at: datetime | None
    ended_at: datetime | None

    @property
    def has_ended(self) -> bool:
        """Whether it is over."""
        return self.state in {"done", "failed", "cancelled"}


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterDrift:
    """How unlike the clustered items the latest assigned ones are, since the server started.

    Attributes:
        assigned: items that were assigned.
        far: of them, those that belong nowhere.
        window: latest items that are looked at, at most 1,000.
        far_share: share of them that belong nowhere; about 0.01 is usual.
        drift_ratio: over 1: they are unlike those that were clustered; 0 while the window has fewer than 100.
        recluster_due: whether clustering anew is due.
    """

    assigned: int
    far: int
    window: int
    far_share: float
    drift_ratio: float
    recluster_due: bool


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Assignment:
    """Where new items belong.

    Attributes:
        labels: int32 [n], id of each item's cluster, -1: further away than any cluster reaches.
        nearest: int32 [n], id of the cluster of the nearest centroid, whatever `labels` says.
        strengths: float32 [n], 1 - d1 / d2 for the cosine distances to the nearest and the next centroid.
        distances: float32 [n], cosine distance to the nearest centroid.
        drift: whether the latest items are still like those that were clustered.
    """

    labels: npt.NDArray[np.int32]
    nearest: npt.NDArray[np.int32]
    strengths: npt.NDArray[np.float32]
    distances: npt.NDArray[np.float32]
    drift: ClusterDrift

    def __repr__(self) -> str:
        """Items, and how many belong nowhere."""
        return f"<Assignment of {len(self.labels):,} items, {int((self.labels < 0).sum()):,} in no cluster>"
