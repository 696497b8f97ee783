"""Project: gather what is to be projected, have it fitted or put into a kept map, keep the result."""

from __future__ import annotations

import asyncio
import uuid
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial

import numpy as np

from nearfield_server.core.computing.gatherer import CheckSize, Gathered, Gatherer
from nearfield_server.core.computing.matter import read_rows
from nearfield_server.core.computing.pool import ComputePool, Lane, Told
from nearfield_server.core.projection.estimate import check_size
from nearfield_server.core.projection.fits import check_libraries, run_projection
from nearfield_server.core.projection.kept import KeptProjections
from nearfield_server.core.projection.nouns import (
    MapArrays,
    Positions,
    ProjectCall,
    Projected,
    Projection,
    ProjectionHead,
)
from nearfield_server.core.projection.placing import place
from nearfield_server.errors import FailedPrecondition, InvalidInput, TooLarge
from nearfield_server.telemetry.cluster_metrics import ClusterMetrics
from nearfield_server.types import EmbedOptions, FloatRows

__all__ = ["MapTools", "Projector"]

_READ_SHARE = 0.2
"""Of the progress: reading a collection."""
_PLACED_COPIES = 2
_PLACED_ROWS = 512
"""Placed at once: a caller who leaves ends it between two blocks."""


@dataclass(frozen=True, slots=True)
class MapTools:
    """What maps are made with."""

    gatherer: Gatherer
    pool: ComputePool
    kept: KeptProjections
    metrics: ClusterMetrics
    memory_bytes: int


class Projector:
    """Projects. Used on the event loop."""

    def __init__(self, tools: MapTools) -> None:
        """Use `tools`."""
        self._tools = tools

    def begin(self, call: ProjectCall) -> tuple[Gathered, EmbedOptions]:
        """Refuse what can't be done before any work; give what gathers items, and how texts of them are embedded.

        Raises:
            FailedPrecondition: the libraries are missing, or no more results may be kept.
            ProjectionNotFound: of `projection`.
            Overloaded: too many wait.
        """
        if call.projection:
            head = self._tools.kept.head(call.projection)
            checker: CheckSize = partial(_check_placed, head, self._tools.memory_bytes)
            origin = head.origin
            width = origin.dimensions if origin.model else None
            embedding = replace(head.embedding, model=origin.model, dimensions=width)
            return self._tools.gatherer.begin(checker), embedding
        check_libraries(call.options.method)
        if call.ttl_seconds:
            self._tools.kept.check_room()
        self._tools.pool.check_room(Lane.CALLS)
        checker = partial(check_size, call.options, self._tools.memory_bytes)
        return self._tools.gatherer.begin(checker), call.embedding

    async def finish(
        self, call: ProjectCall, gathered: Gathered, told: Told, positions: Positions | None = None
    ) -> Projection:
        """Read the collection, where one is asked for, then project; `positions`: of the items, where some failed.

        Raises:
            InvalidInput: what is wrong with the items.
            FailedPrecondition: nothing matches, or the map's model is served in another version.
            TooLarge: it would take, or took, too much memory.
            Overloaded: too many wait.
            NearfieldError: as `Gatherer.read` and `ComputePool.run`.
        """
        outcome = "failed"
        try:
            if call.collection is not None:
                read = partial(_told_read, told)
                await self._tools.gatherer.read(gathered, call.collection, read)
            if call.projection:
                made = await self._placed(call, gathered, told)
            else:
                made = await self._fitted(call, gathered, told, positions)
            outcome = "placed" if call.projection else "done"
        except asyncio.CancelledError:
            outcome = "cancelled"
            raise
        finally:
            self._tools.metrics.map_ended(outcome)
        return made if positions is None else replace(made, positions=positions)

    async def _fitted(
        self, call: ProjectCall, gathered: Gathered, told: Told, positions: Positions | None
    ) -> Projection:
        matter, start = gathered.matter, _READ_SHARE if call.collection is not None else 0.0
        assert matter is not None  # noqa: S101 - nothing begins without an item
        keep = call.ttl_seconds > 0

        def hear(stage: str, part: float) -> None:
            told(stage, start + (1.0 - start) * part)

        hear("queued", 0.0)
        async with self._tools.pool.turn(Lane.CALLS):
            pool = self._tools.pool
            projected, arrays = await run_projection(pool, matter, call.options, anchors=keep, told=hear)
        made = _made(call, gathered, (projected, arrays), positions)
        if keep:
            await self._tools.kept.save_whole(made, arrays)
        self._tools.metrics.mapped(projected.stage_seconds)
        return made

    async def _placed(self, call: ProjectCall, gathered: Gathered, told: Told) -> Projection:
        head = self._tools.kept.head(call.projection)
        matter = gathered.matter
        assert matter is not None  # noqa: S101 - nothing begins without an item
        _check_model(head, gathered, "items" if call.collection is None else "options.collection")
        arrays = await self._tools.kept.arrays(call.projection)
        rows = read_rows(matter.place()["rows"])
        coordinates = np.empty((len(rows), head.projected.options.components), np.float32)
        for start in range(0, len(rows), _PLACED_ROWS):
            told("place", _READ_SHARE + (1.0 - _READ_SHARE) * start / len(rows))
            block = slice(start, start + _PLACED_ROWS)
            coordinates[block] = await asyncio.to_thread(place, rows[block], arrays)
        return Projection(head=head, coordinates=coordinates, ids=list(matter.ids))


def _told_read(told: Told, part: float) -> None:
    told("read", _READ_SHARE * part)


def _made(
    call: ProjectCall, gathered: Gathered, found: tuple[Projected, MapArrays], positions: Positions | None
) -> Projection:
    projected, arrays = found
    now, keep = datetime.now(UTC), call.ttl_seconds > 0
    matter = gathered.matter
    assert matter is not None  # noqa: S101 - it was projected
    head = ProjectionHead(
        id=uuid.uuid4().hex[:12] if keep else "",
        projected=projected,
        origin=gathered.origin,
        embedding=replace(call.embedding, model=gathered.origin.model),
        created_at=now,
        expires_at=now + timedelta(seconds=call.ttl_seconds) if keep else None,
    )
    coordinates: FloatRows = arrays.coordinates
    none = np.empty(0, np.uint64)
    return Projection(
        head=head, coordinates=coordinates, ids=list(matter.ids), positions=none if positions is None else positions
    )


def _check_placed(head: ProjectionHead, limit: int, field: str, items: int, dimensions: int, _text_bytes: int) -> None:
    """Refuse items that don't fit the map, or are too many at once."""
    if dimensions != (theirs := head.origin.dimensions):
        raise InvalidInput(field, f"{dimensions} dimensions; the map is of {theirs}", dimensions=theirs)
    if (needed := _PLACED_COPIES * items * dimensions * 4) > limit:
        text = (
            f"{items} items at once take {needed >> 20} MiB, over {limit >> 20} MiB (cluster.memory_bytes): send fewer"
        )
        raise TooLarge(text, limit=limit, estimate=needed)


def _check_model(head: ProjectionHead, gathered: Gathered, field: str) -> None:
    """Refuse vectors that another model made. Vectors of the caller's own are his business."""
    ours, theirs = gathered.origin, head.origin
    if not ours.model:
        return
    if ours.model != theirs.model:
        made = f"by {theirs.model}" if theirs.model else "of the caller's own vectors: send vectors"
        raise InvalidInput(field, f"made by {ours.model}; the map is {made}")
    if ours.model_version != theirs.model_version:
        text = f"{ours.model} is served in another version than the one that the map was made by: make a new one"
        raise FailedPrecondition(f"models/{ours.model}", text)
