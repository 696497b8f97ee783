"""A fault of OpenVINO that is kept from doing harm.

When the first rows that a session gets have one token, it gives wrong vectors, without an error, for many longer ones
that follow (onnxruntime-openvino 1.23.0 and 1.24.1; MiniLM, any number of rows or threads). With two tokens first it is
right. So rows of one token get a second one, which the mask hides.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["cut_back", "widen"]

_Arrays = Mapping[str, npt.NDArray[Any]]
_TOKENS_RANK = 3  # [rows, tokens, width]


def widen(feeds: _Arrays) -> _Arrays | None:
    """Give `feeds` with a second, hidden token in each row; `None`: there are two, or nothing can hide one."""
    mask = feeds.get("attention_mask")
    if mask is None or mask.shape[1] != 1:
        return None
    return {name: np.pad(one, ((0, 0), (0, 1))) if one.shape == mask.shape else one for name, one in feeds.items()}


def cut_back(outputs: list[npt.NDArray[Any]]) -> list[npt.NDArray[Any]]:
    """Take the hidden token from outputs that have a vector for each."""
    return [one[:, :1] if one.ndim == _TOKENS_RANK and one.shape[1] == 2 else one for one in outputs]  # noqa: PLR2004
