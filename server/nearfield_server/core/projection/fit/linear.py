"""PCA: the directions of the greatest variance, by scikit-learn. Exact, and as quick as reading the rows."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from sklearn.decomposition import PCA

from nearfield_server.types import FloatRows

__all__ = ["Linear", "fit_linear"]


@dataclass(frozen=True, slots=True)
class Linear:
    """Coordinates of rows, and what gives them: `row @ matrix + offset`. Where rows span too little, they are 0."""

    coordinates: FloatRows
    matrix: FloatRows
    offset: npt.NDArray[np.float32]


def fit_linear(rows: FloatRows, components: int) -> Linear:
    """Give the first `components` principal coordinates. The signs are those of scikit-learn: they don't flip."""
    width = rows.shape[1]
    matrix, offset = np.zeros((width, components), np.float32), np.zeros(components, np.float32)
    if (known := min(components, width, len(rows) - 1)) > 0:
        solver = "covariance_eigh" if len(rows) > width else "full"
        found = PCA(known, svd_solver=solver).fit(rows)
        matrix[:, :known] = found.components_.T
        offset[:known] = -(found.mean_ @ found.components_.T)
    return Linear(rows @ matrix + offset, matrix, offset)
