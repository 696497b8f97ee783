"""Requests to ClusterService to calls."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from google.protobuf.message import DecodeError

from nearfield.v1 import cluster_pb2
from nearfield_server.core.clustering.calls import AssignCall, ClusterCall
from nearfield_server.core.clustering.nouns import FitOptions, LabelOptions, Linkage, Method
from nearfield_server.core.computing.items import Caller
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, item_convert
from nearfield_server.rpc.enums import CLUSTER_METHODS, LINKAGES
from nearfield_server.types import Limits

__all__ = ["PREFIX", "assign_call", "cluster_call", "id_of", "start_call_of", "stream_call"]

PREFIX = "operations/"
"""What the names of Operations begin with."""
_DEFAULTS = FitOptions()
_MAX_K = 65_536
_MAX_NEAREST, _MAX_KEYWORDS, _MAX_WORDS = 100, 50, 4
_MAX_LISTED = 10_000
_MAX_DISTANCE = 4.0
_T = TypeVar("_T", int, float)

_OF_METHOD = {
    Method.KMEANS: {"k", "min_k", "max_k"},
    Method.DENSITY: {"target_clusters", "min_cluster_size", "noise_level", "assign_noise"},
    Method.AGGLOMERATIVE: {"k", "distance_threshold", "linkage"},
}
"""Options that only some methods have."""


def cluster_call(
    request: cluster_pb2.ClusterRequest, limits: Limits, most: int, max_ttl: float, caller: Caller
) -> ClusterCall:
    """Check a request of Cluster; `most` items. Raises `InvalidInput` or `TextTooLong`."""
    match request.WhichOneof("source"):
        case "items":
            source: Any = item_convert.items("items", request.items, limits, most)
        case "collection":
            source = item_convert.collection_source("collection", request.collection)
        case _:
            raise InvalidInput("source", "set items or collection")
    return ClusterCall(
        options=_options("options", request.options),
        embedding=item_convert.embedding("embedding", request.embedding),
        source=source,
        previous=id_of("options.previous", request.options.previous),
        ttl_seconds=item_convert.seconds("ttl", request, max_ttl),
        caller=caller,
    )


def stream_call(message: cluster_pb2.ClusterStreamOptions, max_ttl: float, caller: Caller) -> ClusterCall:
    """Check the first message of ClusterStream. Raises `InvalidInput`."""
    return ClusterCall(
        options=_options("options.options", message.options),
        embedding=item_convert.embedding("options.embedding", message.embedding, bulk=True),
        source=None,
        previous=id_of("options.options.previous", message.options.previous),
        ttl_seconds=item_convert.seconds("ttl", message, max_ttl),
        caller=caller,
    )


def start_call_of(request: bytes, *, max_ttl: float, default_ttl: float) -> ClusterCall:
    """Check a request of StartClustering, as it was noted. Raises `InvalidInput`."""
    try:
        message = cluster_pb2.StartClusteringRequest.FromString(request)
    except DecodeError:
        raise InvalidInput("", "the bytes are no StartClusteringRequest") from None
    return ClusterCall(
        options=_options("options", message.options),
        embedding=item_convert.embedding("embedding", cluster_pb2.ClusterEmbedding()),
        source=item_convert.collection_source("collection", message.collection),
        previous=id_of("options.previous", message.options.previous),
        ttl_seconds=item_convert.seconds("ttl", message, max_ttl) or default_ttl,
    )


def assign_call(request: cluster_pb2.AssignRequest, limits: Limits, caller: Caller) -> AssignCall:
    """Check a request of Assign. Raises `InvalidInput` or `TextTooLong`."""
    if not request.id:
        raise InvalidInput("id", "must name a clustering (ListClusterings tells the ids)")
    return AssignCall(
        id=id_of("id", request.id),
        items=item_convert.items("items", request.items, limits, limits.max_inputs),
        dry_run=request.dry_run,
        caller=caller,
    )


def id_of(field: str, name: str) -> str:
    """Give the id of a clustering, which may be named by its Operation. Raises `InvalidInput`."""
    return convert.check_model_name(field, name).removeprefix(PREFIX)


def _options(path: str, message: cluster_pb2.ClusterOptions) -> FitOptions:
    method = convert.enum_value(f"{path}.method", message.method, CLUSTER_METHODS, Method.KMEANS)
    for name in sorted(set().union(*_OF_METHOD.values()) - _OF_METHOD[method]):
        if _is_set(message, name):
            names = " and ".join(one.name for one, known in _OF_METHOD.items() if name in known)
            raise InvalidInput(f"{path}.{name}", f"is an option of {names}; the method is {method.name}")
    if message.HasField("k") and (message.HasField("min_k") or message.HasField("max_k")):
        raise InvalidInput(f"{path}.k", "goes without min_k and max_k, which are for choosing it")
    if message.HasField("k") and message.HasField("distance_threshold"):
        raise InvalidInput(f"{path}.k", "give k or distance_threshold, not both")
    options = FitOptions(
        method=method,
        k=_number(path, message, "k", (1, _MAX_K), None),
        min_k=_number(path, message, "min_k", (2, _MAX_K), None),
        max_k=_number(path, message, "max_k", (2, _MAX_K), None),
        seed=message.seed,
        distance_threshold=_number(path, message, "distance_threshold", (0.0, _MAX_DISTANCE), None),
        linkage=convert.enum_value(f"{path}.linkage", message.linkage, LINKAGES, Linkage.AVERAGE),
        target_clusters=_number(path, message, "target_clusters", (1, _MAX_K), None),
        min_cluster_size=_number(path, message, "min_cluster_size", (2, 1_000_000), _DEFAULTS.min_cluster_size),
        noise_level=_number(path, message, "noise_level", (0.0, 1.0), _DEFAULTS.noise_level),
        assign_noise=message.assign_noise,
        nearest_items=_number(path, message, "nearest_items", (1, _MAX_NEAREST), _DEFAULTS.nearest_items),
        labels=_labels(f"{path}.labels", message.labels),
    )
    if options.min_k is not None and options.max_k is not None and options.min_k > options.max_k:
        raise InvalidInput(f"{path}.min_k", f"{options.min_k} is over max_k, {options.max_k}")
    if options.distance_threshold == 0.0:
        raise InvalidInput(f"{path}.distance_threshold", "must be greater than 0")
    return options


def _labels(path: str, message: cluster_pb2.ClusterLabelOptions) -> LabelOptions:
    return LabelOptions(
        disabled=message.disabled,
        keywords=_number(path, message, "keywords", (1, _MAX_KEYWORDS), _DEFAULTS.labels.keywords),
        max_words=_number(path, message, "max_words", (1, _MAX_WORDS), _DEFAULTS.labels.max_words),
        languages=_listed(f"{path}.languages", message.languages),
        stop_words=_listed(f"{path}.stop_words", message.stop_words),
        names=_listed(f"{path}.names", message.names),
    )


def _listed(path: str, values: Sequence[str]) -> tuple[str, ...]:
    if len(values) > _MAX_LISTED:
        raise InvalidInput(path, f"{len(values)} of them; at most {_MAX_LISTED}", limit=_MAX_LISTED)
    for index, value in enumerate(values):
        if not len(value.strip()) >= 1 or len(value) > convert.MAX_NAME:
            raise InvalidInput(f"{path}[{index}]", f"must have 1 to {convert.MAX_NAME} characters")
    return tuple(dict.fromkeys(values))


def _is_set(message: Any, name: str) -> bool:
    return (
        bool(message.HasField(name))
        if message.DESCRIPTOR.fields_by_name[name].has_presence
        else bool(getattr(message, name))
    )


def _number(path: str, message: Any, name: str, bounds: tuple[_T, _T], default: Any) -> Any:
    """Give an optional number within bounds, or `default`. NaN is outside of any."""
    if not message.HasField(name):
        return default
    value = getattr(message, name)
    if not bounds[0] <= value <= bounds[1]:
        raise InvalidInput(f"{path}.{name}", f"must be {bounds[0]:g} to {bounds[1]:g}", limit=bounds[1])
    return value
