"""Loading, swapping and unloading models while calls go on.

    load      read and warm the new version beside the old one, promote it, let the old one's calls end, close it
    unload    stop giving calls to it, let those in progress end, close it
    sleep     unload what nobody called for a while; the next call wakes it

What concerns one name happens one after the other. A model that can't be loaded is listed as FAILED and touches nothing
else. Used on the event loop; the work is done on `threads`.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

from nearfield_server.core.aliases import DEFAULT
from nearfield_server.core.cache import EmbeddingCache
from nearfield_server.core.catalogue import Catalogue
from nearfield_server.core.memory import give_memory_back
from nearfield_server.core.models import Key, ModelRegistry, Served
from nearfield_server.core.repository import Repository, natural_order
from nearfield_server.core.serving import Opener, ReadyModel
from nearfield_server.errors import (
    AlreadyExists,
    Draining,
    FailedPrecondition,
    InvalidInput,
    ModelNotFound,
    NearfieldError,
)
from nearfield_server.types import ModelState, ModelStatus

__all__ = ["Lifecycle", "LifecycleSettings"]

# What a stream gets to end once its model is to go.
_CUT_OFF_SECONDS = 5.0

logger = logging.getLogger("nearfield.models")

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class LifecycleSettings:
    """How models come and go."""

    load_latest: bool
    """Load every name's latest version at start."""
    unload_first: bool
    drain_seconds: float
    """What calls in progress get when their model goes."""


