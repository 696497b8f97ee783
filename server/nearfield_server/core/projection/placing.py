"""New items into a kept map, which doesn't change by it. Pure.

A map by PCA has a matrix, which is exact. Other methods have none: an item goes to the median of the places of its
nearest among up to 10,000 items of the map. Not to their mean: some of them may lie elsewhere on the map, and the mean
would be where nothing is (docs/maps.md has figures). An item that is one of them goes to its place.
"""

from __future__ import annotations

import numpy as np

from nearfield_server.core.projection.nouns import MapArrays
from nearfield_server.types import FloatRows

__all__ = ["place"]

_NEIGHBORS = 5
_SAME_DISTANCE = 1e-6
"""Cosine distance under which rows are the same but for the rounding of float16."""


def place(rows: FloatRows, arrays: MapArrays) -> FloatRows:
    """Give the coordinates of some hundred unit rows, float32 [rows, components]: each is compared with all anchors."""
    if len(arrays.matrix):
        return np.asarray(rows @ arrays.matrix + arrays.offset, np.float32)
    anchors = arrays.anchors.astype(np.float32)
    anchors /= np.linalg.norm(anchors, axis=1, keepdims=True)
    similarities = rows @ anchors.T
    count = min(_NEIGHBORS, len(anchors))
    near = np.argpartition(-similarities, count - 1, axis=1)[:, :count]
    medians = np.median(arrays.places[near], axis=1)
    nearest = similarities.argmax(axis=1)
    same = similarities.max(axis=1) >= 1.0 - _SAME_DISTANCE
    return np.where(same[:, None], arrays.places[nearest], medians).astype(np.float32)
