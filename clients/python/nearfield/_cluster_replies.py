"""Messages about clusterings to nouns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

from google.longrunning import operations_pb2

from nearfield._cluster_options import ClusterOptions
from nearfield._cluster_types import (
    Cluster,
    ClusterChange,
    ClusterDrift,
    ClusterExample,
    ClusteringJob,
    ClusteringState,
    ClusterKeyword,
    ClusterLayer,
    ClusterLimits,
    ClusterLineage,
    ClusterMerge,
    ClusterQuality,
    ClusterTrial,
)
from nearfield._clustering import ClusteringInfo
from nearfield._convert import enum_name, seconds
from nearfield._errors import Cancelled, InternalError, NearfieldError
from nearfield._payload import id_of, instant_of
from nearfield._status import error_of_status
from nearfield.v1 import cluster_pb2

__all__ = ["cluster_of", "drift_of", "info_fields", "info_of", "job_of", "job_of_operation", "limits_of"]

_CHOSEN = (
    *("k", "min_k", "max_k", "distance_threshold", "target_clusters", "min_cluster_size", "noise_level"),
    "nearest_items",
)


def info_of(message: cluster_pb2.Clustering) -> ClusteringInfo:
    """Give what a clustering is."""
    return ClusteringInfo(**info_fields(message))


def info_fields(message: cluster_pb2.Clustering) -> dict[str, Any]:
    """Give the fields of a ClusteringInfo."""
    same = ("id", "collection", "model", "model_version", "dimensions", "items", "dropped", "noise", "layer")
    return {
        **{name: getattr(message, name) for name in same},
        "options": _options(message.options),
        "cluster_count": message.clusters,
        "layer_details": tuple(map(_layer, message.layers)),
        "merges": tuple(
            ClusterMerge(left=one.left, right=one.right, distance=one.distance, size=one.size) for one in message.merges
        ),
        "trials": tuple(ClusterTrial(k=one.k, silhouette=one.silhouette) for one in message.trials),
        "quality": ClusterQuality(
            silhouette=_given(message.quality, "silhouette"),
            sample=message.quality.sample,
            dbcv=_given(message.quality, "dbcv"),
            cohesion=message.quality.cohesion,
        ),
        "lineage": tuple(map(_lineage, message.lineage)),
        "warnings": tuple(message.warnings),
        "stage_seconds": dict(message.stage_seconds),
        "peak_memory_bytes": message.peak_memory_bytes,
        "created_at": instant_of(message.created_at),
        "expires_at": instant_of(message.expires_at) if message.HasField("expires_at") else None,
    }


def cluster_of(message: cluster_pb2.ClusterInfo, positions: Sequence[int] | None) -> Cluster:
    """Give a cluster; `positions` are those of the items in the caller's input, None: the same."""
    return Cluster(
        id=message.id,
        size=message.size,
        name=message.name,
        name_similarity=_given(message, "name_similarity"),
        keywords=tuple(ClusterKeyword(term=one.term, weight=one.weight) for one in message.keywords),
        medoid=_example(message.medoid, positions) if message.HasField("medoid") else None,
        nearest=tuple(_example(one, positions) for one in message.nearest),
        cohesion=message.cohesion,
        radius=message.radius,
        silhouette=_given(message, "silhouette"),
    )


def job_of(message: cluster_pb2.ClusteringProgress) -> ClusteringJob:
    """Give how far a clustering is."""
    state = enum_name(cluster_pb2.ClusteringState, "CLUSTERING_STATE_", message.state)
    error: NearfieldError | None = error_of_status(message.error) if message.HasField("error") else None
    if error is None and state == "cancelled":
        error = Cancelled(f"clustering {message.id} was cancelled")
    return ClusteringJob(
        id=message.id,
        state=cast("ClusteringState", state),
        stage=message.stage,
        fraction=message.fraction,
        remaining=message.remaining.ToTimedelta() if message.HasField("remaining") else None,
        items=message.items,
        error=error,
        attempts=message.attempts,
        created_at=instant_of(message.created_at) if message.HasField("created_at") else None,
        ended_at=instant_of(message.ended_at) if message.HasField("ended_at") else None,
    )


def job_of_operation(message: operations_pb2.Operation) -> ClusteringJob:
    """Give the job that an Operation is. Raises InternalError for one of another kind."""
    progress = cluster_pb2.ClusteringProgress()
    if not message.metadata.Unpack(progress):
        raise InternalError(f"{message.name} is no clustering: its metadata are {message.metadata.TypeName()}")
    return job_of(progress)


def limits_of(message: cluster_pb2.ClusterLimits) -> ClusterLimits:
    """Give what the server takes."""
    return ClusterLimits(
        max_items=message.max_items,
        max_agglomerative_items=message.max_agglomerative_items,
        max_memory_bytes=message.max_memory_bytes,
        max_keep_seconds=seconds(message.max_ttl),
        default_keep_seconds=seconds(message.default_ttl),
        max_kept=message.max_kept,
    )


def drift_of(message: cluster_pb2.ClusterDrift) -> ClusterDrift:
    """Give how unlike the latest items are."""
    return ClusterDrift(
        assigned=message.assigned,
        far=message.far,
        window=message.window,
        far_share=message.far_share,
        drift_ratio=message.drift_ratio,
        recluster_due=message.recluster_due,
    )


def _options(message: cluster_pb2.ClusterOptions) -> ClusterOptions:
    found: dict[str, Any] = {
        "method": enum_name(cluster_pb2.ClusterMethod, "CLUSTER_METHOD_", message.method),
        "seed": message.seed,
    }
    found |= {name: getattr(message, name) for name in _CHOSEN if message.HasField(name)}
    if message.linkage:
        found["linkage"] = enum_name(cluster_pb2.Linkage, "LINKAGE_", message.linkage)
    if message.assign_noise:
        found["assign_noise"] = True
    labels = message.labels
    found |= {name: getattr(labels, name) for name in ("keywords", "max_words") if labels.HasField(name)}
    if labels.disabled:
        found["keywords"] = 0
    found |= {name: list(values) for name in ("languages", "stop_words", "names") if (values := getattr(labels, name))}
    if message.previous:
        found["previous"] = message.previous
    return cast("ClusterOptions", found)


def _layer(message: cluster_pb2.ClusterLayer) -> ClusterLayer:
    return ClusterLayer(
        clusters=message.clusters,
        noise_share=message.noise_share,
        silhouette=message.silhouette,
        persistence=message.persistence,
        parents=tuple(message.parents),
    )


def _lineage(message: cluster_pb2.ClusterLineage) -> ClusterLineage:
    return ClusterLineage(
        change=cast("ClusterChange", enum_name(cluster_pb2.ClusterChange, "CLUSTER_CHANGE_", message.change)),
        previous=_given(message, "previous"),
        current=_given(message, "current"),
        overlap=message.overlap,
    )


def _example(message: cluster_pb2.ClusterItem, positions: Sequence[int] | None) -> ClusterExample:
    return ClusterExample(
        index=message.index if positions is None else positions[message.index],
        similarity=message.similarity,
        id=id_of(message.id) if message.HasField("id") else None,
        text=message.text,
    )


def _given(message: Any, name: str) -> Any:
    return getattr(message, name) if message.HasField(name) else None
