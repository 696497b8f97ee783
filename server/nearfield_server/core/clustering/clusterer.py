"""Cluster and ClusterStream: gather what is to be clustered, have it fitted, keep the result."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.calls import ClusterCall, Clustering, Head
from nearfield_server.core.clustering.estimate import check_size
from nearfield_server.core.clustering.fits import LIBRARIES, Known, Task, run_fit
from nearfield_server.core.clustering.kept import KeptClusterings
from nearfield_server.core.clustering.nouns import Arrays, Fitted, IntColumn
from nearfield_server.core.computing.gatherer import CheckSize, Gathered, Gatherer
from nearfield_server.core.computing.items import CollectionSource
from nearfield_server.core.computing.pool import ComputePool, Lane, Told, check_installed
from nearfield_server.errors import InvalidInput
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics
from nearfield_server.types import FloatRows, PointId

__all__ = ["Clusterer", "Positions", "Tools", "check_count"]

Positions = npt.NDArray[np.uint64]

_READ_SHARE = 0.2
"""Of a clustering's progress: reading a collection."""
_UNKNOWN = -2
"""Of an item that the previous clustering doesn't have."""


@dataclass(frozen=True, slots=True)
class Tools:
    """What clusterings are made with."""

    gatherer: Gatherer
    pool: ComputePool
    kept: KeptClusterings
    metrics: ClusterMetrics
    memory_bytes: int


class Clusterer:
    """Clusters. Used on the event loop."""

    def __init__(self, tools: Tools) -> None:
        """Use `tools`."""
        self._tools = tools

    def check(self, call: ClusterCall) -> CheckSize:
        """Refuse what can't be done before any work; give what checks sizes.

        Raises:
            FailedPrecondition: the libraries are missing, or no more results may be kept.
            ClusteringNotFound: of `previous`.
        """
        check_installed(LIBRARIES, "cluster")
        if call.ttl_seconds:
            self._tools.kept.check_room()
        if call.previous:
            self._tools.kept.head(call.previous)
        return partial(check_size, call.options, self._tools.memory_bytes)

    def begin(self, call: ClusterCall) -> Gathered:
        """Begin to gather items of a stream. Raises as `check`, and `Overloaded`."""
        checker = self.check(call)
        self._tools.pool.check_room(Lane.CALLS)
        return self._tools.gatherer.begin(checker)

    async def cluster(self, call: ClusterCall, told: Told = lambda _stage, _share: None) -> Clustering:
        """Cluster items, or a collection, for a caller who waits.

        Raises:
            InvalidInput: what is wrong with the items.
            FailedPrecondition: nothing matches; and as `check`.
            TooLarge: it would take, or took, too much memory.
            Overloaded: too many wait.
            NearfieldError: as `Embedder.embed` and `ComputePool.run`.
        """
        gathered = self.begin(call)
        try:
            await self.gather(call, gathered, told)
            return await self.finish(call, gathered, told)
        finally:
            gathered.close()

    async def gather(self, call: ClusterCall, gathered: Gathered, told: Told) -> None:
        """Bring the source of a call together. Raises as `cluster`."""
        if isinstance(call.source, CollectionSource):
            await self._tools.gatherer.read(gathered, call.source, lambda part: told("read", _READ_SHARE * part))
        elif call.source is not None:
            await self._tools.gatherer.add(gathered, call.source, call.embedding, call.caller)

    async def finish(
        self, call: ClusterCall, gathered: Gathered, told: Told, positions: Positions | None = None
    ) -> Clustering:
        """Wait for a worker and fit what was gathered; `positions`: of the items, where some failed."""
        async with self._tools.pool.turn(Lane.CALLS):
            return await self.fit(call, gathered, told, positions=positions)

    async def fit(
        self,
        call: ClusterCall,
        gathered: Gathered,
        told: Told,
        *,
        positions: Positions | None = None,
        id_: str = "",
    ) -> Clustering:
        """Fit what was gathered, in a turn of the pool; keep it where that is asked for (as `id_`, if given)."""
        metrics = self._tools.metrics
        try:
            fitted, arrays = await self._fitted(call, gathered, told)
            made = _made(call, gathered, (fitted, arrays), id_)
            if positions is not None:
                made = replace(made, positions=positions)
            if made.head.id:
                await self._tools.kept.save_whole(made)
        except BaseException as error:
            metrics.ended("cancelled" if isinstance(error, asyncio.CancelledError) else "failed")
            raise
        metrics.fitted(fitted)
        metrics.ended("done")
        return made

    async def _fitted(self, call: ClusterCall, gathered: Gathered, told: Told) -> tuple[Fitted, Arrays]:
        matter = gathered.matter
        assert matter is not None  # noqa: S101 - nothing begins without an item
        check_count(call, len(matter))
        start = _READ_SHARE if isinstance(call.source, CollectionSource) else 0.0
        task = Task(
            matter=matter,
            options=call.options,
            names=await self._names(call, gathered),
            previous=await self._known(call, gathered),
        )
        return await run_fit(self._tools.pool, task, lambda stage, part: told(stage, start + (1.0 - start) * part))

    async def _names(self, call: ClusterCall, gathered: Gathered) -> FloatRows | None:
        names = call.options.labels.names
        if not names:
            return None
        origin = gathered.origin
        model = origin.model or call.embedding.model
        if not model:
            text = "names are compared by the model that made the vectors: say which that was (embedding.model)"
            raise InvalidInput("options.labels.names", text)
        options = replace(call.embedding, model=model, dimensions=origin.dimensions)
        return (await self._tools.gatherer.embed(names, options, call.caller, "options.labels.names")).rows

    async def _known(self, call: ClusterCall, gathered: Gathered) -> Known | None:
        if not call.previous:
            return None
        before, matter = await self._tools.kept.load(call.previous), gathered.matter
        assert matter is not None  # noqa: S101 - nothing begins without an item
        if (theirs := before.head.origin.dimensions) != matter.dimensions:
            raise InvalidInput("options.previous", f"its vectors have {theirs} dimensions, these {matter.dimensions}")
        if (model := before.head.origin.model) != gathered.origin.model:
            text = f"it is of vectors by {model or 'the caller'}, these are by {gathered.origin.model or 'the caller'}"
            raise InvalidInput("options.previous", text)
        return Known(
            ids=[one.id for one in before.clusters],
            next_id=before.head.fitted.next_id,
            centroids=before.arrays.centroids,
            clusters=await asyncio.to_thread(_before, before, matter.ids, len(matter)),
        )


