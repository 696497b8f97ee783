"""What happens to models without anybody asking: sleeping for want of calls, and following the repository's folder."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Coroutine, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any

from nearfield_server.core.lifecycle import Lifecycle
from nearfield_server.core.models import Key, ModelRegistry
from nearfield_server.core.repository import Repository
from nearfield_server.errors import NearfieldError

__all__ = ["Upkeep", "UpkeepSettings"]

logger = logging.getLogger("nearfield.models")

_Signatures = dict[Key, tuple[tuple[str, int, int], ...]]


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
        """Load new versions and unload removed ones. A version is looked at when its files stand still."""
        before: _Signatures = {}
        while True:
            await asyncio.sleep(self._settings.poll_seconds)
            found = await asyncio.get_running_loop().run_in_executor(self._threads, self._scan)
            still = {key: signature for key, signature in found.items() if before.get(key) == signature}
            before = found
            try:
                await self._load_new(still)
                await self._unload_removed({key.name for key in found})
            except NearfieldError as error:
                logger.warning("following the repository", extra={"reason": error.message})

    async def _load_new(self, still: Mapping[Key, tuple[tuple[str, int, int], ...]]) -> None:
        for key, signature in still.items():
            present = self._registry.present(key.name)
            if self._done.get(key) == signature or (present is not None and not present.key.version):
                continue  # dealt with, or a model that the settings name
            self._done[key] = signature
            known = self._registry.known(key)
            if known is None or known.ready is None:
                await self._lifecycle.load(key.name, key.version)

    async def _unload_removed(self, names: set[str]) -> None:
        default = self._registry.served("")
        for one in self._registry.all():
            if one is default or not one.key.version or one.key.name in names:
                continue
            if one.ready is not None:
                await self._lifecycle.unload(one.key.name, one.key.version)
            self._registry.remove(one)

    def _scan(self) -> _Signatures:
        """Give the latest version of each name, and what its files are like."""
        found: _Signatures = {}
        for name in self._repository.names():
            if version := self._repository.latest(name):
                found[Key(name, version)] = self._repository.signature(name, version)
        return found
