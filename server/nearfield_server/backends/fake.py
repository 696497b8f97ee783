"""A backend without a model: for tests, and to try a server's plumbing.

Its vectors depend on a text's token ids alone, and ids can be told to do harm.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends.base import GraphSignature, TensorInfo

__all__ = ["FakeBackend"]


class FakeBackend:
    """Implements `Backend`. `batches` records the token ids of every row of every batch that it was given."""

    def __init__(self, width: int = 8, *, on_id: Mapping[int, Callable[[], None]] | None = None) -> None:
        """Give vectors of `width` components. `on_id` maps a token id to what happens when a batch holds it.

        It may raise (an exception, or SystemExit to kill the worker), block, or do nothing.
        """
        self._width = width
        self._on_id = dict(on_id or {})
        self._lock = threading.Lock()
        self.batches: list[list[tuple[int, ...]]] = []
        self.closed = False

    @property
    def provider(self) -> str:
        """A name that no execution provider has."""
        return "FakeExecutionProvider"

    @property
    def signature(self) -> GraphSignature:
        """That of a graph with pooled output."""
        return GraphSignature(
            inputs=(TensorInfo("input_ids", (None, None)), TensorInfo("attention_mask", (None, None))),
            outputs=(TensorInfo("sentence_embedding", (None, self._width)),),
        )

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Give `[batch, width]` float32 for each name in `outputs`."""
        ids, mask = feeds["input_ids"], feeds["attention_mask"]
        rows = [tuple(int(one) for one in row[: keep.sum()]) for row, keep in zip(ids, mask, strict=True)]
        with self._lock:
            self.batches.append(rows)
        for row in rows:
            for one in row:
                if one in self._on_id:
                    self._on_id[one]()
        vectors = np.array([self.vector(row) for row in rows], np.float32)
        return [vectors for _ in outputs]

    def vector(self, ids: Sequence[int]) -> npt.NDArray[np.float32]:
        """Give the vector for `ids`, `[width]`: what a caller must get."""
        return np.random.default_rng([len(ids), *ids]).standard_normal(self._width).astype(np.float32)

    def close(self) -> None:
        """Remember it."""
        self.closed = True
