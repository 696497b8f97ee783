"""A clustering: what it is, and with its clusters and where each item belongs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
import numpy.typing as npt

from nearfield._cluster_options import ClusterOptions
from nearfield._cluster_types import (
    Cluster,
    ClusterLayer,
    ClusterLineage,
    ClusterMerge,
    ClusterQuality,
    ClusterTrial,
)
from nearfield._errors import NearfieldError
from nearfield._search_types import Id

__all__ = ["Clustering", "ClusteringInfo"]

_NAME_WIDTH, _EXAMPLE_WIDTH = 32, 60


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class ClusteringInfo:
    """What a clustering is, without its clusters and labels.

    Attributes:
        id: its name, given by the server; "": it isn't kept.
        options: the options, with what was chosen, such as `k`.
        collection: collection that was clustered; "": none.
        model: model of the vectors; "": the caller's own vectors.
        model_version: version of that model.
        dimensions: width of the vectors.
        items: items that were clustered.
        dropped: points of the collection that were left out, for want of a direction (zero).
        noise: items in no cluster.
        cluster_count: how many clusters there are.
        layer: which of the layers is shown.
        layer_details: "density": its layers, fine to coarse.
        merges: "agglomerative": how the clusters would be joined further.
        trials: "kmeans" without `k`: what was tried.
        quality: how good it is.
        lineage: with `previous`: what became of its clusters.
        warnings: what the caller should know.
        stage_seconds: seconds that the stages took.
        peak_memory_bytes: greatest memory of the process that computed it.
        created_at: when it was computed.
        expires_at: when it is deleted; None: it isn't kept.
    """

    id: str
    options: ClusterOptions
    collection: str
    model: str
    model_version: str
    dimensions: int
    items: int
    dropped: int
    noise: int
    cluster_count: int
    layer: int
    layer_details: tuple[ClusterLayer, ...]
    merges: tuple[ClusterMerge, ...]
    trials: tuple[ClusterTrial, ...]
    quality: ClusterQuality
    lineage: tuple[ClusterLineage, ...]
    warnings: tuple[str, ...]
    stage_seconds: Mapping[str, float]
    peak_memory_bytes: int
    created_at: datetime
    expires_at: datetime | None

    def __repr__(self) -> str:
        """Sizes, method and id."""
        kept = f", id {self.id}" if self.id else ""
        return f"<{type(self).__name__} {self._sizes()}, {self.options.get('method')}{kept}>"

    def _sizes(self) -> str:
        plural = "" if self.cluster_count == 1 else "s"
        noise = f", {self.noise:,} in none" if self.noise else ""
        return f"{self.cluster_count:,} cluster{plural} of {self.items:,} items{noise}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False, repr=False)
class Clustering(ClusteringInfo):
    """A clustering: attributes of `ClusteringInfo` and these. Rows are in the order of the inputs.

    Attributes:
        labels: int32 [n], id of each input's cluster; -1: in none (noise, or it failed).
        strengths: float32 [n], how certain that is, 0 to 1.
        nearest: int32 [n], id of the cluster of the nearest centroid, also of noise.
        layers: int32 [layers, n], the cluster in each layer of "density"; of other methods [0, n].
        centroids: float32 [clusters, width], in the order of `clusters`.
        clusters: the clusters, largest first.
        ids: ids of the items, where they have some; None for an input that failed.
        failures: why inputs failed, by their position.
    """

    labels: npt.NDArray[np.int32]
    strengths: npt.NDArray[np.float32]
    nearest: npt.NDArray[np.int32]
    layers: npt.NDArray[np.int32]
    centroids: npt.NDArray[np.float32]
    clusters: tuple[Cluster, ...]
    ids: tuple[Id | None, ...] = ()
    failures: Mapping[int, NearfieldError] = field(default_factory=dict)

    def cluster(self, id: int) -> Cluster:  # noqa: A002
        """Give the cluster of that id. Raises KeyError."""
        for one in self.clusters:
            if one.id == id:
                return one
        raise KeyError(id)

    def members(self, id: int) -> npt.NDArray[np.intp]:  # noqa: A002
        """Give the positions of the inputs in the cluster of that id; -1: of those in none."""
        return np.flatnonzero(self.labels == id)

    def summary(self) -> str:
        """Write it as a text for people: a line per cluster, then how good it is."""
        lines = [f"{self._sizes()}, {self.options.get('method')}", f"{'id':>4} {'size':>7}  {'name':<32}  example"]
        for one in self.clusters:
            example = "" if one.medoid is None else _line(one.medoid.text or str(one.medoid.id or ""), _EXAMPLE_WIDTH)
            lines.append(f"{one.id:>4} {one.size:>7,}  {_line(one.name, _NAME_WIDTH):<32}  {example}".rstrip())
        silhouette = self.quality.silhouette
        known = "" if silhouette is None else f"silhouette {silhouette:.3f}, "
        lines.append(f"{known}cohesion {self.quality.cohesion:.3f}")
        if self.failures:
            lines.append(f"{len(self.failures):,} inputs failed")
        return "\n".join([*lines, *(f"warning: {one}" for one in self.warnings)])


def _line(text: str, width: int) -> str:
    line = " ".join(text.split())
    return line if len(line) <= width else line[: width - 1] + "…"
