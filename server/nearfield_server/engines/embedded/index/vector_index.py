"""The derived vector index of one collection, as its store sees it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from nearfield_server.engines.embedded.index.query import IndexNotReady, IndexQuery, IndexSettings
from nearfield_server.types import CollectionSpec, IndexState

__all__ = ["VectorIndex"]


class VectorIndex:
    """Finds rows near a vector; each answer may be late by some writes, and is checked by the store."""

    def __init__(self, folder: Path, database: Path, spec: CollectionSpec, settings: IndexSettings) -> None:
        """Keep the files in `folder`, which may be deleted at any time, and read the truth from `database`."""
        self._folder = folder
        self._database = database
        self._spec = spec
        self._settings = settings

    def start(self) -> None:
        """Begin to open the last good generation, or to build one, in the background of the running loop."""

    @property
    def state(self) -> IndexState:
        """BUILDING, READY or FAILED."""
        return IndexState.BUILDING

    @property
    def message(self) -> str:
        """Why it isn't ready, or ""."""
        return "starting"

    @property
    def applied(self) -> int:
        """The number of the last write that searches see."""
        return 0

    @property
    def memory_bytes(self) -> int:
        """Resident memory of the serving worker; 0 without one."""
        return 0

    @property
    def disk_bytes(self) -> int:
        """Size of the files when they were last looked at."""
        return 0

    async def search(self, queries: Sequence[IndexQuery]) -> list[list[tuple[int, float]]]:  # noqa: ARG002
        """Give rows and scores for each query, best first.

        Raises:
            IndexNotReady: it can't answer now, or not with such a filter; search exactly.
        """
        raise IndexNotReady("starting")

    def written(self, sequence: int, rows: int) -> None:
        """Hear of a commit: its number, and how many rows it changed."""

    async def wait_applied(self, sequence: int) -> None:
        """Wait until searches see the write `sequence`, or the index isn't ready: exact search sees everything."""

    async def reconfigure(self, spec: CollectionSpec) -> None:
        """Take over other payload indexes or another quantisation, by a new generation in the background."""
        self._spec = spec

    async def close(self) -> None:
        """End the workers. The generation stays."""
