"""Choosing hits that don't say the same."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows

__all__ = ["mmr"]


def mmr(
    query_scores: npt.NDArray[np.float32], vectors: FloatRows, diversity: float, count: int
) -> list[tuple[int, float]]:
    """Choose by maximal marginal relevance (Carbonell and Goldstein, SIGIR 1998).

    The next one is that with the greatest (1 - diversity) * score - diversity * its greatest cosine with those chosen;
    of equal ones the first in `query_scores`.

    Args:
        query_scores: `[n]`, relevance on the scale of cosines.
        vectors: `[n, width]` float32; a vector of zeros is like nothing.
        diversity: in [0, 1]; 0: relevance alone.
        count: how many to choose; all, if there are fewer.

    Returns:
        positions in the order chosen, with the value that each was chosen for.
    """
    lengths = np.linalg.norm(vectors.astype(np.float64), axis=1, keepdims=True)
    unit = vectors / np.where(lengths > 0, lengths, 1.0)
    relevance = (1.0 - diversity) * query_scores.astype(np.float64)
    nearest = np.zeros(len(unit))  # nothing is chosen yet: the first is the most relevant one
    open_ = np.ones(len(unit), np.bool_)
    chosen: list[tuple[int, float]] = []
    while len(chosen) < min(count, len(unit)):
        values = np.where(open_, relevance - diversity * nearest, -np.inf)
        best = int(np.argmax(query_scores)) if not chosen else int(np.argmax(values))
        chosen.append((best, float(values[best])))
        open_[best] = False
        cosines = unit @ unit[best]
        nearest = cosines if len(chosen) == 1 else np.maximum(nearest, cosines)
    return chosen
