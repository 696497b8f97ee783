"""The last step of a call: check, cut, normalise, quantise."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.errors import BackendFailure
from nearfield_server.types import DType, FloatRows, Quantization
from nearfield_server.vectors.quantize import int8_scale, quantize

__all__ = ["finish", "unit_rows"]


def finish(
    rows: FloatRows, *, dimensions: int, normalize: bool, dtype: DType, quantization_range: float
) -> tuple[npt.NDArray[Any], Quantization | None]:
    """Give vectors as asked for.

    Args:
        rows: `[n, width]` float32, as pooled.
        dimensions: components to keep, 1 to width.
        normalize: give unit L2 length, after cutting (Matryoshka, arXiv:2205.13147).
        dtype: element type of the result.
        quantization_range: real value of 127 at full width; see `vectors.quantize`.

    Raises:
        BackendFailure: a row isn't finite, or is to be normalised and has no length; metadata `index` tells which.
    """
    bad = np.asarray(~np.isfinite(rows).all(axis=1))
    if bad.any():
        raise _failure(bad, "is not finite")
    cut = rows[:, :dimensions]
    if normalize:
        cut = unit_rows(cut)
    return quantize(np.ascontiguousarray(cut), dtype, int8_scale(quantization_range, rows.shape[1], dimensions))


def unit_rows(rows: FloatRows) -> FloatRows:
    """Divide each row of `[n, width]` by its L2 norm, taken in float64. Raises `BackendFailure` for a row of zeros."""
    wide = rows.astype(np.float64)
    norms = np.sqrt(np.einsum("nw,nw->n", wide, wide))
    if (norms == 0).any():
        raise _failure(norms == 0, "has no length")
    return np.asarray(wide / norms[:, None], np.float32)


def _failure(bad: npt.NDArray[np.bool_], what: str) -> BackendFailure:
    index = int(np.argmax(bad))
    return BackendFailure(f"the model's vector for inputs[{index}] {what}", index=index)
