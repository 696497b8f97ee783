"""What a vector store does. `tests/engines/conformance` is the same suite for all of them.

An `Engine` holds collections, a `Store` the points of one. Calls are made on the event loop and never block it. Points
of one tenant are never seen, counted or changed by a call that names another. Points past their `expires_at` are never
given; when they are removed is the engine's affair.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from typing import Protocol

from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Consistency,
    EngineHit,
    EngineQuery,
    FacetCount,
    Filter,
    PointId,
    Record,
    Selection,
    UpsertMode,
    UpsertOutcome,
)

__all__ = ["Changes", "Engine", "Owned", "Page", "Ranked", "Store", "StreamPosition"]


@dataclass(frozen=True, slots=True)
class Ranked:
    """The hits of one query, best first, ties by `order`; `exact`: whether all points were compared."""

    hits: list[EngineHit]
    exact: bool


@dataclass(frozen=True, slots=True)
class Page:
    """Part of a scroll; `cursor` "" : the last part."""

    records: list[Record]
    cursor: str


@dataclass(frozen=True, slots=True)
class StreamPosition:
    """A message of a named stream of upserts; see UpsertStreamRequest.client_token."""

    token: str
    sequence: int


@dataclass(frozen=True, slots=True)
class Owned:
    """A point with the tenant whose it is; whole, but for `Record.sparse`, which its text gives again."""

    tenant: str
    record: Record


@dataclass(frozen=True, slots=True)
class Changes:
    """Points as they are now whose last write came after some number, and ids that were deleted after it.

    `last` is the number to go on from; the same as before: there is no more for now. What was `removed` may be there
    again in `stored` or in a later part: take it away first. `removed` None: the engine can't tell; compare ids.
    """

    stored: list[Owned]
    removed: list[tuple[str, PointId]] | None
    last: int


class Store(Protocol):
    """The points of one collection. Filters are well-formed; vectors have the right width."""

    @property
    def spec(self) -> CollectionSpec:
        """What decides the collection."""
        ...

    async def upsert(
        self, tenant: str, records: Sequence[Record], mode: UpsertMode, *, wait: bool, position: StreamPosition | None
    ) -> UpsertOutcome:
        """Keep all records, or raise and keep none. The same id twice: the last one counts.

        It returns when they are kept as `spec.durability` says; with `wait` when searches find them too. A `position`
        that was kept before stores nothing and counts as stored.

        Raises:
            StorageFull: the disk is full; nothing of this call is kept.
            FailedPrecondition: the collection was dropped meanwhile.
        """
        ...

    async def delete(self, tenant: str, chosen: Sequence[PointId] | Filter | None, *, wait: bool) -> int:
        """Delete points by ids, by filter, or all of the tenant (`None`); give how many there were."""
        ...

    async def get(self, tenant: str, ids: Sequence[PointId], select: Selection) -> list[Record]:
        """Give the points that are there, in the order of `ids`."""
        ...

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Rank points for each query."""
        ...

    async def scroll(
        self, tenant: str, condition: Filter | None, select: Selection, *, limit: int, cursor: str
    ) -> Page:
        """Give up to `limit` points in the order of first storing, from `cursor` on.

        Points stored or deleted meanwhile may or may not be given; all others are given exactly once.

        Raises:
            InvalidInput: `cursor` isn't one of this collection.
        """
        ...

    async def count(self, tenant: str, condition: Filter | None, *, estimate: bool) -> tuple[int, bool]:
        """Give how many points match, and whether that is exact."""
        ...

    async def facet(self, tenant: str, path: str, condition: Filter | None, *, limit: int) -> list[FacetCount]:
        """Give the most frequent strings, integers and truth values of a field, then by value (`str` of it)."""
        ...

    async def tenants(self, after: str | None, limit: int) -> list[tuple[str, int]]:
        """Give up to `limit` tenants whose names after `after` (None: all) by their UTF-8 bytes, and their points."""
        ...

    def export(self, *, size: int) -> AsyncIterator[list[Owned]]:
        """Give all points of all tenants in the order of first storing, `size` at a time.

        As of the moment of the first part where the engine can, else each point as it was at some moment meanwhile.
        Close it (`contextlib.aclosing`): it holds a reader.
        """
        ...

    async def changes(self, after: int, limit: int) -> Changes:
        """Give about `limit` points of all tenants whose last write came after number `after`, in that order.

        From 0 on, and so on from each `last`, that is every point there is, and then what is written meanwhile.
        """
        ...

    def at(self, consistency: Consistency) -> Store:
        """Give this store for calls with another consistency; itself where there is one copy only."""
        ...

    async def stats(self) -> CollectionStats:
        """Give the figures."""
        ...

    async def update(self, spec: CollectionSpec) -> None:
        """Take over payload indexes, quantisation, durability and time to live; all else is as it was."""
        ...


class Engine(Protocol):
    """Collections by name. Names are well-formed."""

    async def start(self) -> None:
        """Open what is there. One collection that can't be opened doesn't keep the others from it.

        Raises:
            ConfigError: nothing can be opened: the folder is in use or of a newer format, or no server answers.
        """
        ...

    async def create(self, spec: CollectionSpec) -> Store:
        """Make a collection. Raises `AlreadyExists`."""
        ...

    async def drop(self, name: str) -> None:
        """Delete a collection with its points. Raises `CollectionNotFound`."""
        ...

    def stores(self) -> dict[str, Store]:
        """Give all collections by name, as they are now."""
        ...

    async def close(self) -> None:
        """Let calls end, and give everything back."""
        ...
