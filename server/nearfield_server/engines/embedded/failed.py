"""A collection that couldn't be opened: it is listed, and says why to whoever asks."""

# ruff: noqa: ARG002 - the arguments are the contract's
from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime
from typing import NoReturn

from nearfield_server.engines.base import Changes, Owned, Page, Ranked, Store, StreamPosition
from nearfield_server.errors import FailedPrecondition
from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    Consistency,
    Durability,
    EngineQuery,
    FacetCount,
    Filter,
    Hnsw,
    IndexState,
    PointId,
    Record,
    Selection,
    SimilarityMetric,
    UpsertMode,
    UpsertOutcome,
    VectorQuantization,
)

__all__ = ["FailedStore", "unknown_spec"]


class FailedStore:
    """A `Store` of which every call but `stats` raises FailedPrecondition."""

    def __init__(self, spec: CollectionSpec, why: str) -> None:
        """`why`: what is wrong, and what to do about it."""
        self._spec = spec
        self._why = why

    @property
    def spec(self) -> CollectionSpec:
        """What decides the collection, as far as it is known."""
        return self._spec

    async def upsert(
        self, tenant: str, records: Sequence[Record], mode: UpsertMode, *, wait: bool, position: StreamPosition | None
    ) -> UpsertOutcome:
        """Refuse."""
        self._refuse()

    async def delete(self, tenant: str, chosen: Sequence[PointId] | Filter | None, *, wait: bool) -> int:
        """Refuse."""
        self._refuse()

    async def get(self, tenant: str, ids: Sequence[PointId], select: Selection) -> list[Record]:
        """Refuse."""
        self._refuse()

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Refuse."""
        self._refuse()

    async def scroll(
        self, tenant: str, condition: Filter | None, select: Selection, *, limit: int, cursor: str
    ) -> Page:
        """Refuse."""
        self._refuse()

    async def count(self, tenant: str, condition: Filter | None, *, estimate: bool) -> tuple[int, bool]:
        """Refuse."""
        self._refuse()

    async def facet(self, tenant: str, path: str, condition: Filter | None, *, limit: int) -> list[FacetCount]:
        """Refuse."""
        self._refuse()

    async def tenants(self, after: str | None, limit: int) -> list[tuple[str, int]]:
        """Refuse."""
        self._refuse()

    def export(self, *, size: int) -> AsyncIterator[list[Owned]]:
        """Refuse."""
        self._refuse()

    async def changes(self, after: int, limit: int) -> Changes:
        """Refuse."""
        self._refuse()

    def at(self, consistency: Consistency) -> Store:
        """Give itself."""
        return self

    async def stats(self) -> CollectionStats:
        """Say why."""
        return CollectionStats(
            points=0, index_lag=0, index_state=IndexState.FAILED, index_message=self._why, disk_bytes=0
        )

    async def update(self, spec: CollectionSpec) -> None:
        """Refuse."""
        self._refuse()

    async def close(self) -> None:
        """Do nothing."""

    def refuse(self) -> None:
        """Do nothing: it refuses already."""

    async def measure_recall(self) -> None:
        """There is nothing to measure."""

    async def sweep(self) -> int:
        """Delete nothing."""
        return 0

    def _refuse(self) -> NoReturn:
        raise FailedPrecondition(f"collections/{self._spec.name}", self._why)


def unknown_spec(name: str) -> CollectionSpec:
    """Give what stands for the spec of a collection of which only the name is known."""
    return CollectionSpec(
        name=name,
        model="",
        model_version="",
        dimensions=1,
        metric=SimilarityMetric.COSINE,
        keyword=None,
        quantization=VectorQuantization.NONE,
        hnsw=Hnsw(),
        payload_indexes={},
        durability=Durability.PROCESS,
        ttl_seconds=None,
        created_at=datetime.fromtimestamp(0, UTC),
    )
