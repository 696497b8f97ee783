"""Collections by name and alias: making, changing and deleting them, and finding the store of a call.

The engine knows the collections, the alias file the names that stand for them; nothing is kept here. A call keeps the
store that it began with: an alias that moves meanwhile touches new calls only.
"""

from __future__ import annotations

import asyncio
import difflib
import math
import re
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime

from nearfield_server.core.aliases import Aliases
from nearfield_server.core.collection_calls import CollectionChange, CollectionsSettings, CollectionView, NewCollection
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.write_gates import WriteGates
from nearfield_server.engines.base import Engine, Store
from nearfield_server.errors import AlreadyExists, CollectionNotFound, FailedPrecondition, InvalidInput, ModelNotReady
from nearfield_server.filters import split_path
from nearfield_server.types import (
    CollectionSpec,
    CollectionStats,
    FieldType,
    ModelSpec,
    OutputKind,
    SimilarityMetric,
)

__all__ = ["Collections"]

MAX_DIMENSIONS = 65_536
MAX_INDEXES = 64
MAX_TTL_SECONDS = 1e10
"""About 317 years."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_RETRY_SECONDS = 1.0


class Collections:
    """All collections of a server. Used on the event loop."""

    def __init__(
        self,
        engine: Engine,
        models: ModelRegistry,
        aliases: Aliases,
        unfinished: Aliases,
        settings: CollectionsSettings,
    ) -> None:
        """Hold the collections of `engine`, whose texts `models` embeds.

        `unfinished` keeps the names of those that a restart does away with.
        """
        self._unfinished = unfinished
        self._engine = engine
        self._models = models
        self._aliases = aliases
        self._settings = settings
        self._changing = asyncio.Lock()
        """One change of names at a time: collections and aliases share them."""
        self._held: dict[str, str] = {}
        self.writes = WriteGates()
        """Writers of points pass them."""
        self.ready = False
        """Whether they are open."""

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<Collections {len(self._engine.stores())}{'' if self.ready else ' not open'}>"

    async def open(self) -> None:
        """Open what the engine holds. Raises `ConfigError`."""
        await self._engine.start()
        for name in self._unfinished.all():  # a server that was killed was restoring it
            await self.abandon(name)
        self.ready = True
        self._models.changes.notify()

    async def close(self) -> None:
        """Give everything back."""
        self.ready = False
        await self._engine.close()

    def stores(self) -> dict[str, Store]:
        """All collections by name."""
        return self._engine.stores()

    def store(self, name: str) -> Store:
        """Give the store of a collection or alias.

        Raises:
            CollectionNotFound: there is none of that name.
            ModelNotReady: the collections are being opened.
        """
        if not self.ready:
            raise ModelNotReady("the collections are being opened", retry_after_seconds=_RETRY_SECONDS)
        stores = self._engine.stores()
        found = stores.get(name) or stores.get(self._aliases.target(name) or "")
        if found is None:
            raise CollectionNotFound(name, tuple(difflib.get_close_matches(name[:64], [*stores, *self._aliases.all()])))
        return found

    async def create(self, asked: NewCollection) -> CollectionView:
        """Make a collection.

        Raises:
            AlreadyExists: there is a collection or an alias of that name.
            FailedPrecondition: there are as many collections as the settings allow.
            InvalidInput: a field is wrong, or the model can't do it.
            ModelNotFound, ModelNotReady: of its model.
        """
        check_name("name", asked.name)  # before the model is asked for
        _check_indexes("payload_indexes", asked.payload_indexes)
        _check_ttl(asked.ttl_seconds)
        return await self.view(await self.add(self.decide(asked)))

    async def add(self, spec: CollectionSpec, field_: str = "name", *, unfinished: bool = False) -> Store:
        """Make a collection that is already decided; `unfinished` ones are gone after a restart, until `finished`.

        Raises:
            AlreadyExists: there is a collection or an alias of that name.
            FailedPrecondition: there are as many collections as the settings allow.
            InvalidInput: it can't be a name; `field_` is blamed.
        """
        check_name(field_, spec.name)
        async with self._changing:
            stores = self._opened()
            self._check_free(field_, spec.name, stores)
            if spec.name in stores:
                raise AlreadyExists(f"{field_}: there is a collection of that name", f"collections/{spec.name}")
            if len(stores) >= (most := self._settings.max_collections):
                text = f"there are {len(stores)} collections; at most {most} (search.max_collections): delete one"
                raise FailedPrecondition("collections", text)
            if unfinished:
                await asyncio.to_thread(self._unfinished.put, {spec.name: "restoring"})
            elif self._unfinished.target(spec.name):  # of one that never came to be, or is gone; this one stays
                await asyncio.to_thread(self._unfinished.put, {spec.name: ""})
            return await self._engine.create(spec)

    async def finished(self, name: str) -> None:
        """Keep a collection that was added as unfinished."""
        async with self._changing:
            await asyncio.to_thread(self._unfinished.put, {name: ""})

    async def abandon(self, name: str) -> None:
        """Delete a collection that was added as unfinished, unless somebody made another one of its name meanwhile."""
        async with self._changing:
            if not self._unfinished.target(name):
                return
            with suppress(CollectionNotFound):
                await self._engine.drop(name)
            await asyncio.to_thread(self._unfinished.put, {name: ""})

    def unfinished(self, name: str) -> bool:
        """Whether a collection was added as unfinished and is it still."""
        return bool(self._unfinished.target(name))

    def hold(self, name: str, by: str) -> None:
        """Refuse to delete a collection until `release`; `by` says what needs it. It needn't be there yet."""
        self._held[name] = by

    def release(self, name: str) -> None:
        """Let it be deleted again."""
        self._held.pop(name, None)

    async def discard(self, name: str) -> None:
        """Delete a collection for which no alias stands, if it is there, held or not."""
        async with self._changing:
            with suppress(CollectionNotFound):
                await self._engine.drop(name)

    async def get(self, name: str) -> CollectionView:
        """Give one by name or alias. Raises `CollectionNotFound`."""
        return await self.view(self.store(name))

    async def list(self) -> list[CollectionView]:
        """Give all, by name."""
        views = []
        for _, store in sorted(self._opened().items()):
            views.append(await self.view(store))
        return views

    async def stats(self) -> dict[str, CollectionStats]:
        """Give the figures of all, for metrics."""
        return {name: await store.stats() for name, store in self._engine.stores().items()}

    async def update(self, name: str, change: CollectionChange) -> CollectionView:
        """Change what may be changed. Raises `CollectionNotFound` or `InvalidInput`."""
        _check_indexes("add_payload_indexes", change.add_indexes)
        _check_ttl(change.ttl_seconds)
        async with self._changing:
            store = self.store(name)
            spec = store.spec
            indexes = dict(spec.payload_indexes)
            for index, path in enumerate(change.drop_indexes):
                if indexes.pop(path, None) is None:
                    raise InvalidInput(f"drop_payload_indexes[{index}]", "no field of that path has an index")
            for path, kind in change.add_indexes.items():
                if indexes.get(path, kind) is not kind:
                    text = "the field has an index of another type: drop that in the same call"
                    raise InvalidInput("add_payload_indexes", text)
            indexes |= change.add_indexes
            _check_indexes("add_payload_indexes", indexes)
            ttl = spec.ttl_seconds if change.ttl_seconds is None else change.ttl_seconds or None
            await store.update(
                replace(
                    spec,
                    payload_indexes=indexes,
                    ttl_seconds=ttl,
                    quantization=change.quantization or spec.quantization,
                    durability=change.durability or spec.durability,
                )
            )
        return await self.view(store)

    async def delete(self, name: str) -> None:
        """Delete a collection with its points.

        Raises:
            CollectionNotFound: there is none of that name.
            FailedPrecondition: it is an alias, an alias stands for it, or it is held.
        """
        async with self._changing:
            stores = self._opened()
            if name not in stores and self._aliases.target(name):
                text = "an alias: delete the collection by its own name; SetCollectionAlias takes the alias away"
                raise FailedPrecondition(f"aliases/{name}", text)
            store = self.store(name)
            if aliases := self._aliases.of(store.spec.name):
                text = f"aliases stand for it ({', '.join(aliases[:5])}): take them away first (SetCollectionAlias)"
                raise FailedPrecondition(f"collections/{name}", text)
            if by := self._held.get(name):
                raise FailedPrecondition(f"collections/{name}", f"{by} needs it: wait for its end, or cancel it")
            await self._engine.drop(name)

    async def set_alias(self, alias: str, collection: str) -> str:
        """Let `alias` stand for `collection`, or for nothing (empty); give what it stood for. On the disk afterwards.

        Raises:
            AlreadyExists: there is a collection named as the alias.
            CollectionNotFound: there is none to stand for, or no such alias to take away.
            FailedPrecondition: there are as many aliases as the settings allow collections, or the collection is being
                filled.
        """
        check_name("alias", alias)
        async with self._changing:
            stores = self._opened()
            if alias in stores:
                raise AlreadyExists("alias: there is a collection of that name", f"collections/{alias}")
            if collection and collection not in stores:
                raise CollectionNotFound(collection, tuple(difflib.get_close_matches(collection[:64], stores)))
            self.writes.check(collection)
            previous = self._aliases.target(alias) or ""
            if not previous and not collection:
                raise CollectionNotFound(alias, tuple(difflib.get_close_matches(alias, self._aliases.all())))
            self._check_aliases(0 if previous else 1)
            await asyncio.to_thread(self._aliases.put, {alias: collection})
            return previous

    def movable(self, asked: Sequence[str], source: str) -> tuple[str, ...]:
        """Give those of some aliases, or all, that stand for `source`, and those asked for that stand for nothing."""
        stands = {alias: self._aliases.target(alias) for alias in asked or self._aliases.of(source)}
        return tuple(alias for alias, target in stands.items() if target in {None, source})

    def check_movable(self, asked: Sequence[str], source: str) -> None:
        """Raise what keeps aliases from being moved away from `source`, or made.

        Raises:
            AlreadyExists: there is a collection named as one.
            FailedPrecondition: one stands for another collection, or there are as many as the settings allow.
            InvalidInput: one can't be a name.
        """
        for index, alias in enumerate(asked):
            check_name(f"aliases[{index}]", alias)
            if alias in self._engine.stores():
                raise AlreadyExists(f"aliases[{index}]: there is a collection of that name", f"collections/{alias}")
            if (target := self._aliases.target(alias)) not in {None, source}:
                raise FailedPrecondition(f"aliases/{alias}", f"it stands for {target}: take it away first")
        self._check_aliases(sum(self._aliases.target(alias) is None for alias in set(asked)))

    async def move_aliases(self, aliases: Sequence[str], target: str) -> None:
        """Let all of them stand for `target`, at once; on the disk afterwards. Raises `OSError`."""
        async with self._changing:
            await asyncio.to_thread(self._aliases.put, dict.fromkeys(aliases, target))

    def moved(self, aliases: Sequence[str], target: str) -> bool:
        """Whether all of them stand for `target`."""
        return all(self._aliases.target(alias) == target for alias in aliases)

    def _check_aliases(self, more: int) -> None:
        if more and len(self._aliases.all()) + more > (most := self._settings.max_collections):
            raise FailedPrecondition("aliases", f"there would be over {most} aliases (search.max_collections)")

    def _opened(self) -> dict[str, Store]:
        if not self.ready:
            raise ModelNotReady("the collections are being opened", retry_after_seconds=_RETRY_SECONDS)
        return self._engine.stores()

    def _check_free(self, field_: str, name: str, stores: Mapping[str, Store]) -> None:
        # An alias whose collection is gone gives way.
        if self._aliases.target(name) in stores:
            raise AlreadyExists(f"{field_}: there is an alias of that name", f"aliases/{name}")

    async def view(self, store: Store) -> CollectionView:
        """Give a collection as callers see it."""
        spec = store.spec
        return CollectionView(spec, await store.stats(), self._aliases.of(spec.name), self._settings.engine)

    def decide(self, asked: NewCollection) -> CollectionSpec:
        """Give what decides a collection, made now. Raises `InvalidInput`, `ModelNotFound` or `ModelNotReady`."""
        name, version, metric, dimensions = "", "", SimilarityMetric.COSINE, asked.dimensions
        if dimensions > MAX_DIMENSIONS:
            raise InvalidInput("dimensions", f"{dimensions} is outside 1 to {MAX_DIMENSIONS}")
        if asked.model or not dimensions:
            with self._models.lease(asked.model) as model:
                spec = model.loaded.spec
            _check_model(spec, dimensions)
            # By its own name: an alias may stand for another model tomorrow.
            name, version, metric = self._models.served(asked.model).key.name, spec.version, spec.similarity
            dimensions = dimensions or spec.dimensions
        return CollectionSpec(
            name=asked.name,
            model=name,
            model_version=version,
            dimensions=dimensions,
            metric=asked.metric or metric,
            keyword=asked.keyword,
            quantization=asked.quantization,
            hnsw=asked.hnsw,
            payload_indexes=dict(asked.payload_indexes),
            durability=asked.durability or self._settings.durability,
            ttl_seconds=asked.ttl_seconds or None,
            created_at=datetime.fromtimestamp(time.time(), UTC),
        )


