"""Raw numbers to scores, and scores of vectors of tokens."""

from __future__ import annotations

import numpy as np

from nearfield_server.types import Activation, FloatRows

__all__ = ["activate", "maxsim"]


def activate(rows: FloatRows, activation: Activation) -> FloatRows:
    """Give the scores of raw numbers `[n, labels]`, as float32; softmax is taken over the labels."""
    if activation is Activation.NONE:
        return rows
    wide = rows.astype(np.float64)
    if activation is Activation.SIGMOID:
        # Of -|x|, which never overflows, and mirrored.
        small = np.exp(-np.abs(wide))
        return np.where(wide >= 0, 1.0 / (1.0 + small), small / (1.0 + small)).astype(np.float32)
    shares = np.exp(wide - wide.max(axis=1, keepdims=True))
    return np.asarray(shares / shares.sum(axis=1, keepdims=True), np.float32)


def maxsim(query: FloatRows, document: FloatRows) -> float:
    """Sum over the query's vectors `[q, width]` of the greatest dot product with the document's `[d, width]`.

    The score of late interaction (ColBERT, arXiv:2004.12832). Of a document without vectors it is 0.
    """
    if not len(document):
        return 0.0
    return float((query @ document.T).max(axis=1).sum())
