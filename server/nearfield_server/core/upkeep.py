"""What happens to models without anybody asking: sleeping for want of calls, and following the repository's folder."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Coroutine
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any

from nearfield_server.core.lifecycle import Lifecycle
from nearfield_server.core.models import Key, ModelRegistry, Served
from nearfield_server.core.repository import Repository
from nearfield_server.errors import NearfieldError
from nearfield_server.types import ModelState

__all__ = ["Upkeep", "UpkeepSettings"]

logger = logging.getLogger("nearfield.models")

_Signatures = dict[Key, tuple[tuple[str, int, int], ...]]


@dataclass(slots=True)
class _Look:
    """What a look at the repository found: all versions, and what the files of the latest of each name are like."""

    there: set[Key] = field(default_factory=set)
    latest: _Signatures = field(default_factory=dict)
    first: bool = True
    """Stands for what was before the first look."""


@dataclass(frozen=True, slots=True, kw_only=True)
class UpkeepSettings:
    """Seconds; 0 switches a feature off."""

    poll_seconds: float
    idle_unload_seconds: float


class Upkeep:
    """Two tasks in the background. Used on the event loop; folders are read on `threads`."""

    def __init__(
        self,
        registry: ModelRegistry,
        lifecycle: Lifecycle,
        repository: Repository,
        settings: UpkeepSettings,
        threads: Executor,
    ) -> None:
        """Let `lifecycle` do what `settings` ask for."""
        self._registry = registry
        self._lifecycle = lifecycle
        self._repository = repository
        self._settings = settings
        self._threads = threads
        self._tasks: list[asyncio.Task[None]] = []
        # What a version's files were like when it was loaded, or was found not to load.
        self._done: _Signatures = {}
        # Versions whose folders are gone, and that was dealt with.
        self._gone: set[Key] = set()

    def start(self) -> None:
        """Begin, once the models are loaded."""
        if self._settings.poll_seconds:
            self._begin(self._follow(), "nearfield-follow")
        if self._settings.idle_unload_seconds:
            self._begin(self._sweep(), "nearfield-sweep")

    def stop(self) -> None:
        """End both."""
        for task in self._tasks:
            task.cancel()

    def _begin(self, work: Coroutine[Any, Any, None], name: str) -> None:
        self._tasks.append(asyncio.get_running_loop().create_task(work, name=name))

    async def _sweep(self) -> None:
        """Unload models that nobody called for a while."""
        idle = self._settings.idle_unload_seconds
        while True:
            await asyncio.sleep(min(idle / 4, 10.0))
            for one in self._registry.all():
                await self._lifecycle.sleep(one, time.monotonic() - idle)

    async def _follow(self) -> None:
        """Load new versions and unload removed ones, each when two looks found the same."""
        before = _Look()
        while True:
            try:
                look = await asyncio.get_running_loop().run_in_executor(self._threads, self._look)
            except OSError as error:  # such as a volume that isn't mounted: no reason to unload anything
                logger.warning("the model repository can't be read", extra={"reason": str(error)})
            else:
                await self._load_new(look, before)
                await self._unload_removed(look, before)
                before = look
            await asyncio.sleep(self._settings.poll_seconds)

    async def _load_new(self, look: _Look, before: _Look) -> None:
        for key, signature in look.latest.items():
            present, known = self._registry.present(key.name), self._registry.known(key)
            if present is not None and not present.key.version:
                continue  # a model that the settings name
            if before.first and known is not None:
                self._done[key] = signature  # dealt with at the start
            if before.latest.get(key) != signature or self._done.get(key) == signature:
                continue
            self._done[key] = signature
            if known is None or known.ready is None:
                await self._try(key, self._lifecycle.load(key.name, key.version))

    async def _unload_removed(self, look: _Look, before: _Look) -> None:
        """Unload versions whose folders are gone; another version of the name that is there takes over."""
        default = self._registry.served("")
        for one in self._registry.all():
            key = one.key
            if not key.version or key in look.there or key in before.there or before.first:
                self._gone.discard(key)
                continue
            rest = any(other.name == key.name for other in look.there)
            if key in self._gone or (one is default and not rest):
                continue
            self._gone.add(key)
            if one.ready is None:
                self._forget(one)
            elif rest and not any(other.ready for other in self._registry.all() if _versions(other, one)):
                await self._try(key, self._lifecycle.load(key.name, ""))  # which takes its place
            else:
                await self._try(key, self._lifecycle.unload(key.name, key.version))
                self._forget(one)

    def _forget(self, one: Served) -> None:
        """List a version no more, unless it is loaded or about to go anyway."""
        if one.ready is None and one.status.state is not ModelState.UNLOADING and self._registry.known(one.key) is one:
            self._registry.remove(one)

    async def _try(self, key: Key, change: Awaitable[object]) -> None:
        """Make a change; if it can't be made, say so and go on with the next."""
        try:
            await change
        except NearfieldError as error:
            logger.warning("following the repository", extra={"model": str(key), "reason": error.message})

    def _look(self) -> _Look:
        """Look at the folders. Raises `OSError` when the repository can't be read."""
        next(self._repository.path.iterdir(), None)
        look = _Look(first=False)
        for name in self._repository.names():
            versions = self._repository.versions(name)
            look.there.update(Key(name, version) for version in versions)
            if versions:
                look.latest[Key(name, versions[-1])] = self._repository.signature(name, versions[-1])
        return look


def _versions(one: Served, other: Served) -> bool:
    """Whether these are two versions of one model."""
    return one is not other and one.key.name == other.key.name
