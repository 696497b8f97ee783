"""Re-embeddings: collections made anew by another model while the old ones serve, then given their names.

begin ─▶ copying ─▶ swapping (writes to the old one wait) ─▶ done
            │  ▲         └── the counts differ: from the start, once
            ▼  │
           waiting for a model, space or time           cancelled, failed: the new collection is deleted

At most one at a time for each collection. What is asked for is in the journal before it begins, so that it goes on
after a restart, wherever the server was killed: when the aliases stand for the new collection it is done, else not.
"""

from __future__ import annotations

import asyncio
import difflib
import logging
import time
import uuid
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, suppress
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

from nearfield_server.core.changes import Changes
from nearfield_server.core.collection_calls import NewCollection
from nearfield_server.core.collection_vectors import CollectionVectors
from nearfield_server.core.collections import Collections
from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.reembed_copy import ReembedCopy
from nearfield_server.core.reembeddings import (
    ReembedCall,
    Reembedding,
    ReembedJournal,
    ReembedState,
    made_at,
    new_name,
    vectors_of,
)
from nearfield_server.core.uncut import uncut
from nearfield_server.engines.base import Store
from nearfield_server.errors import (
    AlreadyExists,
    CollectionNotFound,
    DataDamaged,
    DeadlineExceeded,
    Draining,
    FailedPrecondition,
    InvalidInput,
    ModelNotFound,
    ModelNotReady,
    NearfieldError,
    Overloaded,
    ReembeddingNotFound,
    StorageFull,
    Unavailable,
)
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import CollectionSpec, Priority

__all__ = ["Reembedder"]

logger = logging.getLogger("nearfield.search")

_TELL_SECONDS = 1.0
_FIRST_WAIT, _LONGEST_WAIT = 1.0, 30.0
_LATER = (Unavailable, Overloaded, StorageFull, DeadlineExceeded, ModelNotFound)
"""What passes, or somebody can mend, without the copying to begin anew."""


