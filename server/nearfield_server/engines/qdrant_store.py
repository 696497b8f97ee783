"""One collection in a Qdrant cluster: `Store`."""

from __future__ import annotations

import asyncio
import copy
import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from qdrant_client import models
from qdrant_client.conversions.conversion import RestToGrpc

from nearfield_server.engines.base import Changes, Owned, Page, Ranked, Store, StreamPosition
from nearfield_server.engines.embedded.cursors import make_cursor, read_cursor
from nearfield_server.engines.qdrant_filters import expired_by, live_points
from nearfield_server.engines.qdrant_indexes import drop_index, facet_keys, make_index
from nearfield_server.engines.qdrant_points import BARE, decoded_scalar, payload_of, point_uuid, record_of
from nearfield_server.engines.qdrant_portable import read_all, read_since, read_tenants
from nearfield_server.engines.qdrant_session import Session
from nearfield_server.errors import FailedPrecondition
from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Consistency,
    EngineHit,
    EngineQuery,
    FacetCount,
    FieldType,
    Filter,
    IndexState,
    PointId,
    ReadConsistency,
    Record,
    Selection,
    SimilarityMetric,
    SparseRow,
    UpsertMode,
    UpsertOutcome,
)

__all__ = ["DENSE", "KEYWORD", "QdrantStore"]

DENSE, KEYWORD = "dense", "keyword"
_EVERYWHERE = 2**32 - 1  # a word of every point, so that IDF counts points without words too
_WHOLE = Selection(vector=False)
_CONSISTENCY: dict[ReadConsistency, Any] = {
    ReadConsistency.ONE: 1,
    ReadConsistency.MAJORITY: models.ReadConsistencyType.MAJORITY,
    ReadConsistency.QUORUM: models.ReadConsistencyType.QUORUM,
    ReadConsistency.ALL: models.ReadConsistencyType.ALL,
}