def check_name(field_: str, name: str) -> None:
    """Raise `InvalidInput` for what can't be the name of a collection or alias."""
    if not _NAME.fullmatch(name):
        text = "must be 1 to 64 letters, digits, dots, dashes or underscores, the first one a letter or digit"
        raise InvalidInput(field_, text)


def _check_model(spec: ModelSpec, dimensions: int) -> None:
    if OutputKind.DENSE not in spec.outputs:
        raise InvalidInput("model", "it gives no DENSE vectors: name another one, or set `dimensions` alone")
    if dimensions in {0, spec.dimensions}:
        return
    if dimensions > spec.dimensions:
        raise InvalidInput("dimensions", f"{dimensions} is outside 1 to {spec.dimensions}, the model's width")
    if spec.matryoshka_dimensions and dimensions not in spec.matryoshka_dimensions:
        widths = ", ".join(map(str, sorted({*spec.matryoshka_dimensions, spec.dimensions})))
        raise InvalidInput("dimensions", f"the model was trained for these widths: {widths}")


def _check_indexes(field_: str, indexes: Mapping[str, FieldType]) -> None:
    if len(indexes) > MAX_INDEXES:
        raise InvalidInput(field_, f"{len(indexes)} payload indexes; at most {MAX_INDEXES}")
    for path in indexes:
        try:
            split_path(path)
        except ValueError as error:
            raise InvalidInput(field_, f"a key is no path: {error}") from None


def _check_ttl(seconds: float | None) -> None:
    if seconds is not None and not (math.isfinite(seconds) and 0 <= seconds <= MAX_TTL_SECONDS):
        raise InvalidInput("ttl", f"must be 0 to {MAX_TTL_SECONDS:.0f} seconds")
