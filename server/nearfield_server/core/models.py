"""Which models are served, in which state, who uses them, and who wants to know when that changes.

A model has a name and, in the model repository, versions. A request names `name` (its present version),
`name@version` (a loaded one), or an alias of either; an empty name is the alias `default`, else the configured default.
`core.lifecycle` loads and unloads; everything here only looks, and is used on the event loop.
"""

from __future__ import annotations

import asyncio
import difflib
import time
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

from nearfield_server.core.aliases import DEFAULT, Aliases
from nearfield_server.core.changes import Changes
from nearfield_server.core.repository import natural_order
from nearfield_server.core.serving import ReadyModel
from nearfield_server.errors import Draining, ModelNotFound, ModelNotReady
from nearfield_server.telemetry.metrics import Metrics
from nearfield_server.types import Limits, ModelState, ModelStatus

__all__ = ["Key", "ModelRegistry", "Served"]

_RETRY_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class Key:
    """A model's name, and its version in the repository; empty for models that the settings name by folder."""

    name: str
    version: str = ""

    def __str__(self) -> str:
        """As requests name it."""
        return f"{self.name}@{self.version}" if self.version else self.name


@dataclass(slots=True, eq=False)
class Served:
    """One version of a model; `ready` while it takes calls."""

    key: Key
    folder: Path
    status: ModelStatus
    ready: ReadyModel | None = None


