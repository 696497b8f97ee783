"""Deduplicate: a stream of items, each compared with what came before it, with a collection, or with both.

Batches are embedded and looked up in the collection side by side (`look_up`); then they are decided upon one after the
other, in the order of the stream (`decide`), off the event loop.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from nearfield_server.core.computing.gatherer import Embedded, Gatherer, joined, replaced
from nearfield_server.core.computing.items import Items
from nearfield_server.core.dedup.exact import keys_of
from nearfield_server.core.dedup.levels import Levels
from nearfield_server.core.dedup.nouns import DedupOptions, Found, Kind, Level, Reference
from nearfield_server.core.dedup.seen import Batch, Seen
from nearfield_server.core.dedup.stored import StoredPoints
from nearfield_server.errors import InvalidInput, NearfieldError, Overloaded, TooLarge
from nearfield_server.types import InputType

__all__ = ["Decided", "DedupRun", "Deduplicator", "LookedUp"]

_RETRY_SECONDS = 5.0
_SHARED = 2
"""All streams together may hold so many times what one may."""


@dataclass(slots=True)
class LookedUp:
    """A batch to decide upon; `rows` of the items are in it, `failures` tell why the others aren't."""

    rows: list[int] = field(default_factory=list)
    failures: dict[int, NearfieldError] = field(default_factory=dict)
    embedded: Embedded | None = None
    batch: Batch | None = None
    threshold: float = 0.0


@dataclass(frozen=True, slots=True)
class Decided:
    """What each item is, or why that can't be told; `unique` items were in the stream so far."""

    verdicts: list[Found | NearfieldError]
    threshold: float
    unique: int


class Deduplicator:
    """Begins runs, and bounds what all of them hold. `memory_bytes` is for one."""

    def __init__(self, gatherer: Gatherer, memory_bytes: int) -> None:
        """Embed and find stores by `gatherer`."""
        self.gatherer = gatherer
        self.levels = Levels()
        self._memory_bytes = memory_bytes
        self._runs: set[DedupRun] = set()

    def begin(self, options: DedupOptions) -> DedupRun:
        """Begin a stream; end it.

        Raises:
            CollectionNotFound: there is no such collection.
            ModelNotReady: the collections aren't open yet.
            InvalidInput: options that contradict each other, or a collection that doesn't compare by cosine.
        """
        stored = None
        if options.source is not None:
            store = self.gatherer.store(options.source)
            stored = StoredPoints(store, options.source, options.lexical_check)
            stored.check()
            chosen = options.embedding
            if not chosen.model and store.spec.model:
                chosen = replace(chosen, model=store.spec.model, dimensions=chosen.dimensions or store.spec.dimensions)
            # As the points were embedded, else a model's prompt would set the two apart.
            options = replace(options, embedding=replace(chosen, input_type=chosen.input_type or InputType.DOCUMENT))
        self._runs.add(run := DedupRun(self, options, stored))
        return run

    def end(self, run: DedupRun) -> None:
        """Give back what a run holds."""
        self._runs.discard(run)

    def check_room(self, run: DedupRun, more: int) -> None:
        """Raise `TooLarge` where a run would hold too much, `Overloaded` where all would."""
        if run.bytes + more > self._memory_bytes:
            text = (
                f"the stream would hold more than {self._memory_bytes} bytes of items that differ: put what was unique "
                "into a collection, and go on in a new stream with that collection (collection_only), or raise "
                "cluster.memory_bytes"
            )
            raise TooLarge(text, limit=self._memory_bytes)
        if sum(one.bytes for one in self._runs) + more > _SHARED * self._memory_bytes:
            text = "all streams of items to deduplicate hold too much memory together; try again when others have ended"
            raise Overloaded(text, retry_after_seconds=_RETRY_SECONDS, limited_by="computations")


