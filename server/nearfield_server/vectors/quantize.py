"""Vectors in fewer bits.

int8 and uint8 are linear with one published range, so that vectors of different calls compare; binary and ubinary are
sentence-transformers' (`quantize_embeddings`).
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.types import DType, FloatRows, Quantization

__all__ = ["dequantize", "int8_scale", "quantize"]

_MAX_INT8 = 127
_UINT8_ZERO = 128


def int8_scale(quantization_range: float, full_width: int, width: int) -> float:
    """Give the real value of one step for unit vectors cut from `full_width` to `width` components.

    Cutting and renormalising makes components greater by about sqrt(full_width / width); none exceeds 1.
    """
    return min(1.0, quantization_range * math.sqrt(full_width / width)) / _MAX_INT8


def quantize(rows: FloatRows, dtype: DType, scale: float) -> tuple[npt.NDArray[Any], Quantization | None]:
    """Give `rows` `[n, width]` in `dtype`, and the mapping back for int8 and uint8.

    int8 is in [-127, 127] and uint8 in [1, 255]; what is beyond the range is clipped. Binary types have
    ceil(width / 8) columns.
    """
    match dtype:
        case DType.FLOAT32:
            return rows, None
        case DType.FLOAT16:
            return rows.astype(np.float16), None
        case DType.INT8:
            return _int8(rows, scale), Quantization(scale, 0)
        case DType.UINT8:
            shifted = _int8(rows, scale).astype(np.int16) + _UINT8_ZERO
            return shifted.astype(np.uint8), Quantization(scale, _UINT8_ZERO)
        case DType.UBINARY:
            return np.packbits(rows > 0, axis=-1), None
        case DType.BINARY:
            return (np.packbits(rows > 0, axis=-1).astype(np.int16) - _UINT8_ZERO).astype(np.int8), None


def dequantize(values: npt.NDArray[Any], quantization: Quantization) -> FloatRows:
    """Give the real values, `[n, width]` float32, that int8 or uint8 `values` stand for."""
    return ((values.astype(np.float32) - quantization.zero_point) * quantization.scale).astype(np.float32)


def _int8(rows: FloatRows, scale: float) -> npt.NDArray[np.int8]:
    return np.asarray(np.clip(np.rint(rows / np.float32(scale)), -_MAX_INT8, _MAX_INT8), np.int8)