class Reembedder:
    """Begins, follows and ends them. Used on the event loop."""

    def __init__(
        self,
        folder: Path,
        collections: Collections,
        vectors: CollectionVectors,
        models: ModelRegistry,
        metrics: SearchMetrics,
    ) -> None:
        """Keep the journal in `folder`. Nothing is read before `open`."""
        self._journal = ReembedJournal(folder)
        self._collections = collections
        self._vectors = vectors
        self._models = models
        self._metrics = metrics
        self._known: list[Reembedding] = []
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._changes = Changes()
        self._beginning = asyncio.Lock()
        self._ready = False

    def __repr__(self) -> str:
        """Show how many are under way."""
        return f"<Reembedder {len(self._tasks)} under way>"

    async def open(self) -> None:
        """Read the journal, before the collections are opened: nobody deletes what it needs."""
        self._known = await asyncio.to_thread(self._journal.load)
        for one in self._known:
            if not one.ended:
                self._hold(one)

    async def start(self) -> None:
        """Go on with what was under way, once there are collections and models."""
        for one in self._known:
            if one.state in {ReembedState.CANCELLED, ReembedState.FAILED}:
                await self._discard(one)  # the server may have been killed just before that
            elif one.state is ReembedState.SWAPPING and self._made(one) and self._swapped_before(one):
                await self._ended(one, ReembedState.DONE)
            if not one.ended:
                one.state, one.moved = ReembedState.COPYING, ()
                self._spawn(one)
        self._ready = True

    async def close(self) -> None:
        """Stop, to go on at the next start."""
        self._ready = False
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.wait(tasks)

    def all(self) -> list[Reembedding]:
        """Give all that are known, newest first."""
        self._check_ready()
        return self._known[::-1]

    async def begin(self, call: ReembedCall) -> Reembedding:
        """Begin one, or give the one that does the same already.

        Raises:
            CollectionNotFound, ModelNotFound, ModelNotReady: of the names.
            AlreadyExists: there is a collection named as the new one, or as one of the aliases.
            FailedPrecondition: there would be nothing new, or another one is under way.
            InvalidInput: a field is wrong, or the model can't do it.
        """
        self._check_ready()
        async with self._beginning:
            store = self._collections.store(call.collection)
            source = store.spec
            spec = self._decide(call, source)
            for other in self._known:
                if not other.ended and source.name in {other.source, other.spec.name}:
                    if other.source == source.name and other.does(call, spec):
                        return other
                    text = f"re-embedding {other.id} of {other.source} is under way: wait for its end, or cancel it"
                    raise FailedPrecondition(f"reembeddings/{other.id}", text)
            if self._collections.unfinished(source.name):
                raise FailedPrecondition(f"collections/{source.name}", "it is being restored: wait for the end")
            if vectors_of(spec) == vectors_of(source):
                text = f"its vectors are by version {spec.model_version} of {spec.model} already, of that width"
                raise FailedPrecondition(f"collections/{source.name}", text)
            if call.keep_aliases and call.aliases:
                raise InvalidInput("keep_aliases", "either name aliases to move, or move none")
            if spec.name in self._collections.stores():
                raise AlreadyExists("target: there is a collection of that name", f"collections/{spec.name}")
            self._collections.check_movable(call.aliases, source.name)
            one = Reembedding(
                id=uuid.uuid4().hex[:12],
                call=call,
                source=source.name,
                source_made=source.created_at,
                spec=spec,
                started_at=datetime.now(UTC),
                total=(await store.stats()).points,
            )
            await uncut(self._add(one))
        logger.info("re-embedding", extra={"id": one.id, "source": one.source, "target": spec.name})
        return one

    async def follow(self, one: Reembedding) -> AsyncGenerator[Reembedding, None]:
        """Give how far it is, at once, each second and at its end. Raises what it failed with, or `Draining`."""
        while True:
            changed = asyncio.ensure_future(self._changes.wait())
            try:
                ended = one.ended
                yield replace(one)
                if ended:
                    break
                await asyncio.wait([changed], timeout=_TELL_SECONDS)
            finally:
                changed.cancel()
            if self._models.draining and not one.ended:
                raise Draining("the server stops; the re-embedding goes on when it is back", retry_after_seconds=5.0)
        if one.failure is not None:
            raise one.failure

    async def cancel(self, id_: str) -> Reembedding:
        """End one and delete its new collection.

        Raises:
            ReembeddingNotFound: there is none of that id.
            FailedPrecondition: it has ended.
        """
        self._check_ready()
        one = next((one for one in self._known if one.id == id_), None)
        if one is None:
            raise ReembeddingNotFound(id_, tuple(difflib.get_close_matches(id_[:64], [one.id for one in self._known])))
        if (task := self._tasks.get(id_)) is not None and not one.ended:
            task.cancel()
            await asyncio.wait([task])
        if one.ended:
            raise FailedPrecondition(f"reembeddings/{id_}", f"it has ended: {one.state.value}")
        await uncut(self._ended(one, ReembedState.CANCELLED))
        return one

    def _decide(self, call: ReembedCall, source: CollectionSpec) -> CollectionSpec:
        if not (model := call.model or source.model):
            raise InvalidInput("model", "the collection has none: name the one to embed its texts with")
        return self._collections.decide(
            NewCollection(
                name=call.target or new_name(source.name, datetime.now(UTC)),
                model=model,
                dimensions=call.dimensions,
                metric=call.metric,
                keyword=source.keyword,
                quantization=source.quantization,
                hnsw=source.hnsw,
                payload_indexes=source.payload_indexes,
                durability=source.durability,
                ttl_seconds=source.ttl_seconds,
            )
        )

    async def _add(self, one: Reembedding) -> None:
        """Make the new collection, and note that first."""
        try:
            await asyncio.to_thread(self._journal.save, one)
            self._hold(one)
            await self._collections.add(one.spec, "target")
        except BaseException as error:
            self._release(one)
            await asyncio.to_thread(self._journal.forget, one)
            if isinstance(error, OSError):
                raise StorageFull(f"the journal can't be written: {error.strerror}", retry_after_seconds=5.0) from error
            raise
        self._known = await asyncio.to_thread(self._journal.trim, [*self._known, one])
        self._spawn(one)

    def _hold(self, one: Reembedding) -> None:
        by = f"re-embedding {one.id}"
        for name in (one.source, one.spec.name):
            self._collections.hold(name, by)
        self._collections.writes.refuse(one.spec.name, f"{by} fills it: write to {one.source}, what is new is copied")

    def _release(self, one: Reembedding) -> None:
        for name in (one.source, one.spec.name):
            self._collections.release(name)
        self._collections.writes.allow(one.spec.name)

    def _spawn(self, one: Reembedding) -> None:
        task = asyncio.get_running_loop().create_task(self._run(one), name=f"nearfield-reembed-{one.id}")
        self._tasks[one.id] = task
        self._metrics.reembeddings_running(len(self._tasks))

        def gone(_: asyncio.Task[None]) -> None:
            self._tasks.pop(one.id, None)
            self._metrics.reembeddings_running(len(self._tasks))

        task.add_done_callback(gone)

    async def _run(self, one: Reembedding) -> None:
        """Copy until it has ended, and wait where it must."""
        wait = _FIRST_WAIT
        while True:
            before = one.position
            try:
                await self._copy(one)
            except (*_LATER, OSError) as error:
                reason: NearfieldError = _full(error) if isinstance(error, OSError) else error
            except FailedPrecondition as error:
                if error.subject != f"collections/{one.spec.name}":  # that one: another version is served
                    return await self._failed(one, error)
                reason = error
            except NearfieldError as error:
                return await self._failed(one, error)
            except Exception:
                logger.exception("a re-embedding failed", extra={"id": one.id})
                return await self._failed(one, NearfieldError("internal error: the server's log has the cause"))
            else:
                return None
            if one.error_message != reason.message:
                logger.warning("a re-embedding waits", extra={"id": one.id, "reason": reason.message})
            one.state, one.moved = ReembedState.COPYING, ()
            one.blame(reason)
            self._changes.notify()
            wait = _FIRST_WAIT if one.position > before else min(2 * wait, _LONGEST_WAIT)
            with suppress(TimeoutError):  # a model that comes ends the waiting
                await asyncio.wait_for(self._models.changes.wait(), wait)

    async def _copy(self, one: Reembedding) -> None:
        copy = ReembedCopy(one, self._source(one), await self._target(one), self._vectors)
        told = 0.0
        again = True
        while True:
            size, few = await copy.step(Priority.BULK)
            one.blame(None)
            self._metrics.reembedded(size)
            if few:
                await copy.follow_options()
            if few or time.monotonic() - told >= _TELL_SECONDS:
                await copy.look()
                await self._save(one)
                told = time.monotonic()
            if few:
                if await self._swapped(one, copy):
                    return
                if not again:
                    raise DataDamaged(f"collections/{one.spec.name} doesn't hold as many points as {one.source}")
                again, one.position = False, 0

    async def _swapped(self, one: Reembedding, copy: ReembedCopy) -> bool:
        """Let writes wait, copy the last ones and move the aliases; False: the counts differ."""
        async with AsyncExitStack() as gates:
            for name in (one.source, one.spec.name):
                await gates.enter_async_context(self._collections.writes.shut(name))
            one.state = ReembedState.SWAPPING
            self._changes.notify()
            if not await copy.finish():
                logger.warning("a re-embedding's counts differ: all points are looked at again", extra={"id": one.id})
                one.state = ReembedState.COPYING
                return False
            await copy.look()
            await uncut(self._commit(one))
        return True

    async def _commit(self, one: Reembedding) -> None:
        if not one.call.keep_aliases:
            one.moved = self._collections.movable(one.call.aliases, one.source)
            await self._save(one)
            await self._collections.move_aliases(one.moved, one.spec.name)
        await self._ended(one, ReembedState.DONE)

    async def _failed(self, one: Reembedding, error: NearfieldError) -> None:
        one.blame(error)
        one.failure = error
        await uncut(self._ended(one, ReembedState.FAILED))

    async def _ended(self, one: Reembedding, state: ReembedState) -> None:
        """Note the end, which decides; then tidy up."""
        one.state, one.ended_at = state, datetime.now(UTC)
        if state is not ReembedState.FAILED:
            one.blame(None)
        try:
            await self._save(one)
        except OSError as error:  # the next start finds out by the aliases, or begins anew
            logger.warning("the end of a re-embedding can't be noted: %s", error.strerror, extra={"id": one.id})
        if state is not ReembedState.DONE:
            await self._discard(one)
        self._release(one)
        self._metrics.reembedding_ended(state.value)
        logger.info("re-embedding ended", extra={"id": one.id, "state": state.value, "points": one.copied})
        self._changes.notify()

    async def _save(self, one: Reembedding) -> None:
        await asyncio.to_thread(self._journal.save, replace(one))
        self._changes.notify()

    def _swapped_before(self, one: Reembedding) -> bool:
        """Whether the aliases that were to be moved were."""
        return bool(one.moved) and self._collections.moved(one.moved, one.spec.name)

    def _made(self, one: Reembedding) -> bool:
        """Whether the collection named as the new one is it."""
        found = self._collections.stores().get(one.spec.name)
        return found is not None and made_at(found.spec, one.spec.created_at)

    async def _discard(self, one: Reembedding) -> None:
        """Delete the new collection; where the engine can't now, the next start does."""
        if self._made(one):
            try:
                await self._collections.discard(one.spec.name)
            except NearfieldError as error:
                logger.warning("%s isn't deleted yet: %s", one.spec.name, error.message)

    def _source(self, one: Reembedding) -> Store:
        found = self._collections.stores().get(one.source)
        if found is None or not made_at(found.spec, one.source_made):
            raise CollectionNotFound(one.source)
        return found

    async def _target(self, one: Reembedding) -> Store:
        found = self._collections.stores().get(one.spec.name)
        if found is None:  # the server was killed before it was made
            one.position = 0
            return await self._collections.add(one.spec, "target")
        if not self._made(one):
            text = f"there is another collection named {one.spec.name} now"
            raise FailedPrecondition(f"reembeddings/{one.id}", text)
        return found

    def _check_ready(self) -> None:
        if not self._ready:
            raise ModelNotReady("the server is starting", retry_after_seconds=1.0)


def _full(error: OSError) -> StorageFull:
    return StorageFull(f"the disk can't be written: {error.strerror}", retry_after_seconds=5.0)
