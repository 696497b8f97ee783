"""Writes to collections, that may have to wait for a moment or are refused for a while."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncGenerator, Generator
from contextlib import asynccontextmanager, contextmanager

from nearfield_server.errors import FailedPrecondition

__all__ = ["WriteGates"]


class WriteGates:
    """A gate for each collection, by name; open unless somebody shuts it. Used on the event loop."""

    def __init__(self) -> None:
        """Start with all of them open."""
        self._writing: Counter[str] = Counter()
        self._shut: dict[str, asyncio.Event] = {}
        self._quiet: dict[str, asyncio.Event] = {}
        self._refused: dict[str, str] = {}

    def __repr__(self) -> str:
        """Show how many writes are under way."""
        return f"<WriteGates {self._writing.total()} writes, {len(self._shut)} shut>"

    async def passed(self, name: str) -> None:
        """Wait until the gate is open. Raises `FailedPrecondition` where writes are refused."""
        while (opened := self._shut.get(name)) is not None:
            await opened.wait()
        self.check(name)

    def check(self, name: str) -> None:
        """Raise `FailedPrecondition` where writes are refused."""
        if why := self._refused.get(name):
            raise FailedPrecondition(f"collections/{name}", why)

    @contextmanager
    def writing(self, name: str) -> Generator[None, None, None]:
        """Tell of a write for the length of a block; the gate was just `passed`, with no `await` since."""
        self._writing[name] += 1
        try:
            yield
        finally:
            self._writing[name] -= 1
            if not self._writing[name]:
                del self._writing[name]
                if name in self._quiet:
                    self._quiet[name].set()

    @asynccontextmanager
    async def shut(self, name: str) -> AsyncGenerator[None, None]:
        """Let new writes wait for the length of a block, which begins when those under way have ended."""
        opened = self._shut[name] = asyncio.Event()
        try:
            if self._writing[name]:
                self._quiet[name] = asyncio.Event()
                await self._quiet[name].wait()
            yield
        finally:
            self._quiet.pop(name, None)
            del self._shut[name]
            opened.set()

    def refuse(self, name: str, why: str) -> None:
        """Refuse writes until `allow`."""
        self._refused[name] = why

    def allow(self, name: str) -> None:
        """Refuse them no more."""
        self._refused.pop(name, None)
