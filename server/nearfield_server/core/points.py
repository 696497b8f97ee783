"""Storing points: texts to vectors and words, what the collection adds, and the write.

Reading, listing and deleting need nothing but the store; `rpc.points` asks it directly.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.collections import Collections
from nearfield_server.engines.base import Store, StreamPosition
from nearfield_server.errors import InvalidInput
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import (
    AS_CONFIGURED,
    CollectionSpec,
    Consistency,
    FloatRows,
    InputType,
    PointId,
    Priority,
    Record,
    UpsertMode,
    UpsertOutcome,
)
from nearfield_server.types import Filter as Condition

__all__ = ["Points", "UpsertCall"]

# So many components are checked in about a millisecond: more is done off the event loop.
_INLINE_COMPONENTS = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class UpsertCall:
    """A well-formed upsert, its collection not yet looked at. Vectors are as the caller sent them.

    `deadline` is monotonic seconds; `identity` is who calls, as the server itself knows it. `prefix` stands before the
    names of fields in errors.
    """

    collection: str
    tenant: str
    points: Sequence[Record]
    mode: UpsertMode
    wait: bool
    priority: Priority
    deadline: float | None = None
    identity: str = ""
    prefix: str = ""
    consistency: Consistency = AS_CONFIGURED


@dataclass(frozen=True, slots=True)
class Ready:
    """An upsert whose vectors and words are made: all that is left is the write."""

    store: Store
    records: list[Record]
    call: UpsertCall


class Points:
    """Stores and deletes the points of collections."""

    def __init__(self, collections: Collections, vectors: CollectionVectors, metrics: SearchMetrics) -> None:
        """Find stores in `collections`, and make vectors by `vectors`."""
        self._collections = collections
        self._vectors = vectors
        self._metrics = metrics

    async def upsert(self, call: UpsertCall) -> UpsertOutcome:
        """Store all points of a call, or raise and store none. Raises any `NearfieldError` of a call."""
        return await self.write(await self.prepare(call))

    async def prepare(self, call: UpsertCall) -> Ready:
        """Make the vectors and words of a call's points. Raises any `NearfieldError` of a call."""
        store = self._collections.store(call.collection).at(call.consistency)
        if call.mode is UpsertMode.PAYLOAD:
            return Ready(store, _payload_only(call), call)
        spec = store.spec
        rows = await self._rows(spec, call)
        words = await self._vectors.document_words(spec, [one.text for one in call.points])
        vanish = None if spec.ttl_seconds is None else time.time() + spec.ttl_seconds
        records = [
            replace(
                one,
                vector=rows[index],
                sparse=words[index] if words and one.text else None,
                expires_at=vanish if one.expires_at is None else one.expires_at,
            )
            for index, one in enumerate(call.points)
        ]
        return Ready(store, records, call)

    async def write(self, ready: Ready, position: StreamPosition | None = None) -> UpsertOutcome:
        """Store what `prepare` gave; prepare it anew where the name stands for another collection meanwhile.

        Raises any `NearfieldError` of a call.
        """
        call = ready.call
        while True:
            name = ready.store.spec.name
            await self._collections.writes.passed(name)
            if self._collections.store(call.collection).spec.name == name:
                break
            ready = await self.prepare(call)
        with self._collections.writes.writing(name):
            outcome = await ready.store.upsert(call.tenant, ready.records, call.mode, wait=call.wait, position=position)
        self._metrics.upserted(name, outcome.stored)
        return outcome

    async def delete(
        self,
        collection: str,
        tenant: str,
        chosen: Sequence[PointId] | Condition | None,
        *,
        wait: bool,
        consistency: Consistency = AS_CONFIGURED,
    ) -> int:
        """Delete points by ids, by filter, or all of the tenant (`None`); give how many there were."""
        while True:
            store = self._collections.store(collection)
            name = store.spec.name
            await self._collections.writes.passed(name)
            if self._collections.store(collection) is store:
                break
        with self._collections.writes.writing(name):
            deleted = await store.at(consistency).delete(tenant, chosen, wait=wait)
        self._metrics.deleted(name, deleted)
        return deleted

    async def _rows(self, spec: CollectionSpec, call: UpsertCall) -> FloatRows:
        """Give `[points, dimensions]`: the callers' own vectors, and those of texts that came without."""
        points, prefix = call.points, call.prefix
        given = [index for index, one in enumerate(points) if one.vector is not None]
        bare = [index for index, one in enumerate(points) if one.vector is None]
        for index in bare:
            if not points[index].text:
                raise InvalidInput(f"{prefix}points[{index}]", "a point needs a text or a vector")
            if not spec.model:
                text = "the collection has no model: every point needs a vector"
                raise InvalidInput(f"{prefix}points[{index}].vector", text)

        def check() -> FloatRows:
            vectors = [one.vector for one in points if one.vector is not None]
            checked = self._vectors.checked(spec, vectors, lambda at: f"{prefix}points[{given[at]}].vector")
            for at in np.flatnonzero(~checked.any(axis=1)):  # COSINE has refused them already
                raise InvalidInput(f"{prefix}points[{given[at]}].vector", "is all zero")
            return checked

        inline = len(given) * spec.dimensions <= _INLINE_COMPONENTS
        own = check() if inline else await asyncio.to_thread(check)
        if not bare:
            return own
        made = await self._vectors.embed(
            spec,
            [points[index].text for index in bare],
            InputType.DOCUMENT,
            call.priority,
            call.deadline,
            call.identity,
            lambda at: f"{prefix}points[{bare[at]}]",
        )
        if not given:
            return made
        rows = np.empty((len(points), spec.dimensions), np.float32)
        rows[given], rows[bare] = own, made
        return rows


def _payload_only(call: UpsertCall) -> list[Record]:
    for index, one in enumerate(call.points):
        if one.text or one.vector is not None:
            field = "text" if one.text else "vector"
            text = "UPSERT_MODE_PAYLOAD keeps text and vector as they are: leave them out, or use another mode"
            raise InvalidInput(f"{call.prefix}points[{index}].{field}", text)
    return list(call.points)
