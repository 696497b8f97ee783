"""What all collections of one cluster share: the connection, numbers of writes, and the collection of our own notes."""

from __future__ import annotations

import random
import uuid
from collections.abc import Callable
from typing import Any

from qdrant_client import models

from nearfield_server.engines.base import StreamPosition
from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.qdrant import QdrantSettings
from nearfield_server.engines.qdrant_calls import Calls
from nearfield_server.types import CollectionSpec, VectorQuantization

__all__ = ["METADATA", "Session", "quantization_of"]

METADATA = "nearfield"
"""Key of a collection's metadata under which its spec is kept."""

_SLOTS = 64  # numbers of two servers differ by their slot
_STREAM_SECONDS = 24 * 3600.0
_NAMESPACE = uuid.UUID("c0a8d1de-0c5e-5b5f-8f6a-6d2f5f0c9d41")


class Session:
    """`settings` and `clock`, the client's `calls`, and what is kept beside the points."""

    def __init__(self, settings: QdrantSettings, calls: Calls, clock: Callable[[], float]) -> None:
        """Use an open client."""
        self.settings = settings
        self.calls = calls
        self.now = clock
        self._slot = random.randrange(_SLOTS)  # noqa: S311 - no secret
        self._last = 0

    @property
    def notes(self) -> str:
        """Name of the collection that holds stream positions."""
        return f"{self.settings.prefix}_notes"  # no collection's: those begin with a letter or digit

    def number(self) -> int:
        """Give a number greater than all before it, by the clock, that no other server gives."""
        self._last = max(self._last + 1, int(self.now() * 1e6) // _SLOTS)
        return self._last * _SLOTS + self._slot

    async def make_notes(self) -> None:
        """Make the collection of our notes, where it isn't there."""
        if not await self.calls("collection_exists", collection_name=self.notes):
            await self.calls("create_collection", collection_name=self.notes, vectors_config={}, **self.sharding())

    def sharding(self) -> dict[str, Any]:
        """Give the arguments of a new collection that the settings decide."""
        return {
            "shard_number": self.settings.shard_number,
            "replication_factor": self.settings.replication_factor,
            "write_consistency_factor": self.settings.write_consistency_factor,
        }

    async def position(self, name: str, tenant: str, position: StreamPosition | None) -> int | None:
        """Give the number of the write that holds a position, if it is kept already."""
        if position is None:
            return None
        id_ = _note_id(name, tenant, position.token)
        found = await self.calls("retrieve", collection_name=self.notes, ids=[id_], with_payload=True)
        note = found[0].payload if found else None
        if not note or note["sequence"] < position.sequence or note["kept_at"] < self.now() - _STREAM_SECONDS:
            return None
        return int(note["version"])

    async def keep_position(self, name: str, tenant: str, position: StreamPosition | None, version: int) -> None:
        """Keep a position, after its points: one that is cut off between is stored once more."""
        if position is None:
            return
        note = {"collection": name, "sequence": position.sequence, "version": version, "kept_at": self.now()}
        point = models.PointStruct(id=_note_id(name, tenant, position.token), vector={}, payload=note)
        await self.calls("upsert", collection_name=self.notes, points=[point], wait=True)

    async def forget_positions(self, name: str) -> None:
        """Forget the streams of a collection that goes."""
        wanted = models.FieldCondition(key="collection", match=models.MatchValue(value=name))
        chosen = models.FilterSelector(filter=models.Filter(must=[wanted]))
        await self.calls("delete", collection_name=self.notes, points_selector=chosen, wait=True)

    async def keep_spec(self, name: str, spec: CollectionSpec) -> None:
        """Keep what decides a collection, with how its vectors are held."""
        await self.calls(
            "update_collection",
            collection_name=name,
            metadata={METADATA: pack_spec(spec)},
            quantization_config=quantization_of(spec) or models.Disabled.DISABLED,
        )

    async def index(self, name: str, key: str, schema: Any) -> None:
        """Make a payload index; the local mode has none."""
        if not self.settings.local:
            await self.calls("create_payload_index", collection_name=name, field_name=key, field_schema=schema)

    async def drop_index(self, name: str, key: str) -> None:
        """Drop a payload index."""
        if not self.settings.local:
            await self.calls("delete_payload_index", collection_name=name, field_name=key)


def quantization_of(spec: CollectionSpec) -> models.ScalarQuantization | None:
    """Give how the index holds vectors beside the float32 ones."""
    if spec.quantization is VectorQuantization.NONE:
        return None
    scalar = models.ScalarQuantizationConfig(type=models.ScalarType.INT8, quantile=0.99, always_ram=True)
    return models.ScalarQuantization(scalar=scalar)


def _note_id(name: str, tenant: str, token: str) -> str:
    return str(uuid.uuid5(_NAMESPACE, repr((name, tenant, token))))
