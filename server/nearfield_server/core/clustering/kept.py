"""Clusterings on the disk: as parts for `computing.kept`, and back.

clusters.json   the clusters
ids.json        ids of the items, or []
layout.json     where each array is in arrays.bin
arrays.bin      assignments, centroids and deciles, then the positions
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np

from nearfield_server.core.clustering.calls import Clustering, Head
from nearfield_server.core.clustering.codec import pack_arrays, pack_clusters, unpack_arrays, unpack_clusters
from nearfield_server.core.computing.kept import Kept, KeptSettings
from nearfield_server.errors import ClusteringNotFound, DataDamaged
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics

__all__ = ["KeptClusterings"]


class KeptClusterings(Kept[Head]):
    """Saves, gives and deletes clusterings. Used on the event loop."""

    def __init__(self, folder: Path, most: int, metrics: ClusterMetrics) -> None:
        """Keep up to `most` in `folder`."""
        settings = KeptSettings(Head, missing=ClusteringNotFound, most=most, setting="cluster.max_kept")
        super().__init__(folder, settings, metrics.kept)

    async def save_whole(self, one: Clustering) -> None:
        """Keep it; it is on the disk afterwards. Raises `StorageFull`."""
        await self.save(one.head, await asyncio.to_thread(_parts, one))

    async def load(self, id_: str) -> Clustering:
        """Give one, whole. Raises `ClusteringNotFound` or `DataDamaged`."""
        head = self.head(id_)
        names = ("clusters.json", "ids.json", "layout.json", "arrays.bin")
        clusters, ids, layout, body = [await self.part(id_, name) for name in names]
        try:
            return await asyncio.to_thread(_whole, head, (clusters, ids, layout), body)
        except (ValueError, KeyError, TypeError) as error:
            raise DataDamaged(f"clustering {id_} isn't what was stored: delete it") from error


def _parts(one: Clustering) -> dict[str, bytes]:
    layout, body = pack_arrays(one.arrays)
    return {
        "clusters.json": _json(pack_clusters(one.clusters)),
        "ids.json": _json(one.ids),
        "layout.json": _json(layout),
        "arrays.bin": body + one.positions.astype("<u8").tobytes(),
    }


def _whole(head: Head, texts: tuple[bytes, bytes, bytes], body: bytes) -> Clustering:
    clusters, ids, layout = map(json.loads, texts)
    taken = sum(int(np.prod(shape, dtype=np.int64)) * np.dtype(dtype).itemsize for _, dtype, shape in layout)
    return Clustering(
        head=head,
        clusters=unpack_clusters(clusters),
        arrays=unpack_arrays(layout, body),
        ids=ids,
        positions=np.frombuffer(body, "<u8", offset=taken),
    )


def _json(content: Any) -> bytes:
    return json.dumps(content, separators=(",", ":")).encode()
