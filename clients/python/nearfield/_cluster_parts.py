"""A clustering put together from the parts that it comes in, without I/O."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield._cluster_replies import cluster_of, info_fields
from nearfield._cluster_types import Assignment
from nearfield._clustering import Clustering
from nearfield._convert import RowForm, matrix
from nearfield._errors import InternalError, NearfieldError
from nearfield._payload import id_of
from nearfield.v1 import cluster_pb2

__all__ = ["ClusteringParts", "assignment_of"]


class ClusteringParts:
    """What has come of one clustering. `sent` is where the stream's items were among the inputs; None: the same."""

    def __init__(self, sent: Sequence[int] | None = None) -> None:
        """Begin with nothing."""
        self._sent = sent
        self._head: cluster_pb2.Clustering | None = None
        self._clusters: list[cluster_pb2.ClusterPage] = []
        self._assignments: list[cluster_pb2.AssignmentPage] = []

    def accept(self, message: Any) -> None:
        """Take a message that has one of the parts."""
        match message.WhichOneof("message"):
            case "clustering":
                self._head = message.clustering
            case "clusters":
                self._clusters.append(message.clusters)
            case "assignments":
                self._assignments.append(message.assignments)

    def accept_whole(self, message: cluster_pb2.ClusterResponse) -> None:
        """Take a clustering in one."""
        self._head = message.clustering
        self._clusters.append(message.clusters)
        self._assignments.append(message.assignments)

    def result(self, count: int | None = None, failures: Mapping[int, NearfieldError] | None = None) -> Clustering:
        """Give the clustering of `count` inputs; None: of as many as there are assignments.

        Raises InternalError when a part is missing.
        """
        if self._head is None:
            raise InternalError("the reply ended before its clustering")
        positions = self._positions()
        total = count if count is not None else int(positions.max()) + 1 if len(positions) else 0
        layers = len(self._head.layers) if self._assignments else 0
        centroids = [matrix(page.centroids, len(page.clusters), RowForm()) for page in self._clusters]
        found = tuple(cluster_of(one, self._sent) for page in self._clusters for one in page.clusters)
        if len(found) != self._head.clusters:
            raise InternalError(f"the reply has {len(found)} clusters of {self._head.clusters}")
        return Clustering(
            **info_fields(self._head),
            labels=self._spread("clusters", "<i4", -1, positions, total),
            strengths=self._spread("strengths", "<f4", 0, positions, total),
            nearest=self._spread("nearest", "<i4", -1, positions, total),
            layers=np.array([self._layer(at, positions, total) for at in range(layers)], np.int32).reshape(
                layers, total
            ),
            centroids=np.concatenate(centroids) if centroids else np.empty((0, self._head.dimensions), np.float32),
            clusters=found,
            ids=self._ids(positions, total),
            failures=dict(failures or {}),
        )

    def _positions(self) -> npt.NDArray[np.int64]:
        """Give where each item of the pages was among the inputs."""
        parts = [
            np.frombuffer(page.positions, "<u8").astype(np.int64)
            if page.positions
            else np.arange(page.offset, page.offset + len(page.clusters) // 4)
            for page in self._assignments
        ]
        positions = np.concatenate(parts) if parts else np.empty(0, np.int64)
        return positions if self._sent is None else np.array(self._sent, np.int64)[positions]

    def _spread(
        self, name: str, dtype: str, empty: int, positions: npt.NDArray[np.int64], total: int
    ) -> npt.NDArray[Any]:
        return _spread([getattr(page, name) for page in self._assignments], dtype, empty, (positions, total))

    def _layer(self, at: int, positions: npt.NDArray[np.int64], total: int) -> npt.NDArray[Any]:
        return _spread([page.layers[at] for page in self._assignments], "<i4", -1, (positions, total))

    def _ids(self, positions: npt.NDArray[np.int64], total: int) -> tuple[Any, ...]:
        ids = [id_of(one) for page in self._assignments for one in page.ids]
        if len(ids) != len(positions) or not ids:
            return ()
        spread: list[Any] = [None] * total
        for position, id_ in zip(positions.tolist(), ids, strict=True):
            spread[position] = id_
        return tuple(spread)


def assignment_of(replies: Sequence[cluster_pb2.AssignResponse], drift: Any) -> Assignment:
    """Give where items belong that went in several requests; `drift` of the last."""
    joined = {
        name: np.concatenate([np.frombuffer(getattr(one, name), dtype) for one in replies])
        for name, dtype in (("clusters", "<i4"), ("nearest", "<i4"), ("strengths", "<f4"), ("distances", "<f4"))
    }
    return Assignment(labels=joined.pop("clusters"), drift=drift, **joined)


def _spread(parts: list[bytes], dtype: str, empty: int, where: tuple[npt.NDArray[np.int64], int]) -> npt.NDArray[Any]:
    positions, total = where
    values = np.frombuffer(b"".join(parts), dtype)
    if len(values) != len(positions):
        raise InternalError(f"the reply has {len(values)} values for {len(positions)} items")
    spread = np.full(total, empty, dtype)
    spread[positions] = values
    return spread