class QdrantStore:
    """The points of one collection; `name` is the collection's in the cluster."""

    def __init__(self, session: Session, name: str, spec: CollectionSpec) -> None:
        """Stand for a collection that is there."""
        self._session = session
        self._name = name
        self._spec = spec
        self._writing = asyncio.Lock()  # what is there is read before it is written
        self._faceted: set[str] = set()
        self._dropped = asyncio.Event()  # shared with what `at` gives
        self._consistency = Consistency()
        self._cursor_key = hashlib.blake2b(f"{name} {spec.created_at.isoformat()}".encode(), digest_size=16).digest()

    def __repr__(self) -> str:
        """Tell what it stands for."""
        return f"QdrantStore({self._spec.name!r}, in {self._name!r})"

    @property
    def spec(self) -> CollectionSpec:
        """What decides the collection."""
        return self._spec

    async def upsert(
        self, tenant: str, records: Sequence[Record], mode: UpsertMode, *, wait: bool, position: StreamPosition | None
    ) -> UpsertOutcome:
        """Keep all records; see `Store`. Qdrant has applied them when it returns, with `wait` or without."""
        del wait
        wanted = {record.id: record for record in records}
        async with self._writing:
            self._check()
            known = await self._session.position(self._name, tenant, position)
            if known is not None:
                return UpsertOutcome(len(wanted), 0, known)
            there = await self._stored(tenant, list(wanted), _WHOLE if mode is UpsertMode.PAYLOAD else None)
            chosen = [one for one in wanted.values() if _takes(mode, one.id in there)]
            version = self._session.number()
            if mode is UpsertMode.PAYLOAD:
                await self._overwrite(tenant, chosen, there, version)
            elif chosen:
                orders = [int(there[one.id]["order"]) if one.id in there else self._session.number() for one in chosen]
                points = await asyncio.to_thread(self._points, tenant, chosen, orders, version)
                await self._write("upsert", points=points)
            await self._session.keep_position(self._name, tenant, position, version)
        return UpsertOutcome(len(chosen), len(wanted) - len(chosen), version)

    def _points(self, tenant: str, records: Sequence[Record], orders: Sequence[int], version: int) -> list[Any]:
        """Make what is sent, in a thread: it takes a third of a millisecond a point."""
        points = [self._point(tenant, one, order, version) for one, order in zip(records, orders, strict=True)]
        # The local mode takes the client's own classes; on the wire it would turn them into messages on the loop.
        return points if self._session.settings.local else [RestToGrpc.convert_point_struct(one) for one in points]

    def _point(self, tenant: str, record: Record, order: int, version: int) -> models.PointStruct:
        vectors: dict[str, Any] = {DENSE: np.asarray(record.vector, np.float32).tolist()}
        if self._spec.keyword is not None:
            vectors[KEYWORD] = _sparse(record.sparse, everywhere=True)
        payload = payload_of(record, tenant, order, version)
        return models.PointStruct(id=point_uuid(tenant, record.id), vector=vectors, payload=payload)

    async def _overwrite(
        self, tenant: str, chosen: Sequence[Record], there: dict[PointId, dict[str, Any]], version: int
    ) -> None:
        operations = []
        for one in chosen:
            old = record_of(there[one.id], None, _WHOLE)
            kinds = {key: kind for key, kind in old.kinds.items() if key not in one.payload}
            new = replace(
                old,
                payload={**old.payload, **one.payload},
                kinds={**kinds, **one.kinds},
                expires_at=old.expires_at if one.expires_at is None else one.expires_at,
            )
            payload = payload_of(new, tenant, int(there[one.id]["order"]), version)
            put = models.SetPayload(payload=payload, points=[point_uuid(tenant, one.id)])
            operations.append(models.OverwritePayloadOperation(overwrite_payload=put))
        if operations:
            await self._write("batch_update_points", update_operations=operations)

    async def delete(self, tenant: str, chosen: Sequence[PointId] | Filter | None, *, wait: bool) -> int:
        """Delete points by ids, by filter, or all of the tenant; give how many there were."""
        del wait
        async with self._writing:
            self._check()
            if isinstance(chosen, Sequence):
                found = list(await self._stored(tenant, list(dict.fromkeys(chosen)), None))
                doomed: Any = models.PointIdsList(points=[point_uuid(tenant, one) for one in found])
                count = len(found)
            else:
                wanted = live_points(tenant, self._session.now(), chosen)
                doomed = models.FilterSelector(filter=wanted)
                count = await self._count(wanted, exact=True)
            if count:
                await self._write("delete", points_selector=doomed)
        return count

    async def get(self, tenant: str, ids: Sequence[PointId], select: Selection) -> list[Record]:
        """Give the points that are there, in the order of `ids`."""
        there = await self._stored(tenant, list(dict.fromkeys(ids)), select)
        return [record_of(there[one], there[one].get(DENSE), select) for one in ids if one in there]

    async def _stored(
        self, tenant: str, ids: Sequence[PointId], select: Selection | None
    ) -> dict[PointId, dict[str, Any]]:
        """Give what is stored of points that aren't past their time; the vector under `DENSE`."""
        if not ids:
            return {}
        found = await self._read(
            "retrieve",
            ids=[point_uuid(tenant, one) for one in ids],
            with_payload=_fields(select),
            with_vectors=[DENSE] if select is not None and select.vector else False,
        )
        now = self._session.now()
        stored = [_with_vector(one) for one in found]
        return {one["id"]: one for one in stored if one.get("expires_at") is None or one["expires_at"] > now}

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Rank points for each query. Lists by words are exact."""
        if not queries:
            return []
        found = await self._read("query_batch_points", requests=[self._request(one) for one in queries])
        return [
            Ranked(self._hits(query, one.points), exact=query.exact or query.sparse is not None)
            for query, one in zip(queries, found, strict=True)
        ]

    def _request(self, query: EngineQuery) -> models.QueryRequest:
        wanted: Any = None if query.sparse is None else _sparse(query.sparse, everywhere=False)
        asked = models.SearchParams(exact=query.exact, hnsw_ef=query.ef or None)
        return models.QueryRequest(
            query=query.dense.tolist() if query.dense is not None else wanted,
            using=KEYWORD if query.dense is None else DENSE,
            filter=live_points(query.tenant, self._session.now(), query.filter, excluded=query.exclude),
            limit=query.limit,
            with_payload=list(BARE),
            params=None if self._session.settings.local else asked,  # the local mode compares all points
        )

    def _hits(self, query: EngineQuery, points: Sequence[Any]) -> list[EngineHit]:
        distance = query.dense is not None and self._spec.metric is SimilarityMetric.EUCLIDEAN
        sign = -1.0 if distance else 1.0
        hits = [EngineHit(one.payload["id"], sign * one.score, int(one.payload["order"])) for one in points]
        return sorted(hits, key=lambda hit: (-hit.score, hit.order))

    async def scroll(
        self, tenant: str, condition: Filter | None, select: Selection, *, limit: int, cursor: str
    ) -> Page:
        """Give up to `limit` points in the order of first storing; see `Store`."""
        after = read_cursor(cursor, self._cursor_key)
        points, _ = await self._read(
            "scroll",
            scroll_filter=live_points(tenant, self._session.now(), condition, after=after),
            order_by=models.OrderBy(key="order"),
            limit=limit + 1,
            with_payload=_fields(select),
            with_vectors=[DENSE] if select.vector else False,
        )
        stored = [_with_vector(one) for one in points]
        page = [record_of(one, one.get(DENSE), select) for one in stored[:limit]]
        more = len(stored) > limit
        return Page(page, make_cursor(int(stored[limit - 1]["order"]), self._cursor_key) if more else "")

    async def count(self, tenant: str, condition: Filter | None, *, estimate: bool) -> tuple[int, bool]:
        """Give how many points match, and whether that is exact."""
        wanted = live_points(tenant, self._session.now(), condition)
        return await self._count(wanted, exact=not estimate), not estimate

    async def _count(self, wanted: models.Filter | None, *, exact: bool) -> int:
        found = await self._session.calls("count", collection_name=self._name, count_filter=wanted, exact=exact)
        return int(found.count)

    async def facet(self, tenant: str, path: str, condition: Filter | None, *, limit: int) -> list[FacetCount]:
        """Give the most frequent strings, integers and truth values of a field, then by value."""
        strings, others = facet_keys(path)
        if path not in self._faceted:  # facets need an index; one that is there is left as it is
            await make_index(self._session, self._name, path, FieldType.KEYWORD)
            self._faceted.add(path)
        wanted = live_points(tenant, self._session.now(), condition)
        found = []
        for key in (strings, others):
            counted = await self._read("facet", key=key, facet_filter=wanted, limit=limit, exact=True)
            for one in counted.hits:
                value = str(one.value)
                found.append(FacetCount(value if key == strings else decoded_scalar(value), one.count))
        return sorted(found, key=lambda one: (-one.count, str(one.value)))[:limit]

    async def tenants(self, after: str | None, limit: int) -> list[tuple[str, int]]:
        """Give up to `limit` tenants that come after `after`, by name, with their points."""
        return await read_tenants(self._read, self._session.now(), after, limit)

    def export(self, *, size: int) -> AsyncIterator[list[Owned]]:
        """Give all points of all tenants in the order of first storing; each as it is when its part is read."""
        return read_all(self._read, self._session.now(), DENSE, size)

    async def changes(self, after: int, limit: int) -> Changes:
        """Give about `limit` points of all tenants whose last write came after number `after`; see `Store`.

        Numbers go by the clocks of the servers: what another one wrote in the same moment may come with a lower one.
        """
        return await read_since(self._read, self._session.now(), DENSE, after, limit)

    def at(self, consistency: Consistency) -> Store:
        """Give this store for calls with another consistency."""
        if consistency == Consistency():
            return self
        other = copy.copy(self)
        other._consistency = consistency  # noqa: SLF001 - its own class
        return other

    async def stats(self) -> CollectionStats:
        """Give the figures. Qdrant doesn't tell bytes on disk."""
        info = await self._session.calls("get_collection", collection_name=self._name)
        status = str(getattr(info.status, "value", info.status))
        state = {"green": IndexState.READY, "red": IndexState.FAILED}.get(status, IndexState.BUILDING)
        message = "Qdrant reports an error in its optimizer" if state is IndexState.FAILED else ""
        points = await self._count(None, exact=True)
        return CollectionStats(points=points, index_lag=0, index_state=state, index_message=message, disk_bytes=0)

    async def update(self, spec: CollectionSpec) -> None:
        """Take over payload indexes, quantisation, durability and time to live; all else is as it was."""
        new = replace(
            self._spec,
            payload_indexes=dict(spec.payload_indexes),
            quantization=spec.quantization,
            durability=spec.durability,
            ttl_seconds=spec.ttl_seconds,
        )
        old = self._spec.payload_indexes
        await self._session.keep_spec(self._name, new)
        for path, kind in new.payload_indexes.items():
            if old.get(path) is not kind:
                await make_index(self._session, self._name, path, kind)
        for path, kind in old.items():
            if path not in new.payload_indexes:
                await drop_index(self._session, self._name, path, kind)
                self._faceted.discard(path)
        self._spec = new

    async def sweep(self) -> None:
        """Delete points past their time."""
        await self._write("delete", points_selector=models.FilterSelector(filter=expired_by(self._session.now())))

    def refuse(self) -> None:
        """Take no more writes: the collection was dropped."""
        self._dropped.set()

    def _check(self) -> None:
        if self._dropped.is_set():
            raise FailedPrecondition(f"collections/{self._spec.name}", "the collection was dropped meanwhile")

    async def _read(self, method: str, **arguments: Any) -> Any:
        asked = self._consistency.read
        set_ = self._session.settings.read_consistency
        # Over gRPC the client takes numbers and its own enum alone.
        configured = models.ReadConsistencyType(set_) if isinstance(set_, str) else set_
        consistency = configured if asked is None else _CONSISTENCY[asked]
        if consistency is not None:
            arguments["consistency"] = consistency
        return await self._session.calls(method, collection_name=self._name, **arguments)

    async def _write(self, method: str, **arguments: Any) -> None:
        asked = self._consistency.write
        ordering = models.WriteOrdering(self._session.settings.write_ordering if asked is None else asked.value)
        await self._session.calls(method, collection_name=self._name, wait=True, ordering=ordering, **arguments)


def _takes(mode: UpsertMode, there: bool) -> bool:
    return mode is UpsertMode.UPSERT or there is (mode is not UpsertMode.CREATE)


def _sparse(row: SparseRow | None, *, everywhere: bool) -> models.SparseVector:
    ids, weights = ([], []) if row is None else (row.ids.tolist(), row.weights.tolist())
    if everywhere:
        ids, weights = [*ids, _EVERYWHERE], [*weights, 1.0]
    return models.SparseVector(indices=ids, values=weights)


def _fields(select: Selection | None) -> list[str]:
    """Give what to read of a payload."""
    if select is None:
        return list(BARE)
    return [*BARE, *(["text"] if select.text else []), *(["payload", "kinds"] if select.payload else [])]


def _with_vector(point: Any) -> dict[str, Any]:
    vectors = point.vector
    return {**point.payload, DENSE: vectors[DENSE]} if isinstance(vectors, dict) and DENSE in vectors else point.payload
