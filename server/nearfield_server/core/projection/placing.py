"""New items into a kept map, which doesn't change by it. Pure.

A map by PCA has a matrix, which is exact. Other methods have none: an item goes among the nearest of up to 10,000 items
of the map, to the mean of their places, weighted so that only those count that are about as near as the nearest. An
item that is one of them goes to its place.
"""

from __future__ import annotations

import numpy as np

from nearfield_server.core.projection.nouns import MapArrays
from nearfield_server.types import FloatRows

__all__ = ["place"]

_NEIGHBORS = 5
_POWER = 4
"""Of the inverse distance: the places of an item's neighbours may lie far apart, and nothing lies between islands."""
_BLOCK_ROWS = 2048
_LEAST_DISTANCE = 1e-4


def place(rows: FloatRows, arrays: MapArrays) -> FloatRows:
    """Give the coordinates of unit rows, float32 [rows, components]."""
    if len(arrays.matrix):
        return np.asarray(rows @ arrays.matrix + arrays.offset, np.float32)
    anchors = arrays.anchors.astype(np.float32)
    blocks = [_among(rows[start : start + _BLOCK_ROWS], anchors, arrays) for start in range(0, len(rows), _BLOCK_ROWS)]
    return np.concatenate(blocks)


def _among(rows: FloatRows, anchors: FloatRows, arrays: MapArrays) -> FloatRows:
    similarities = rows @ anchors.T
    count = min(_NEIGHBORS, len(anchors))
    near = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
    distances = np.clip(1.0 - np.take_along_axis(similarities, near, axis=1), 0.0, 2.0)
    weights = (distances.min(axis=1, keepdims=True) + _LEAST_DISTANCE) / (distances + _LEAST_DISTANCE)
    weights **= _POWER
    weights /= weights.sum(axis=1, keepdims=True)
    return np.asarray(np.einsum("nk,nkc->nc", weights, arrays.places[near]), np.float32)
