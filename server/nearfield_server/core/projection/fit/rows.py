"""Rows put into an order of their own, each different one once: so neither the input's order nor duplicates matter."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows

__all__ = ["Distinct", "distinct"]


@dataclass(frozen=True, slots=True)
class Distinct:
    """Rows that differ; `of`: which of them each row of the input is; `counts`: how often each is there."""

    rows: FloatRows
    of: npt.NDArray[np.int64]
    counts: npt.NDArray[np.int64]


def distinct(rows: FloatRows, keys: Sequence[str]) -> Distinct:
    """Give the rows that differ, in the order of `keys`; where there are none, in that of their own bytes."""
    whole = np.ascontiguousarray(rows)
    as_bytes = whole.view(np.dtype((np.void, whole.shape[1] * whole.itemsize))).ravel()
    _, of, counts = np.unique(as_bytes, return_inverse=True, return_counts=True)
    order = (
        np.array(sorted(range(len(keys)), key=keys.__getitem__), np.int64) if keys else np.argsort(of, kind="stable")
    )
    # The first of each kind, in that order.
    _, first = np.unique(of[order], return_index=True)
    kinds = np.argsort(first, kind="stable")
    place = np.empty(len(kinds), np.int64)
    place[kinds] = np.arange(len(kinds))
    return Distinct(whole[order[np.sort(first)]], place[of], counts[kinds])
