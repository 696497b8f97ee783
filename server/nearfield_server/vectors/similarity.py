"""Each row against each row."""

from __future__ import annotations

import numpy as np

from nearfield_server.types import FloatRows, SimilarityMetric
from nearfield_server.vectors.finish import unit_rows

__all__ = ["similarity"]


def similarity(left: FloatRows, right: FloatRows, metric: SimilarityMetric) -> FloatRows:
    """Give scores `[len(left), len(right)]` float32, greater is more alike; Euclidean distance is negated.

    Raises:
        BackendFailure: cosine of a row of zeros.
    """
    match metric:
        case SimilarityMetric.COSINE:
            return np.asarray(np.clip(unit_rows(left) @ unit_rows(right).T, -1.0, 1.0), np.float32)
        case SimilarityMetric.DOT:
            return left @ right.T
        case SimilarityMetric.EUCLIDEAN:
            a, b = left.astype(np.float64), right.astype(np.float64)
            squares = (a * a).sum(axis=1)[:, None] + (b * b).sum(axis=1)[None, :] - 2.0 * (a @ b.T)
            return np.asarray(-np.sqrt(np.maximum(squares, 0.0)), np.float32)
