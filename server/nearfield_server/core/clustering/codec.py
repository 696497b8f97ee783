"""Nouns of clustering to JSON and bytes, and back: between processes, and on the disk."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nearfield_server.core.clustering.nouns import Arrays, ClusterInfo, FitOptions, Fitted

__all__ = [
    "pack_arrays",
    "pack_clusters",
    "pack_fitted",
    "pack_options",
    "unpack_arrays",
    "unpack_clusters",
    "unpack_fitted",
    "unpack_options",
]

_OPTIONS = TypeAdapter(FitOptions)
_FITTED = TypeAdapter(Fitted)
_CLUSTERS = TypeAdapter(tuple[ClusterInfo, ...])


def pack_options(options: FitOptions) -> Any:
    """Give options as JSON has them."""
    return _OPTIONS.dump_python(options, mode="json")


def unpack_options(text: str | bytes) -> FitOptions:
    """Read them. Raises `ValueError`."""
    return _OPTIONS.validate_json(text)


def pack_fitted(fitted: Fitted) -> Any:
    """Give all but the arrays as JSON has it."""
    return _FITTED.dump_python(fitted, mode="json")


def unpack_fitted(content: Any) -> Fitted:
    """Read it. Raises `ValueError`."""
    return _FITTED.validate_json(json.dumps(content))


def pack_clusters(clusters: tuple[ClusterInfo, ...]) -> Any:
    """Give clusters as JSON has them."""
    return _CLUSTERS.dump_python(clusters, mode="json")


def unpack_clusters(content: Any) -> tuple[ClusterInfo, ...]:
    """Read them. Raises `ValueError`."""
    return _CLUSTERS.validate_json(json.dumps(content))


_NAMES = ("clusters", "strengths", "nearest", "layers", "centroids", "deciles")


def pack_arrays(arrays: Arrays) -> tuple[list[Any], bytes]:
    """Give where each array is, and all of them in one buffer."""
    layout, parts = [], []
    for name in _NAMES:
        one = np.ascontiguousarray(getattr(arrays, name))
        little = one.astype(one.dtype.newbyteorder("<"), copy=False)
        layout.append([name, little.dtype.str, list(one.shape)])
        parts.append(little.tobytes())
    return layout, b"".join(parts)


def unpack_arrays(layout: list[Any], data: bytes) -> Arrays:
    """Read them; they share the memory of `data`. Raises `ValueError`."""
    found: dict[str, Any] = {}
    at = 0
    for name, dtype, shape in layout:
        count = int(np.prod(shape, dtype=np.int64))
        found[name] = np.frombuffer(data, dtype, count, at).reshape(shape)
        at += found[name].nbytes
    return Arrays(**found)
