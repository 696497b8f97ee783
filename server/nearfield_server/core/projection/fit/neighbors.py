"""The nearest neighbours of unit rows by faiss: exact, and from some size on in cells. It is repeatable."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows

__all__ = ["nearest"]

_EXACT_ROWS = 50_000
_BLOCK_ROWS = 2048
_PROBED = 24
"""Cells that are looked into for each row."""


def nearest(
    rows: FloatRows, count: int, told: Callable[[float], None], *, exact_rows: int = _EXACT_ROWS
) -> tuple[npt.NDArray[np.int32], FloatRows]:
    """Give the nearest `count` others of each row, nearest first, and how far they are (Euclidean); [rows, count]."""
    index = _index(rows, exact_rows)
    found = np.empty((len(rows), count), np.int32)
    distances = np.empty((len(rows), count), np.float32)
    for start in range(0, len(rows), _BLOCK_ROWS):
        block = slice(start, min(start + _BLOCK_ROWS, len(rows)))
        similarities, near = index.search(rows[block], count + 1)
        found[block], kept = _others(near, similarities, np.arange(block.start, block.stop))
        distances[block] = np.sqrt(np.clip(2.0 - 2.0 * kept, 0.0, 4.0))
        told(block.stop / len(rows))
    return found, distances


def _index(rows: FloatRows, exact_rows: int) -> Any:
    width = rows.shape[1]
    if len(rows) <= exact_rows:
        index: Any = faiss.IndexFlatIP(width)
    else:
        cells = int(np.sqrt(len(rows)))
        index = faiss.IndexIVFFlat(faiss.IndexFlatIP(width), width, cells, faiss.METRIC_INNER_PRODUCT)
        index.cp.min_points_per_centroid = 1
        index.train(rows)
        index.nprobe = min(cells, _PROBED)
    index.add(rows)
    return index


def _others(
    near: npt.NDArray[np.int64], similarities: FloatRows, own: npt.NDArray[np.int64]
) -> tuple[npt.NDArray[np.int32], FloatRows]:
    """Take each row out of its own neighbours; where it isn't among them, the last one goes."""
    self_at = np.where(near == own[:, None], 0, 1).argmin(axis=1)
    self_at[near[np.arange(len(near)), self_at] != own] = near.shape[1] - 1
    kept = np.ones(near.shape, bool)
    kept[np.arange(len(near)), self_at] = False
    others = near[kept].reshape(len(near), -1)
    values = similarities[kept].reshape(len(near), -1)
    # A cell may hold too few: the nearest one stands for those that are missing.
    missing = others < 0
    others = np.where(missing, np.where(others[:, :1] < 0, np.abs(own[:, None] - 1), others[:, :1]), others)
    values = np.where(missing, np.where(missing[:, :1], 0.0, values[:, :1]), values)
    return others.astype(np.int32), values.astype(np.float32)