class DedupRun:
    """One stream."""

    def __init__(self, parent: Deduplicator, options: DedupOptions, stored: StoredPoints | None) -> None:
        """Hold nothing yet."""
        self._parent = parent
        self._options = options
        self._stored = stored
        self._origin: tuple[str, str, int] | None = None
        self._seen: Seen | None = None
        self._unique = 0

    @property
    def bytes(self) -> int:
        """Memory that it holds."""
        return 0 if self._seen is None else self._seen.bytes

    async def look_up(self, items: Items, positions: Sequence[int]) -> LookedUp:
        """Embed items, whose `positions` in the stream are given, and compare them with the collection.

        Raises:
            InvalidInput: vectors without a threshold.
            FailedPrecondition: the collection is of another model.
            NearfieldError: as `Gatherer.each`.
        """
        found = LookedUp()
        options, gatherer = self._options, self._parent.gatherer
        parts = await gatherer.each(items, options.embedding, options.caller, found.failures)
        if options.lexical_check:
            lacking = [row for row, text in enumerate(items.texts) if not text and row not in found.failures]
            text = "lexical_check compares words: send a text"
            found.failures |= {row: InvalidInput("items.inputs", text) for row in lacking}
        if len(found.failures) == len(items):
            return found
        embedded = joined([part for _, part in parts])
        every = [row for rows, _ in parts for row in rows]
        places = [at for at, row in enumerate(every) if row not in found.failures]
        found.rows = [every[at] for at in places]
        found.embedded = replace(embedded, rows=embedded.rows[places])
        found.threshold = await self._threshold(found.embedded)
        found.batch = await self._batch(_chosen(items, found.rows), found, [positions[row] for row in found.rows])
        return found

    async def decide(self, found: LookedUp) -> Decided:
        """Decide upon a batch; to be called in the order of the stream, one at a time.

        Raises:
            Unavailable: another version of the model came meanwhile.
            InvalidInput: vectors of another width than those before.
            TooLarge: the stream would hold too much.
            Overloaded: all streams would.
        """
        verdicts: dict[int, Found | NearfieldError] = dict(found.failures)
        if found.embedded is not None and found.batch is not None:
            self._check_origin(found.embedded)
            decided = await self._decided(found.batch, found.threshold)
            verdicts |= dict(zip(found.rows, decided, strict=True))
        return Decided([verdicts[row] for row in sorted(verdicts)], found.threshold, self._unique)

    async def _decided(self, batch: Batch, threshold: float) -> Sequence[Found]:
        options = self._options
        if options.collection_only:
            self._unique += sum(one.kind is Kind.UNIQUE for one in batch.stored)
            return batch.stored
        if self._seen is None:
            width = batch.rows.shape[1]
            self._seen = Seen(width, hold_all=options.compare_all, lexical_check=options.lexical_check)
        self._parent.check_room(self, self._seen.bytes_of(batch))
        decided = await asyncio.to_thread(self._seen.decide, batch, threshold)
        self._unique = self._seen.unique
        return decided

    async def _threshold(self, embedded: Embedded) -> float:
        limit = self._options.limit
        if not isinstance(limit, Level):
            return limit
        if not embedded.model:
            text = "the scale of your own vectors isn't known here: give threshold, a cosine similarity"
            raise InvalidInput("options.level", text)
        chosen = self._options.embedding
        options = replace(chosen, input_type=chosen.input_type or InputType.CLUSTERING)
        key = (embedded.model, embedded.model_version, embedded.rows.shape[1], options.input_type)

        async def embed(texts: Sequence[str]) -> Embedded:
            return await self._parent.gatherer.embed(texts, options, self._options.caller)

        return await self._parent.levels.threshold(limit, key, embed)

    async def _batch(self, items: Items, found: LookedUp, positions: Sequence[int]) -> Batch:
        assert found.embedded is not None  # noqa: S101 - look_up has set it
        rows = found.embedded.rows
        stored = [Found(Kind.UNIQUE)] * len(rows)
        if self._stored is not None:
            self._stored.check_same(found.embedded)
            stored = await self._stored.nearest(items, rows, found.threshold)
        ids = items.ids or (None,) * len(rows)
        return Batch(
            rows=rows,
            keys=await asyncio.to_thread(lambda: list(keys_of(items, rows))),
            texts=items.texts,
            references=[Reference(id_, position) for id_, position in zip(ids, positions, strict=True)],
            stored=stored,
        )

    def _check_origin(self, embedded: Embedded) -> None:
        origin = (embedded.model, embedded.model_version, embedded.rows.shape[1])
        if self._origin is None:
            self._origin = origin
        elif origin[2] != self._origin[2]:
            text = f"{origin[2]} dimensions; those before have {self._origin[2]}"
            raise InvalidInput("items.vectors", text, dimensions=self._origin[2])
        elif not origin[0] or not self._origin[0]:
            # The caller's own vectors beside texts: he says that they are of that model.
            return
        elif origin != self._origin:
            raise replaced()


def _chosen(items: Items, rows: Sequence[int]) -> Items:
    return Items(
        inputs=tuple(items.inputs[row] for row in rows) if items.inputs else (),
        vectors=None if items.vectors is None else items.vectors[list(rows)],
        ids=tuple(items.ids[row] for row in rows) if items.ids else (),
    )
