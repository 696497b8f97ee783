"""Maps on the disk: as parts for `computing.kept`, and back.

ids.json         ids of the items, or []
positions.bin    of the items in the stream, where some failed; else empty
shapes.json      of each array in arrays.bin
arrays.bin       coordinates, and what places new items
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import numpy as np

from nearfield_server.core.computing.kept import Kept, KeptSettings
from nearfield_server.core.projection.codec import pack_arrays, unpack_arrays
from nearfield_server.core.projection.nouns import MapArrays, Projection, ProjectionHead
from nearfield_server.errors import DataDamaged, ProjectionNotFound
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics

__all__ = ["KeptProjections"]


class KeptProjections(Kept[ProjectionHead]):
    """Saves, gives and deletes maps. Used on the event loop."""

    def __init__(self, folder: Path, most: int, metrics: ClusterMetrics) -> None:
        """Keep up to `most` in `folder`."""
        settings = KeptSettings(ProjectionHead, missing=ProjectionNotFound, most=most, setting="cluster.max_kept")
        super().__init__(folder, settings, metrics.maps_kept)

    async def save_whole(self, one: Projection, arrays: MapArrays) -> None:
        """Keep it; it is on the disk afterwards. Raises `StorageFull`."""
        await self.save(one.head, await asyncio.to_thread(_parts, one, arrays))

    async def load(self, id_: str) -> Projection:
        """Give one, whole. Raises `ProjectionNotFound` or `DataDamaged`."""
        head = self.head(id_)
        ids, positions = [await self.part(id_, name) for name in ("ids.json", "positions.bin")]
        arrays = await self.arrays(id_)
        try:
            return Projection(
                head=head,
                coordinates=arrays.coordinates,
                ids=await asyncio.to_thread(json.loads, ids),
                positions=np.frombuffer(positions, "<u8"),
            )
        except ValueError as error:
            raise _damaged(id_) from error

    async def arrays(self, id_: str) -> MapArrays:
        """Give the arrays of one. Raises as `load`."""
        shapes, body = [await self.part(id_, name) for name in ("shapes.json", "arrays.bin")]
        try:
            return unpack_arrays(json.loads(shapes), body)
        except (ValueError, KeyError, TypeError) as error:
            raise _damaged(id_) from error


def _parts(one: Projection, arrays: MapArrays) -> dict[str, bytes]:
    shapes, body = pack_arrays(arrays)
    return {
        "ids.json": json.dumps(one.ids, separators=(",", ":")).encode(),
        "positions.bin": one.positions.astype("<u8").tobytes(),
        "shapes.json": json.dumps(shapes).encode(),
        "arrays.bin": body,
    }


def _damaged(id_: str) -> DataDamaged:
    return DataDamaged(f"projection {id_} isn't what was stored: delete it")