class ModelRegistry:
    """All models by name and version."""

    def __init__(self, limits: Limits, metrics: Metrics, aliases: Aliases, default: str) -> None:
        """`limits` are published for all models; `default` is the model of calls that name none."""
        self.limits = limits
        self.metrics = metrics
        self.aliases = aliases
        self.changes = Changes()
        self.draining = False
        self.wake: Callable[[Key], None] = lambda _: None
        """Told when a call asks for a model that sleeps."""
        self._default = default
        self._served: dict[Key, Served] = {}
        self._present: dict[str, Key] = {}

    def __repr__(self) -> str:
        """Show each model's state."""
        states = {str(key): one.status.state.value for key, one in self._served.items()}
        return f"<ModelRegistry {states}{' draining' if self.draining else ''}>"

    @property
    def default(self) -> str:
        """What an empty name means: a model, or one of its versions."""
        return self.aliases.target(DEFAULT) or self._default

    def statuses(self) -> list[ModelStatus]:
        """All models, the default one first, then by name; versions of a name newest first."""
        shown = [self._shown(one) for one in self._served.values()]
        shown.sort(key=lambda one: natural_order(one.version), reverse=True)
        shown.sort(key=lambda one: one.name)
        default = self._find(self.default)
        return sorted(shown, key=lambda one: default is None or one.name != default.key.name)

    def status(self, name: str) -> ModelStatus:
        """One model by name, `name@version` or alias; empty: the default one. Raises `ModelNotFound`."""
        return self._shown(self.served(name))

    def served(self, name: str) -> Served:
        """Give what `name` stands for: see above. Raises `ModelNotFound`."""
        found = self._find(self.aliases.target(name) or name if name else self.default)
        if found is None:
            known = dict.fromkeys([*self._present, *self.aliases.all(), *map(str, self._served)])
            raise ModelNotFound(name or self.default, tuple(difflib.get_close_matches(name, known, n=3)))
        return found

    def is_model(self, name: str) -> bool:
        """Whether `name` is a model's own name, or `name@version` of one, and no alias."""
        return self._find(name) is not None

    def get(self, name: str) -> ReadyModel:
        """Give the model to use for a call, which should hold a `lease` on it while it runs.

        Raises:
            ModelNotFound: none of that name.
            ModelNotReady: it loads, or couldn't be loaded, or isn't loaded.
            Draining: the server stops.
        """
        served = self.served(name)
        state = served.status.state
        if self.draining:
            self.metrics.for_model(served.key.name).rejected("draining")
            raise Draining("the server is stopping: ask another replica", retry_after_seconds=_RETRY_SECONDS)
        if served.ready is not None:
            return served.ready
        if state is ModelState.UNLOADED:  # which has no series
            raise ModelNotReady("the model is not loaded: LoadModel loads it", retry_after_seconds=30.0)
        self.metrics.for_model(served.key.name).rejected("not_ready")
        if state is ModelState.FAILED:
            raise ModelNotReady("the model could not be loaded: see ListModels", retry_after_seconds=30.0)
        if state is ModelState.IDLE:
            self.wake(served.key)
        raise ModelNotReady("the model is loading", retry_after_seconds=_RETRY_SECONDS)

    @contextmanager
    def lease(self, name: str, held: ReadyModel | None = None) -> Iterator[ReadyModel]:
        """Give the model of a call, or the one that its stream holds already; it stays loaded within the block.

        Raises as `get`.
        """
        model = held or self.get(name)
        model.leases += 1
        try:
            yield model
        finally:
            model.leases -= 1
            model.used_at = time.monotonic()

    async def watch(self, name: str) -> AsyncIterator[ModelStatus]:
        """Give each model as it is, then again whenever it changed. Ends when the server drains.

        Args:
            name: one model; empty: all. Raises `ModelNotFound`.
        """
        if name:
            name = self.served(name).key.name
        seen: dict[Key, ModelStatus] = {}
        while True:
            changed = asyncio.ensure_future(self.changes.wait())
            try:
                for status in self.statuses():
                    key = Key(status.name, status.version)
                    if name in {"", status.name} and seen.get(key) != status:
                        seen[key] = status
                        yield status
                if self.draining:
                    return
                await changed
            finally:
                changed.cancel()

    def drain(self) -> None:
        """Refuse new calls from now on; those under way go on."""
        self.draining = True
        for one in self._served.values():
            self.set_state(one, ModelState.UNLOADING)

    def readiness(self) -> Mapping[str, bool]:
        """Whether each model takes calls with all its workers, by name; "" is the default model, hence the server.

        A model that sleeps for want of calls counts as ready: the next call wakes it.
        """
        awake = {ModelState.READY, ModelState.IDLE}
        ready = {name: self._served[key].status.state in awake for name, key in self._present.items()}
        default = self._find(self.default)
        return {**ready, "": default is not None and default.status.state in awake}

    # For `core.lifecycle`.

    def all(self) -> list[Served]:
        """Every version that is known."""
        return list(self._served.values())

    def known(self, key: Key) -> Served | None:
        """Give a version if it is known."""
        return self._served.get(key)

    def present(self, name: str) -> Served | None:
        """Give the version of `name` that calls get."""
        key = self._present.get(name)
        return None if key is None else self._served[key]

    def add(self, key: Key, folder: Path, state: ModelState) -> Served:
        """List a version, in place of what was known of it; the first of its name is what the name means."""
        status = ModelStatus(name=key.name, version=key.version, state=state, is_default=False, limits=self.limits)
        served = self._served[key] = Served(key, folder, status)
        self._present.setdefault(key.name, key)
        self.set_state(served, state)
        return served

    def promote(self, served: Served) -> None:
        """Give the calls that name the model to this version from now on."""
        self._present[served.key.name] = served.key
        self.set_state(served, served.status.state)

    def remove(self, served: Served) -> None:
        """List a version no more; with the last one of its name all series of the model go."""
        self._served.pop(served.key, None)
        name = served.key.name
        if self._present.get(name) == served.key:
            del self._present[name]
            rest = [key for key in self._served if key.name == name]
            if rest:
                self._present[name] = max(rest, key=lambda key: natural_order(key.version))
            else:
                self.metrics.forget_model(name)
        self._count()
        self.changes.notify()

    def set_state(self, served: Served, state: ModelState, message: str = "") -> None:
        """Say how a version is."""
        served.status = replace(served.status, state=state, message=message, changed_at=time.time())
        name = served.key.name
        if self._present.get(name) == served.key:
            if state is ModelState.UNLOADED:
                self.metrics.forget_model(name)
            else:
                self.metrics.for_model(name).state(state)
        self._count()
        self.changes.notify()

    def _count(self) -> None:
        self.metrics.models(one.status.state for one in self._served.values())

    def _find(self, target: str) -> Served | None:
        name, _, version = target.partition("@")
        key = Key(name, version) if version else self._present.get(name)
        return None if key is None else self._served.get(key)

    def _shown(self, served: Served) -> ModelStatus:
        """Give the status with what depends on others: default and aliases."""
        key = served.key
        present = self._present.get(key.name) == key
        default = self._find(self.default)
        names = (str(key), key.name) if present else (str(key),)
        return replace(served.status, is_default=default is served, aliases=self.aliases.of(*names))
