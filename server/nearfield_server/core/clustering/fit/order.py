"""The order that rows are clustered in, which isn't that of the input: by their bytes, equal ones by their keys.

So the same items give the same clusters whatever order they come in, and whether they have ids or not.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows

__all__ = ["Ordered"]

_COMPARED_ROWS = 4096


@dataclass(frozen=True, slots=True)
class Ordered:
    """Rows in order.

    Attributes:
        rows: float32 [items, dimensions].
        order: where each was in the input; int64 [items].
        first: position of the first row that is equal to each; int64 [items].
        distinct: how many rows differ.
    """

    rows: FloatRows
    order: npt.NDArray[np.int64]
    first: npt.NDArray[np.int64]
    distinct: int

    @classmethod
    def of(cls, rows: FloatRows, keys: Sequence[str]) -> Ordered:
        """Put rows in order; `keys` is one each, or empty."""
        keyed = np.ascontiguousarray(rows).view(np.dtype((np.void, rows.shape[1] * 4))).ravel()
        order = np.argsort(keyed, kind="stable")
        ordered = np.ascontiguousarray(rows[order])
        starts = np.flatnonzero(_differs_from_last(ordered))
        lengths = np.diff(np.append(starts, len(rows)))
        for start, length in zip(starts[lengths > 1], lengths[lengths > 1], strict=True) if len(keys) else ():
            order[start : start + length] = sorted(order[start : start + length], key=keys.__getitem__)
        return cls(ordered, order, np.repeat(starts, lengths), len(starts))

    def back(self) -> npt.NDArray[np.int64]:
        """Give where each item of the input is now."""
        places = np.empty(len(self.order), np.int64)
        places[self.order] = np.arange(len(self.order))
        return places


def _differs_from_last(rows: FloatRows) -> npt.NDArray[np.bool_]:
    """Tell of each row whether it isn't as the one before it, some at a time: it needs no copy of the rows."""
    differs = np.ones(len(rows), np.bool_)
    for start in range(1, len(rows), _COMPARED_ROWS):
        end = min(start + _COMPARED_ROWS, len(rows))
        differs[start:end] = (rows[start:end] != rows[start - 1 : end - 1]).any(axis=1)
    return differs
