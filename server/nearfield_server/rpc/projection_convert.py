"""Requests for maps to calls, and maps to messages, in parts that are under the limit of a reply."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from nearfield.v1 import cluster_pb2
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.projection.nouns import ProjectCall, Projection, ProjectionHead, ProjectOptions, Way
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, item_convert, payload, replies
from nearfield_server.rpc.enums import PROJECTION_METHODS, TO_PROJECTION_METHOD
from nearfield_server.types import DType

__all__ = ["head_message", "id_of", "pages", "project_call"]

_COMPONENTS = (2, 3)
_MIN_NEIGHBORS, _MAX_NEIGHBORS = 2, 200
_FRAME_BYTES = 64 * 1024
_WITH_PROJECTION = {"projection", "collection"}


def project_call(message: cluster_pb2.ProjectOptions, max_ttl: float, caller: Caller) -> ProjectCall:
    """Check the first message of Project. Raises `InvalidInput`."""
    source = None
    if message.HasField("collection"):
        source = item_convert.collection_source("options.collection", message.collection)
    projection = convert.check_model_name("options.projection", message.projection)
    if projection:
        for field, _ in message.ListFields():
            if field.name not in _WITH_PROJECTION:
                text = "goes without projection: a kept map is as it was made; leave it out, or make a new one"
                raise InvalidInput(f"options.{field.name}", text)
    return ProjectCall(
        options=_options(message),
        embedding=item_convert.embedding("options.embedding", message.embedding, bulk=True),
        collection=source,
        ttl_seconds=_ttl(message, max_ttl),
        projection=projection,
        caller=caller,
    )


def _options(message: cluster_pb2.ProjectOptions) -> ProjectOptions:
    method = convert.enum_value("options.method", message.method, PROJECTION_METHODS, Way.PACMAP)
    components = message.components or _COMPONENTS[0]
    if components not in _COMPONENTS:
        raise InvalidInput("options.components", f"must be 2 or 3, not {components}", limit=_COMPONENTS[-1])
    if message.neighbors and method is Way.PCA:
        raise InvalidInput("options.neighbors", "is an option of PACMAP, UMAP and TSNE; the method is PCA")
    if message.neighbors and not _MIN_NEIGHBORS <= message.neighbors <= _MAX_NEIGHBORS:
        text = f"must be {_MIN_NEIGHBORS} to {_MAX_NEIGHBORS}, or 0: as the method does"
        raise InvalidInput("options.neighbors", text, limit=_MAX_NEIGHBORS)
    return ProjectOptions(method=method, components=components, seed=message.seed, neighbors=message.neighbors)


def _ttl(message: cluster_pb2.ProjectOptions, max_ttl: float) -> float:
    try:
        return item_convert.seconds("ttl", message, max_ttl)
    except InvalidInput as error:
        raise InvalidInput("options.ttl", error.violations[0].description, **error.metadata) from None


def id_of(field: str, name: str) -> str:
    """Give the id of a projection. Raises `InvalidInput`."""
    if not name:
        raise InvalidInput(field, "must name a projection (ListProjections tells the ids)")
    return convert.check_model_name(field, name)


def head_message(head: ProjectionHead) -> cluster_pb2.Projection:
    """Give what a map is."""
    projected, origin = head.projected, head.origin
    message = cluster_pb2.Projection(
        id=head.id,
        method=TO_PROJECTION_METHOD[projected.options.method],
        components=projected.options.components,
        seed=projected.options.seed,
        neighbors=projected.options.neighbors,
        collection=origin.collection,
        model=origin.model,
        model_version=origin.model_version,
        dimensions=origin.dimensions,
        items=projected.items,
        dropped=origin.dropped,
        trustworthiness=projected.trustworthiness,
        warnings=projected.warnings,
        stage_seconds=projected.stage_seconds,
        peak_memory_bytes=projected.peak_memory_bytes,
    )
    message.created_at.FromDatetime(head.created_at)
    if head.expires_at is not None:
        message.expires_at.FromDatetime(head.expires_at)
    return message


def pages(one: Projection, max_bytes: int) -> Iterator[cluster_pb2.CoordinatePage]:
    """Give where all items are, in pages of at most so many bytes."""
    start, count = 0, len(one.coordinates)
    step = max(1, (max_bytes - _FRAME_BYTES) // (4 * one.coordinates.shape[1] + 8 + (600 if one.ids else 0)))
    while start < count:
        end = min(start + step, count)
        yield cluster_pb2.CoordinatePage(
            offset=start,
            ids=[payload.point_id_message(id_) for id_ in one.ids[start:end]],
            coordinates=replies.matrix(one.coordinates[start:end], DType.FLOAT32),
            positions=np.ascontiguousarray(one.positions[start:end], "<u8").tobytes(),
        )
        start = end