def _made(call: ClusterCall, gathered: Gathered, found: tuple[Fitted, Arrays], id_: str) -> Clustering:
    fitted, arrays = found
    now = datetime.now(UTC)
    keep = call.ttl_seconds > 0
    matter = gathered.matter
    assert matter is not None  # noqa: S101 - it was fitted
    head = Head(
        id=(id_ or uuid.uuid4().hex[:12]) if keep else "",
        fitted=replace(fitted, clusters=()),
        clusters=len(fitted.clusters),
        origin=gathered.origin,
        embedding=replace(call.embedding, model=gathered.origin.model),
        previous=call.previous,
        created_at=now,
        expires_at=now + timedelta(seconds=call.ttl_seconds) if keep else None,
    )
    return Clustering(head=head, clusters=fitted.clusters, arrays=arrays, ids=list(matter.ids))


def check_count(call: ClusterCall, count: int) -> None:
    """Refuse more clusters than items. Raises `InvalidInput`."""
    for name in ("k", "min_k"):
        value = getattr(call.options, name)
        if value is not None and value > count:
            raise InvalidInput(
                f"options.{name}", f"{value} clusters of {count} items: there are not so many", count=count
            )


def _before(before: Clustering, ids: Sequence[PointId], count: int) -> IntColumn:
    """Give each item's cluster in the previous clustering; `_UNKNOWN` where it isn't known by its id."""
    if not ids or not before.ids:
        return np.full(count, _UNKNOWN, np.int32)
    row_of = {one: row for row, one in enumerate(before.ids)}
    rows = np.array([row_of.get(one, -1) for one in ids], np.int64)
    return np.where(rows < 0, _UNKNOWN, before.arrays.clusters[rows]).astype(np.int32)
