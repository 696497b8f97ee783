"""Tokens to vectors: pad, run, pool."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends.base import Backend
from nearfield_server.errors import BackendFailure
from nearfield_server.types import FloatRows, IdArray, ModelSpec, OutputKind
from nearfield_server.vectors.pooling import pool

__all__ = ["Encoder"]


class Encoder:
    """Runs batches of one model; called from several threads at once."""

    def __init__(self, spec: ModelSpec, backend: Backend) -> None:
        """Use `backend` as `spec` says."""
        self._spec = spec
        self._backend = backend
        self._wanted = {one.name for one in backend.signature.inputs}

    def __call__(self, batch: Sequence[IdArray]) -> FloatRows:
        """Give raw, not normalised vectors, `[len(batch), dimensions]` float32.

        Args:
            batch: vocabulary ids, each `[n]` with n of at least 1, special tokens included.

        Raises:
            BackendFailure: the graph raised, or gave another shape than its files say.
        """
        lengths = np.array([len(ids) for ids in batch])
        shape = (len(batch), int(lengths.max()))
        # Padding is on the right: attention fusion assumes it.
        ids = np.full(shape, self._spec.pad_id, np.int64)
        mask = (np.arange(shape[1]) < lengths[:, None]).astype(np.int64)
        for row, one in zip(ids, batch, strict=True):
            row[: len(one)] = one
        (output,) = self._backend.run(self._feeds(ids, mask), [self._spec.output_name])
        rows = output if self._spec.output_kind is OutputKind.POOLED else pool(output, mask, self._spec.pooling)
        if rows.shape != (len(batch), self._spec.dimensions):
            msg = f"the graph gave vectors of shape {rows.shape} where {(len(batch), self._spec.dimensions)} was due"
            raise BackendFailure(msg)
        return np.asarray(rows, np.float32)

    def _feeds(self, ids: IdArray, mask: npt.NDArray[np.int64]) -> dict[str, npt.NDArray[Any]]:
        feeds: dict[str, npt.NDArray[Any]] = {"input_ids": ids}
        if "attention_mask" in self._wanted:
            feeds["attention_mask"] = mask
        if "token_type_ids" in self._wanted:
            feeds["token_type_ids"] = np.zeros_like(ids)
        if "position_ids" in self._wanted:
            feeds["position_ids"] = np.broadcast_to(np.arange(ids.shape[1]), ids.shape).copy()
        return feeds
