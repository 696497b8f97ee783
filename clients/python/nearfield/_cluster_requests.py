"""Options of clusterings to messages, and errors about them back to the caller's names."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration

from nearfield._cluster_options import ClusterOptions
from nearfield._convert import check_options, enum_number
from nearfield._errors import ErrorFacts, NearfieldError
from nearfield._search_requests import filter_fields
from nearfield._search_types import FilterLike
from nearfield.v1 import cluster_pb2, types_pb2

__all__ = [
    "collection_message",
    "duration_message",
    "embedding_message",
    "is_about_item",
    "options_message",
    "placed",
    "renamed",
    "start_request",
]

_PLAIN = ("k", "min_k", "max_k", "distance_threshold", "target_clusters", "min_cluster_size", "noise_level")
_LISTS = ("languages", "stop_words", "names")
_PATHS = re.compile(r"\b(?:options\.)?(?:options|embedding)\.(?:labels\.)?(?=[a-z])")
_ITEM = re.compile(r"(?<![.\w])(?:items\.)?(inputs|vectors|ids)\[(\d+)\]")
_CALLERS = {"vectors": "inputs"}


def options_message(options: Mapping[str, Any]) -> cluster_pb2.ClusterOptions:
    """Give how to cluster; keys that aren't of `ClusterOptions` are passed over. Raises TypeError or ValueError."""
    message = cluster_pb2.ClusterOptions(
        assign_noise=options.get("assign_noise", False), previous=options.get("previous", "")
    )
    message.method = _enum(cluster_pb2.ClusterMethod, "CLUSTER_METHOD_", "method", options.get("method"))
    message.linkage = _enum(cluster_pb2.Linkage, "LINKAGE_", "linkage", options.get("linkage"))
    for name in (*_PLAIN, "nearest_items", "seed"):
        if (value := options.get(name)) is not None:
            _set(message, name, value)
    if options.get("keywords") == 0:
        message.labels.disabled = True
    for name in ("keywords", "max_words"):
        if value := options.get(name):
            _set(message.labels, name, value)
    for name in _LISTS:
        if isinstance(values := options.get(name, ()), str):
            raise TypeError(f"{name} is one str; give a list, such as [{values!r}]")
        getattr(message.labels, name).extend(values)
    return message


def embedding_message(options: Mapping[str, Any]) -> cluster_pb2.ClusterEmbedding:
    """Give how texts become vectors. Raises TypeError or ValueError."""
    message = cluster_pb2.ClusterEmbedding(model=options.get("model", ""))
    message.input_type = _enum(types_pb2.InputType, "INPUT_TYPE_", "input_type", options.get("input_type"))
    message.truncate = _enum(types_pb2.Truncate, "TRUNCATE_", "truncate", options.get("truncate"))
    if (dimensions := options.get("dimensions")) is not None:
        _set(message, "dimensions", dimensions)
    return message


def collection_message(
    collection: str,
    tenant: str = "",
    condition: FilterLike | None = None,
) -> cluster_pb2.ClusterCollection:
    """Give which points. Raises TypeError."""
    return cluster_pb2.ClusterCollection(collection=collection, tenant=tenant, **filter_fields(condition))


def duration_message(options: Mapping[str, Any]) -> Duration | None:
    """Give the time to keep; None: as the server does. Raises ValueError."""
    if not (seconds := options.get("keep_seconds") or 0.0):
        return None
    if not seconds > 0:
        raise ValueError(f"keep_seconds is {seconds}; it must be 0 or more")
    made = Duration()
    made.FromTimedelta(timedelta(seconds=seconds))
    return made


def start_request(
    collection: str,
    tenant: str,
    condition: FilterLike | None,
    options: ClusterOptions,
) -> cluster_pb2.StartClusteringRequest:
    """Make the request of a job. Raises TypeError or ValueError."""
    check_options(options, ClusterOptions)
    return cluster_pb2.StartClusteringRequest(
        options=options_message(options),
        collection=collection_message(collection, tenant, condition),
        ttl=duration_message(options),
    )


def renamed(error: NearfieldError) -> NearfieldError:
    """Give `error` with the caller's names for the fields of the request."""
    return _replaced(error, lambda text: re.sub(r"\bttl\b", "keep_seconds", _PATHS.sub("", text)))


def is_about_item(error: NearfieldError) -> bool:
    """Tell whether one item is blamed."""
    return any(_ITEM.search(path) for path, _ in error.field_violations)


def placed(error: NearfieldError, place: Callable[[int], int]) -> NearfieldError:
    """Give the error of a message with the caller's own indexes: item i of it was input `place(i)`."""

    def named(found: re.Match[str]) -> str:
        return f"{_CALLERS.get(found[1], found[1])}[{place(int(found[2]))}]"

    made = _replaced(error, lambda text: _ITEM.sub(named, text))
    if (index := made.metadata.get("index", "")).isdecimal():
        made.metadata["index"] = str(place(int(index)))
    return made


def _replaced(error: NearfieldError, change: Any) -> NearfieldError:
    facts = error.facts
    made = type(error)(
        change(error.message),
        ErrorFacts(
            details=facts.details,
            reason=facts.reason,
            metadata=facts.metadata,
            retry_delay=facts.retry_delay,
            field_violations=tuple((change(path), text) for path, text in facts.field_violations),
            request_id=facts.request_id,
        ),
    )
    made.__cause__ = error.__cause__
    return made


def _enum(wrapper: Any, prefix: str, option: str, value: str | None) -> Any:
    return enum_number(wrapper, prefix, option, value)


def _set(message: Any, name: str, value: Any) -> None:
    """Raises ValueError or TypeError that names the option, which protobuf's own don't."""
    try:
        setattr(message, name, value)
    except (TypeError, ValueError) as error:
        raise type(error)(f"{name} is {value!r}: {error}") from error