class Lifecycle:
    """Changes what a registry serves."""

    def __init__(
        self,
        registry: ModelRegistry,
        repository: Repository,
        opener: Opener,
        settings: LifecycleSettings,
        cache: EmbeddingCache | None = None,
    ) -> None:
        """Serve what is in `repository`, made ready by `opener`. Rows of unloaded models leave the `cache`."""
        self._registry = registry
        self._catalogue = Catalogue(repository, registry.aliases)
        self._opener = opener
        self._settings = settings
        self._cache = cache
        self._locks: dict[str, asyncio.Lock] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        registry.wake = self._wake

    async def start(self, configured: Mapping[str, Path]) -> None:
        """Load all models at once: those of the settings, by folder, and those of the repository.

        A model that fails is listed as FAILED, not raised.

        Raises:
            ModelLoadFailure: the alias `default` stands for nothing.
        """
        registry = self._registry
        wanted = [registry.add(Key(name), folder, ModelState.LOADING) for name, folder in configured.items()]
        default = registry.aliases.target(DEFAULT)
        for key, folder in (await self._off_loop(self._catalogue.at_start, configured)).items():
            load = self._settings.load_latest or default in {key.name, str(key)}
            served = registry.add(key, folder, ModelState.LOADING if load else ModelState.UNLOADED)
            if load:
                wanted.append(served)
        self._catalogue.check_aliases(registry.is_model)
        await asyncio.gather(*map(self._open, wanted))

    async def load(
        self, name: str, version: str, *, keep_previous: bool = False, unload_first: bool | None = None
    ) -> ModelStatus:
        """Load a version from the repository (empty: the latest) and give it the calls that name the model.

        Raises:
            ModelNotFound: the repository has none of that name or version.
            AlreadyExists: that version is loaded.
            FailedPrecondition: it can't be loaded; what was there serves on.
        """
        first = self._settings.unload_first if unload_first is None else unload_first
        if first and keep_previous:
            if unload_first:
                raise InvalidInput("unload_first", "doesn't go with keep_previous")
            first = False
        self._check_open()
        # A caller who goes away leaves no half-loaded model behind: what was begun is ended.
        taken_over: asyncio.Future[ModelStatus] = asyncio.get_running_loop().create_future()
        swap = self._spawn(self._swap(name, version, keep=keep_previous, unload_first=first, taken_over=taken_over))
        await asyncio.wait({swap, taken_over}, return_when=asyncio.FIRST_COMPLETED)
        if taken_over.done():
            return taken_over.result()
        self._check_open()
        await swap  # raises why it failed
        msg = "this is a bug: a load ended without a model"
        raise AssertionError(msg)

    async def unload(self, name: str, version: str) -> ModelStatus:
        """Unload one version, or all of a name.

        Raises:
            ModelNotFound: none of that name or version is listed.
            FailedPrecondition: it is the default model, or an alias stands for it, or it isn't loaded.
        """
        self._check_open()
        return await asyncio.shield(self._spawn(self._unload(name, version)))

    async def set_alias(self, alias: str, target: str) -> None:
        """Let `alias` stand for `target`, a model or one of its versions, or for nothing (empty).

        Raises:
            InvalidInput: `alias` is a model's own name.
            ModelNotFound: `target` is none.
        """
        self._check_open()
        await asyncio.shield(self._spawn(self._set_alias(alias, target)))

    async def sleep(self, served: Served, used_before: float) -> None:
        """Unload a version that was last used before that instant, until a call wakes it."""
        async with self._lock(served.key.name):
            ready = served.ready
            if ready is not None and not ready.leases and ready.used_at < used_before:
                await self._retire(served, ModelState.IDLE)

    async def close(self) -> None:
        """Stop all models and give the memory back. Calls have been drained before."""
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        for served in self._registry.all():
            if served.ready is not None:
                ready, served.ready = served.ready, None
                await ready.close()

    @property
    def idle(self) -> bool:
        """No model has anything waiting or running."""
        return all(one.ready is None or one.ready.runner.idle for one in self._registry.all())

    # One name at a time.

    async def _swap(
        self, name: str, version: str, *, keep: bool, unload_first: bool, taken_over: asyncio.Future[ModelStatus]
    ) -> None:
        """Load a version; `taken_over` is told when it has the calls, before the old one's have ended."""
        async with self._lock(name):
            registry = self._registry
            key, folder = await self._off_loop(self._catalogue.find, name, version)
            known = registry.known(key)
            if known is not None and known.ready is not None:
                raise AlreadyExists(f"{key} is loaded", resource=str(key))
            old = registry.present(name)
            old = old if old is not None and old.ready is not None else None
            # An alias of that very version still needs it.
            if old is not None and (aliases := registry.aliases.of(str(old.key))):
                if unload_first:
                    text = f"{', '.join(aliases)} stands for {old.key}: point it elsewhere first, or don't unload first"
                    raise FailedPrecondition(f"models/{old.key}", text)
                keep = True
            new = registry.add(key, folder, ModelState.LOADING)
            if old is not None and unload_first:
                registry.promote(new)  # calls are told that the model loads
                await self._retire(old, ModelState.UNLOADED)
            if not await self._open(new):
                if old is not None and unload_first:
                    registry.promote(old)
                    await self._open(old)
                raise FailedPrecondition(f"models/{key}", f"{key} can't be loaded: {new.status.message}")
            registry.promote(new)
            self._forget_failures(name, but=key)
            if old is not None:
                registry.metrics.model_swap()
            taken_over.set_result(registry.status(str(key)))
            if old is not None and old.ready is not None and not keep:
                await self._retire(old, ModelState.UNLOADED)
                registry.remove(old)

    async def _set_alias(self, alias: str, target: str) -> None:
        registry = self._registry
        async with self._lock(""):
            if registry.is_model(alias) or await self._off_loop(self._catalogue.has, alias):
                raise InvalidInput("alias", f"{alias} is a model's own name")
            if target and not registry.is_model(target):
                registry.served(target)  # says which names are near
                raise InvalidInput("target", f"{target} is an alias: name the model that it stands for")
            await self._off_loop(registry.aliases.put, {alias: target})
        registry.changes.notify()

    async def _unload(self, name: str, version: str) -> ModelStatus:
        async with self._lock(name):
            registry = self._registry
            wanted = [one for one in registry.all() if one.key.name == name and version in {"", one.key.version}]
            if not wanted:
                registry.served(f"{name}@{version}" if version else name)  # says which names are near
                raise ModelNotFound(name, ())
            self._check_unused(wanted)
            loaded = [one for one in wanted if one.ready is not None or one.status.state is ModelState.IDLE]
            if not loaded:
                raise FailedPrecondition(f"models/{wanted[0].key}", f"{wanted[0].key} isn't loaded")
            latest = max(loaded, key=lambda one: natural_order(one.key.version))
            for one in loaded:
                await self._retire(one, ModelState.UNLOADED)
                if one is not latest:
                    registry.remove(one)
            status = registry.status(str(latest.key))
            # Calls that name the model go to another version of it that is loaded, if one is.
            if others := [one for one in registry.all() if one.key.name == name and one.ready is not None]:
                heir = max(others, key=lambda one: natural_order(one.key.version))
                registry.promote(heir)
                registry.remove(latest)
                self._observe(heir)
            return status

    def _check_unused(self, wanted: list[Served]) -> None:
        default = self._registry.served("")
        for one in wanted:
            if one is default:
                raise FailedPrecondition(f"models/{one.key}", f"{one.key} is the default model: set another one first")
            present = self._registry.present(one.key.name) is one
            names = (str(one.key), one.key.name) if present else (str(one.key),)
            if aliases := self._registry.aliases.of(*names):
                text = f"{', '.join(aliases)} stands for {one.key}: point it elsewhere first"
                raise FailedPrecondition(f"models/{one.key}", text)

    async def _open(self, served: Served) -> bool:
        """Load a listed version; give whether it is READY now. If not, its state and message say why."""
        registry, key = self._registry, served.key
        registry.set_state(served, ModelState.LOADING)
        metrics = registry.metrics.for_model(key.name)
        started = time.monotonic()
        try:
            ready = await self._opener.open(
                key.name, served.folder, metrics, on_change=lambda: self._workers_changed(served)
            )
        except NearfieldError as error:
            logger.error("model failed to load", extra={"model": str(key), "reason": error.message})  # noqa: TRY400
            registry.metrics.model_load("failed")
            registry.set_state(served, ModelState.FAILED, error.message)
            return False
        seconds = time.monotonic() - started
        registry.metrics.model_load("ok")
        self._begin(served, ready, seconds)
        return True

    def _begin(self, served: Served, ready: ReadyModel, seconds: float) -> None:
        """Let a warmed model take calls."""
        served.ready = ready
        loaded = ready.loaded
        served.status = replace(
            served.status,
            spec=loaded.spec,
            execution_provider=loaded.backend.provider,
            device=loaded.device,
            choice=loaded.choice,
            workers=self._opener.settings.workers,
            batch_token_budget=ready.token_budget,
            load_seconds=seconds,
        )
        self._observe(served)
        self._registry.set_state(served, ModelState.READY)
        logger.info(
            "model ready",
            extra={
                "model": str(served.key),
                "seconds": round(seconds, 3),
                "provider": loaded.backend.provider,
                "workers": self._opener.settings.workers,
                "token_budget": ready.token_budget,
            },
        )

    def _observe(self, served: Served) -> None:
        """Let the series of its name show this version."""
        if (ready := served.ready) is None:
            return
        metrics, runner = ready.metrics, ready.runner
        metrics.watch_queue(runner.statistics)
        metrics.watch_speed(lambda: runner.tokens_per_second)
        metrics.workers(alive=runner.workers_alive, configured=self._opener.settings.workers)
        metrics.batch_token_budget(ready.token_budget)
        metrics.loaded(served.status.load_seconds)

    async def _retire(self, served: Served, state: ModelState) -> None:
        """Take calls away from a version, let those in progress end, and give its memory back."""
        ready, served.ready = served.ready, None
        if ready is None:
            self._registry.set_state(served, state)
            return
        self._registry.set_state(served, ModelState.UNLOADING)
        try:
            await ready.unused(self._settings.drain_seconds)
            ready.cut_off = True
            self._registry.changes.notify()
            await ready.unused(_CUT_OFF_SECONDS)
        finally:
            await ready.close()
        if self._registry.present(served.key.name) is served:
            ready.metrics.at_rest()
        sha256 = ready.loaded.spec.sha256
        del ready
        still = any(one.ready and one.ready.loaded.spec.sha256 == sha256 for one in self._registry.all())
        if self._cache is not None and not still:
            self._cache.drop_model(sha256)
        served.status = replace(served.status, workers=0)
        self._registry.metrics.model_unload()
        self._registry.set_state(served, state)
        await self._off_loop(give_memory_back)
        logger.info("model unloaded", extra={"model": str(served.key), "state": state.value})

    def _forget_failures(self, name: str, *, but: Key) -> None:
        """List a name's other versions no more that aren't loaded: the repository still has them."""
        for one in self._registry.all():
            if one.key.name == name and one.key != but and one.ready is None:
                self._registry.remove(one)

    def _workers_changed(self, served: Served) -> None:
        ready = served.ready
        if ready is None:
            return
        configured = self._opener.settings.workers
        ready.metrics.workers(alive=ready.runner.workers_alive, configured=configured)
        if self._registry.draining:
            return
        if ready.runner.degraded:
            lost = configured - ready.runner.workers_alive
            message = f"{lost} of {configured} workers lost, being replaced"
            self._registry.set_state(served, ModelState.DEGRADED, message)
        else:
            self._registry.set_state(served, ModelState.READY)

    # In the background.

    def _wake(self, key: Key) -> None:
        served = self._registry.known(key)
        if served is not None and served.status.state is ModelState.IDLE:
            self._registry.set_state(served, ModelState.LOADING)
            self._spawn(self._awaken(served))

    async def _awaken(self, served: Served) -> None:
        async with self._lock(served.key.name):
            # Meanwhile somebody may have loaded it, or another version.
            if served.ready is None and self._registry.known(served.key) is served:
                await self._open(served)

    def _check_open(self) -> None:
        if self._registry.draining:
            raise Draining("the server is stopping: ask another replica", retry_after_seconds=1.0)

    async def _off_loop(self, work: Callable[..., _T], *arguments: Any) -> _T:
        return await asyncio.get_running_loop().run_in_executor(self._opener.threads, work, *arguments)

    def _lock(self, name: str) -> asyncio.Lock:
        return self._locks.setdefault(name, asyncio.Lock())

    def _spawn(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._ended)
        return task

    def _ended(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) and not isinstance(error, NearfieldError):
            logger.error("a change of models failed: this is a bug", exc_info=error)
