"""What a graph says of the vocabulary, to sparse vectors."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.errors import BackendFailure
from nearfield_server.types import FloatRows, IdArray, SparseHead, SparseRow, SparseSource

__all__ = ["greatest", "sparse_rows"]


def sparse_rows(output: npt.NDArray[Any], ids: IdArray, mask: IdArray, head: SparseHead) -> list[SparseRow]:
    """Give one sparse vector per text; the padding has no part in it.

    Args:
        output: `[batch, seq, vocabulary]`, `[batch, vocabulary]` or `[batch, seq(, 1)]` float32, see `SparseSource`.
        ids: vocabulary ids `[batch, seq]`.
        mask: `[batch, seq]`, 1 for tokens and 0 for padding.
        head: how to read `output`.

    Raises:
        BackendFailure: the output has another shape than its head says, or holds what isn't a number.
    """
    if head.source is SparseSource.TOKEN_WEIGHTS:
        weights = output[..., 0] if output.ndim == ids.ndim + 1 else output
        _check(weights.shape == ids.shape, output)
        return [_by_id(row, weights[index], mask[index], head) for index, row in enumerate(ids)]
    if head.source is SparseSource.LOGITS:
        _check(output.ndim == ids.ndim + 1 and output.shape[:2] == ids.shape, output)
        output = _pool_logits(output, mask, head)
    _check(output.ndim == ids.ndim and len(output) == len(ids), output)
    return [_row(row) for row in np.asarray(output, np.float32)]


def greatest(row: SparseRow, count: int | None) -> SparseRow:
    """Keep the `count` greatest weights; `None`: all. Of equal ones the lower ids stay."""
    if count is None or len(row.ids) <= count:
        return row
    chosen = np.sort(np.argsort(-row.weights, kind="stable")[:count])
    return SparseRow(row.ids[chosen], row.weights[chosen])


def _pool_logits(logits: npt.NDArray[Any], mask: IdArray, head: SparseHead) -> FloatRows:
    if head.sum_tokens:
        saturated = _saturate(np.maximum(logits, 0.0), head)
        return np.asarray(np.einsum("bsv,bs->bv", saturated, mask.astype(np.float32)), np.float32)
    # relu and log(1 + x) grow with x: the maximum may be taken first, on texts and not on tokens.
    rows = np.empty((len(logits), logits.shape[2]), np.float32)
    for row, text, present in zip(rows, logits, mask, strict=True):
        text[present.astype(bool)].max(axis=0, out=row)
    return _saturate(np.maximum(rows, 0.0, out=rows), head)


def _saturate(values: FloatRows, head: SparseHead) -> FloatRows:
    for _ in range(head.saturations):
        np.log1p(values, out=values)
    return values


def _by_id(ids: IdArray, weights: npt.NDArray[Any], mask: IdArray, head: SparseHead) -> SparseRow:
    """Give each vocabulary id the greatest weight of its tokens."""
    best: dict[int, float] = {}
    for one, weight, present in zip(ids.tolist(), weights.tolist(), mask.tolist(), strict=True):
        if present and one not in head.ignored_ids and weight > best.get(one, 0.0):
            best[one] = weight
    found = sorted(best)
    return SparseRow(np.array(found, np.uint32), np.array([best[one] for one in found], np.float32))


def _row(row: FloatRows) -> SparseRow:
    if not np.isfinite(row).all():
        msg = "the model's sparse vector is not finite"
        raise BackendFailure(msg)
    found = np.flatnonzero(row)
    return SparseRow(found.astype(np.uint32), row[found])


def _check(right: bool, output: npt.NDArray[Any]) -> None:
    if not right:
        msg = f"the graph gave an output of shape {output.shape}, which can't be read as sparse vectors"
        raise BackendFailure(msg)
