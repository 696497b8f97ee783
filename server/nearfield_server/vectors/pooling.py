"""Token vectors to one vector per text."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows, Pooling

__all__ = ["pool"]

TokenVectors = npt.NDArray[np.float32]
"""`[batch, seq, width]` float32, padding on the right."""
Mask = npt.NDArray[np.int64]
"""`[batch, seq]`, 1 for tokens and 0 for padding; every row has at least one token."""


def pool(vectors: TokenVectors, mask: Mask, pooling: Pooling) -> FloatRows:
    """Give `[batch, width]` float32. Padding never has a part in it."""
    return _BY_KIND[pooling](vectors, mask)


def _mean(vectors: TokenVectors, mask: Mask) -> FloatRows:
    weights = mask.astype(np.float32)
    summed = np.einsum("bsw,bs->bw", vectors, weights)
    return np.asarray(summed / weights.sum(axis=1, keepdims=True), np.float32)


def _cls(vectors: TokenVectors, mask: Mask) -> FloatRows:  # noqa: ARG001 - all kinds share a signature
    return np.ascontiguousarray(vectors[:, 0])


def _last_token(vectors: TokenVectors, mask: Mask) -> FloatRows:
    last = mask.sum(axis=1) - 1
    return np.ascontiguousarray(vectors[np.arange(len(vectors)), last])


def _max(vectors: TokenVectors, mask: Mask) -> FloatRows:
    return np.asarray(np.max(vectors, axis=1, where=mask[:, :, None].astype(bool), initial=-np.inf), np.float32)


_BY_KIND: dict[Pooling, Callable[[TokenVectors, Mask], FloatRows]] = {
    Pooling.MEAN: _mean,
    Pooling.CLS: _cls,
    Pooling.LAST_TOKEN: _last_token,
    Pooling.MAX: _max,
}
