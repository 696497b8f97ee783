"""Clusterings to messages, in parts that are under the limit of a reply."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
from google.rpc.status_pb2 import Status

from nearfield.v1 import cluster_pb2
from nearfield_server.core.clustering.calls import Assigned, Clustering, Head
from nearfield_server.core.clustering.jobs import ClusterJob, JobState
from nearfield_server.core.clustering.nouns import ClusterInfo, FitOptions, Fitted, ItemRef, Lineage, Method
from nearfield_server.rpc import payload, replies
from nearfield_server.rpc.enums import CLUSTER_CHANGES, CLUSTER_STATES, TO_CLUSTER_METHOD, TO_LINKAGE
from nearfield_server.rpc.status import past_status
from nearfield_server.types import DType

__all__ = [
    "assign_response",
    "assignment_page",
    "assignment_pages",
    "cluster_page",
    "cluster_pages",
    "failed",
    "head_message",
    "job_progress",
]

_FRAME_BYTES = 64 * 1024


def head_message(head: Head) -> cluster_pb2.Clustering:
    """Give what a clustering is."""
    fitted, origin = head.fitted, head.origin
    message = cluster_pb2.Clustering(
        id=head.id,
        options=_options(fitted.options, head.previous),
        collection=origin.collection,
        model=origin.model,
        model_version=origin.model_version,
        dimensions=origin.dimensions,
        items=fitted.items,
        dropped=origin.dropped,
        noise=fitted.noise,
        clusters=head.clusters,
        layer=fitted.layer,
        layers=[
            cluster_pb2.ClusterLayer(
                clusters=one.clusters,
                noise_share=one.noise_share,
                silhouette=one.silhouette,
                persistence=one.persistence,
                parents=one.parents,
            )
            for one in fitted.layers
        ],
        merges=[
            cluster_pb2.ClusterMerge(left=one.left, right=one.right, distance=one.distance, size=one.size)
            for one in fitted.merges
        ],
        trials=[cluster_pb2.ClusterTrial(k=one.k, silhouette=one.silhouette) for one in fitted.trials],
        quality=_quality(fitted),
        lineage=map(_lineage, fitted.lineage),
        warnings=fitted.warnings,
        stage_seconds=fitted.stage_seconds,
        peak_memory_bytes=fitted.peak_memory_bytes,
    )
    message.created_at.FromDatetime(head.created_at)
    if head.expires_at is not None:
        message.expires_at.FromDatetime(head.expires_at)
    return message


def cluster_page(one: Clustering, start: int, end: int) -> cluster_pb2.ClusterPage:
    """Give some of the clusters."""
    return cluster_pb2.ClusterPage(
        offset=start,
        clusters=[_cluster(info, one) for info in one.clusters[start:end]],
        centroids=replies.matrix(one.arrays.centroids[start:end], DType.FLOAT32),
    )


def cluster_pages(one: Clustering, max_bytes: int) -> Iterator[cluster_pb2.ClusterPage]:
    """Give all clusters, in pages of at most so many bytes."""
    start, count = 0, len(one.clusters)
    step = max(1, (max_bytes - _FRAME_BYTES) // (one.arrays.centroids.shape[1] * 4 + 4096))
    while start < count:
        page = cluster_page(one, start, min(start + step, count))
        if page.ByteSize() > max_bytes and len(page.clusters) > 1:
            step = max(1, len(page.clusters) // 2)
            continue
        yield page
        start += len(page.clusters)


def assignment_page(one: Clustering, start: int, end: int) -> cluster_pb2.AssignmentPage:
    """Give where some of the items belong."""
    arrays = one.arrays
    return cluster_pb2.AssignmentPage(
        offset=start,
        ids=[payload.point_id_message(id_) for id_ in one.ids[start:end]],
        clusters=_bytes(arrays.clusters[start:end], "<i4"),
        strengths=_bytes(arrays.strengths[start:end], "<f4"),
        nearest=_bytes(arrays.nearest[start:end], "<i4"),
        layers=[_bytes(layer[start:end], "<i4") for layer in arrays.layers],
        positions=_bytes(one.positions[start:end], "<u8"),
    )


def assignment_pages(one: Clustering, max_bytes: int) -> Iterator[cluster_pb2.AssignmentPage]:
    """Give where all items belong, in pages of at most so many bytes."""
    start, count = 0, len(one.arrays.clusters)
    step = max(1, (max_bytes - _FRAME_BYTES) // (24 + 4 * len(one.arrays.layers) + (600 if one.ids else 0)))
    while start < count:
        end = min(start + step, count)
        yield assignment_page(one, start, end)
        start = end


def job_progress(job: ClusterJob) -> cluster_pb2.ClusteringProgress:
    """Give how far a job is."""
    message = cluster_pb2.ClusteringProgress(
        id=job.id,
        state=CLUSTER_STATES[job.state],
        stage=job.stage,
        fraction=job.fraction,
        items=job.items,
        attempts=job.attempts,
    )
    if (left := job.remaining_seconds) is not None:
        message.remaining.FromMilliseconds(round(left * 1000))
    if job.state is JobState.FAILED:
        message.error.CopyFrom(failed(job))
    message.created_at.FromDatetime(job.created_at)
    if job.ended_at is not None:
        message.ended_at.FromDatetime(job.ended_at)
    return message


def failed(job: ClusterJob) -> Status:
    """Give the status of a FAILED job."""
    return past_status(*(job.error or ("", "it failed")))


def assign_response(found: Assigned) -> cluster_pb2.AssignResponse:
    """Give where items belong."""
    drift = found.drift
    return cluster_pb2.AssignResponse(
        clusters=_bytes(found.clusters, "<i4"),
        nearest=_bytes(found.nearest, "<i4"),
        strengths=_bytes(found.strengths, "<f4"),
        distances=_bytes(found.distances, "<f4"),
        drift=cluster_pb2.ClusterDrift(
            assigned=drift.assigned,
            far=drift.far,
            window=drift.window,
            far_share=drift.far_share,
            drift_ratio=drift.drift_ratio,
            recluster_due=drift.recluster_due,
        ),
    )


def _cluster(info: ClusterInfo, of: Clustering) -> cluster_pb2.ClusterInfo:
    return cluster_pb2.ClusterInfo(
        id=info.id,
        size=info.size,
        name=info.name,
        name_similarity=info.name_similarity,
        keywords=[cluster_pb2.ClusterKeyword(term=one.term, weight=one.weight) for one in info.keywords],
        medoid=_item(info.medoid, of),
        nearest=[_item(one, of) for one in info.nearest],
        cohesion=info.cohesion,
        radius=info.radius,
        silhouette=info.silhouette,
    )


def _item(one: ItemRef, of: Clustering) -> cluster_pb2.ClusterItem:
    id_ = payload.point_id_message(of.ids[one.row]) if of.ids else None
    index = int(of.positions[one.row]) if len(of.positions) else one.row
    return cluster_pb2.ClusterItem(index=index, id=id_, text=one.text, similarity=one.similarity)


def _quality(fitted: Fitted) -> cluster_pb2.ClusterQuality:
    one = fitted.quality
    return cluster_pb2.ClusterQuality(
        silhouette=one.silhouette, sample=one.sample, dbcv=one.dbcv, cohesion=one.cohesion
    )


def _lineage(one: Lineage) -> cluster_pb2.ClusterLineage:
    return cluster_pb2.ClusterLineage(
        change=CLUSTER_CHANGES[one.change], previous=one.previous, current=one.current, overlap=one.overlap
    )


def _options(options: FitOptions, previous: str) -> cluster_pb2.ClusterOptions:
    """Give the options of the method that was used."""
    labels = options.labels
    message = cluster_pb2.ClusterOptions(
        method=TO_CLUSTER_METHOD[options.method],
        seed=options.seed,
        nearest_items=options.nearest_items,
        labels=cluster_pb2.ClusterLabelOptions(
            disabled=labels.disabled,
            keywords=labels.keywords,
            max_words=labels.max_words,
            languages=labels.languages,
            stop_words=labels.stop_words,
            names=labels.names,
        ),
        previous=previous,
    )
    if options.method is Method.DENSITY:
        message.min_cluster_size = options.min_cluster_size
        message.noise_level = options.noise_level
        message.assign_noise = options.assign_noise
        names: tuple[str, ...] = ("target_clusters",)
    elif options.method is Method.AGGLOMERATIVE:
        message.linkage = TO_LINKAGE[options.linkage]
        names = ("k", "distance_threshold")
    else:
        names = ("k", "min_k", "max_k")
    for name in names:
        if (value := getattr(options, name)) is not None:
            setattr(message, name, value)
    return message


def _bytes(values: np.ndarray[Any, np.dtype[Any]], dtype: str) -> bytes:
    return np.ascontiguousarray(values, dtype).tobytes()
