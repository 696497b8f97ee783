"""What is to be computed with, brought together: texts are embedded, vectors checked, points read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nearfield_server.core.collections import Collections
from nearfield_server.core.computing.items import Caller, CollectionSource, Items, Origin
from nearfield_server.core.computing.matter import Matter
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.engines.base import Store
from nearfield_server.errors import FailedPrecondition, InvalidInput, NearfieldError, Overloaded, Unavailable
from nearfield_server.types import EmbedCall, EmbedOptions, FloatRows, Input, InputType, PointId, Record, Selection
from nearfield_server.vectors.finish import unit_rows

__all__ = ["CheckSize", "Embedded", "Gathered", "Gatherer", "joined", "replaced"]

_PAGE = 1024
_EVERYTHING = Selection(payload=False, text=True, vector=True)
_WITH_PAYLOAD = replace(_EVERYTHING, payload=True)
_RETRY_SECONDS = 5.0
_ITEMS = "items."
"""What the fields begin with that blame a single item."""

CheckSize = Callable[[str, int, int, int], None]
"""Refuses what is too much, given the field at fault, items, dimensions and bytes of texts."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """Unit rows, float32 [items, dimensions], and what made them; `model` "": the caller."""

    rows: FloatRows
    model: str = ""
    model_version: str = ""


@dataclass(slots=True)
class Gathered:
    """Items brought together so far. Close it: it holds memory."""

    check_size: CheckSize
    origin: Origin
    matter: Matter | None = None
    closed: bool = False

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        if self.matter is None:
            return 0
        return len(self.matter) * self.matter.dimensions * 4 + self.matter.texts.bytes

    def close(self) -> None:
        """Give the memory back."""
        self.closed = True
        if self.matter is not None:
            self.matter.close()
            self.matter = None


class Gatherer:
    """Gathers for one computation after another. `memory_bytes` is what all of them together may hold."""

    def __init__(self, embedder: Embedder, models: ModelRegistry, collections: Collections, memory_bytes: int) -> None:
        """Embed by `embedder`, and read from `collections`."""
        self._embedder = embedder
        self._models = models
        self._collections = collections
        self._memory_bytes = memory_bytes
        self._open: list[Gathered] = []

    def begin(self, check_size: CheckSize) -> Gathered:
        """Begin with nothing; `check_size` is asked before anything is added."""
        gathered = Gathered(check_size, Origin())
        self._open = [one for one in self._open if not one.closed]
        self._open.append(gathered)
        return gathered

    async def add(self, gathered: Gathered, items: Items, embedding: EmbedOptions, caller: Caller) -> None:
        """Add all of some items, or none.

        Raises:
            InvalidInput: an item can't be embedded or has no direction, or doesn't go with those before.
            TooLarge: they would take more memory than may be.
            Overloaded: all that is being gathered takes too much memory.
            NearfieldError: as `Embedder.embed`.
        """
        await self._take(gathered, await self.rows(items, embedding, caller), items.texts, items.ids)

    async def _take(self, gathered: Gathered, found: Embedded, texts: Sequence[str], ids: Sequence[PointId]) -> None:
        self._check_same(
            gathered, Origin(model=found.model, model_version=found.model_version, dimensions=found.rows.shape[1])
        )
        if (matter := gathered.matter) is not None and len(matter) and bool(ids) != bool(matter.ids):
            raise InvalidInput("items.ids", "give ids for all items, or for none")
        await self._put(gathered, found.rows, texts, ids)

    async def add_each(
        self, gathered: Gathered, items: Items, embedding: EmbedOptions, caller: Caller
    ) -> dict[int, NearfieldError]:
        """Add those of some items that can be; give why the others can't, by their rows.

        Raises:
            NearfieldError: as `add`, for what isn't the fault of a single item.
        """
        failures: dict[int, NearfieldError] = {}
        found = await self.each(items, embedding, caller, failures)
        if found:
            rows, texts = [row for part, _ in found for row in part], items.texts
            ids = tuple(items.ids[row] for row in rows) if items.ids else ()
            # All at once: whoever is refused may send the message again.
            await self._take(gathered, joined([part for _, part in found]), [texts[row] for row in rows], ids)
        return failures

    async def each(
        self, items: Items, embedding: EmbedOptions, caller: Caller, failures: dict[int, NearfieldError]
    ) -> list[tuple[range, Embedded]]:
        """Give the unit rows of those items that can be embedded, in runs; put why the others can't into `failures`.

        Raises:
            NearfieldError: as `rows`, for what isn't the fault of a single item.
        """
        pending, found = [range(len(items))] if len(items) else [], []
        while pending:
            rows = pending.pop()
            try:
                found.append((rows, await self.rows(items.part(rows), embedding, caller)))
            except InvalidInput as error:
                if not error.violations[0].field.startswith(_ITEMS):
                    raise
                if len(rows) == 1:
                    failures[rows[0]] = error
                    continue
                half = len(rows) // 2
                pending += [rows[half:], rows[:half]]
        return found

    async def rows(self, items: Items, embedding: EmbedOptions, caller: Caller) -> Embedded:
        """Give the unit rows of some items: their own vectors, where they have them. Raises as `add`."""
        if items.vectors is not None:
            return Embedded(await asyncio.to_thread(unit_rows, items.vectors))
        return await self.embed(items.inputs, embedding, caller)

    async def embed(
        self, inputs: Sequence[Input], embedding: EmbedOptions, caller: Caller, path: str = "items.inputs"
    ) -> Embedded:
        """Embed any number of inputs. Raises as `Embedder.embed`; what is wrong in them is blamed on `path`."""
        most = self._models.limits.max_inputs
        parts: list[FloatRows] = []
        options = replace(embedding, input_type=embedding.input_type or InputType.CLUSTERING, normalize=True)
        with self._models.lease(embedding.model) as model:
            spec = model.loaded.spec
            for start in range(0, len(inputs), most):
                call = EmbedCall(tuple(inputs[start : start + most]), options, caller.deadline, caller.identity)
                try:
                    result = await self._embedder.embed(call, sent=False, held=model)
                except InvalidInput as error:
                    raise error.moved(partial(_place, path, start)) from None
                parts.append(np.ascontiguousarray(result.matrix, np.float32))
        return Embedded(np.concatenate(parts), spec.name, spec.version)

    def store(self, source: CollectionSource) -> Store:
        """Give the store to read. Raises `CollectionNotFound` or `ModelNotReady`."""
        return self._collections.store(source.collection).at(source.consistency)

    async def count(self, source: CollectionSource, check_size: CheckSize) -> int:
        """Give how many points match, which is one at least. Raises what keeps them from being gathered."""
        store = self.store(source)
        count, _ = await store.count(source.tenant, source.condition, estimate=False)
        if not count:
            subject = f"collections/{store.spec.name}"
            raise FailedPrecondition(subject, "no point of the collection matches: there is nothing to compute")
        check_size("collection", count, store.spec.dimensions, 0)
        return count

    async def read(
        self,
        gathered: Gathered,
        source: CollectionSource,
        told: Callable[[float], None],
        wanted: Callable[[Record], bool] | None = None,
    ) -> None:
        """Add the points of a collection; `told` hears the share that is read. Raises as `add` and `count`.

        `wanted` is asked of each point that would be added, with its payload; it may want none.
        """
        total = await self.count(source, gathered.check_size)
        store, cursor, dropped = self.store(source), "", 0
        spec = store.spec
        origin = Origin(
            collection=spec.name, model=spec.model, model_version=spec.model_version, dimensions=spec.dimensions
        )
        self._check_same(gathered, origin)
        assert gathered.matter is not None  # noqa: S101 - made by _check_same
        selection = _EVERYTHING if wanted is None else _WITH_PAYLOAD
        while True:
            page = await store.scroll(source.tenant, source.condition, selection, limit=_PAGE, cursor=cursor)
            found = [one for one in page.records if one.vector is not None]
            kept = [one for one in found if one.vector is not None and one.vector.any()]
            dropped += len(found) - len(kept)
            if wanted is not None:
                kept = [one for one in kept if wanted(one)]
            if kept:
                rows = await asyncio.to_thread(_directions, kept)
                await self._put(gathered, rows, [one.text for one in kept], tuple(one.id for one in kept))
            told(min(1.0, len(gathered.matter) / total))
            if not (cursor := page.cursor):
                break
        gathered.origin = replace(gathered.origin, dropped=dropped)
        if not len(gathered.matter) and wanted is None:
            raise FailedPrecondition(f"collections/{spec.name}", "no point has a direction: all vectors are zero")

    def _check_same(self, gathered: Gathered, origin: Origin) -> None:
        if gathered.matter is None:
            gathered.origin, gathered.matter = origin, Matter(origin.dimensions)
        elif origin.dimensions != gathered.origin.dimensions:
            text = f"{origin.dimensions} dimensions; those before have {gathered.origin.dimensions}"
            raise InvalidInput("items.vectors", text, dimensions=gathered.origin.dimensions)
        elif origin != gathered.origin:
            if origin.model and gathered.origin.model:
                raise replaced()
            raise InvalidInput(
                "items", "vectors of your own and texts in one stream: send vectors for all, or for none"
            )

    async def _put(self, gathered: Gathered, rows: FloatRows, texts: Sequence[str], ids: Sequence[PointId]) -> None:
        matter = gathered.matter
        assert matter is not None  # noqa: S101 - made by _check_same
        size = matter.texts.bytes + sum(map(len, texts))
        gathered.check_size("items", len(matter) + len(rows), matter.dimensions, size)
        if sum(one.bytes for one in self._open) > self._memory_bytes:
            text = "the items that are being gathered for all computations take too much memory; try again"
            raise Overloaded(text, retry_after_seconds=_RETRY_SECONDS, limited_by="computations")
        await asyncio.to_thread(matter.add, rows, texts, ids)


def joined(parts: Sequence[Embedded]) -> Embedded:
    """Put parts of one message together. Raises `Unavailable` where the model was replaced between them."""
    if len({(one.model, one.model_version) for one in parts}) > 1:
        raise replaced()
    return replace(parts[0], rows=np.concatenate([one.rows for one in parts]))


def replaced() -> Unavailable:
    """Give what a stream ends with whose model was replaced while it ran."""
    text = "the model was replaced meanwhile: vectors of two versions don't compare; open the stream again"
    return Unavailable(text, retry_after_seconds=1.0)


def _place(path: str, start: int, at: int) -> str:
    return f"{path}[{start + at}]"


def _directions(records: Sequence[Record]) -> FloatRows:
    return unit_rows(np.stack([one.vector for one in records if one.vector is not None]))
