"""Nouns of projection to JSON and bytes, and back: between processes, and on the disk."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from pydantic import TypeAdapter

from nearfield_server.core.projection.nouns import MapArrays, Projected, ProjectOptions

__all__ = [
    "pack_arrays",
    "pack_options",
    "pack_projected",
    "unpack_arrays",
    "unpack_options",
    "unpack_projected",
]

_OPTIONS = TypeAdapter(ProjectOptions)
_PROJECTED = TypeAdapter(Projected)
_DTYPES = {"coordinates": "<f4", "anchors": "<f2", "places": "<f4", "matrix": "<f4", "offset": "<f4"}


def pack_options(options: ProjectOptions) -> Any:
    """Give options as JSON has them."""
    return _OPTIONS.dump_python(options, mode="json")


def unpack_options(content: Any) -> ProjectOptions:
    """Read them. Raises `ValueError`."""
    return _OPTIONS.validate_json(json.dumps(content))


def pack_projected(projected: Projected) -> Any:
    """Give all but the arrays as JSON has it."""
    return _PROJECTED.dump_python(projected, mode="json")


def unpack_projected(content: Any) -> Projected:
    """Read it. Raises `ValueError`."""
    return _PROJECTED.validate_json(json.dumps(content))


def pack_arrays(arrays: MapArrays) -> tuple[dict[str, list[int]], bytes]:
    """Give the shape of each array, and all of them in one buffer."""
    found = {name: np.ascontiguousarray(getattr(arrays, name), dtype) for name, dtype in _DTYPES.items()}
    return {name: list(one.shape) for name, one in found.items()}, b"".join(one.tobytes() for one in found.values())


def unpack_arrays(shapes: dict[str, list[int]], data: bytes) -> MapArrays:
    """Read them; they share the memory of `data`. Raises `ValueError`."""
    found: dict[str, Any] = {}
    at = 0
    for name, dtype in _DTYPES.items():
        count = int(np.prod(shapes[name], dtype=np.int64))
        found[name] = np.frombuffer(data, dtype, count, at).reshape(shapes[name])
        at += found[name].nbytes
    if at != len(data):
        raise ValueError(f"{len(data)} bytes for arrays of {at}")
    return MapArrays(**found)
