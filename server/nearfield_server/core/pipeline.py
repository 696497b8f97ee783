"""The way that all calls go: make tokens on a thread, take from the cache what is there, queue and run the rest.

prepare (thread) ──tokens──▶ cache ──misses──▶ queue, batch, run ──rows──▶ `Ran`
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any, TypeVar

import numpy.typing as npt

from nearfield_server.batching.ticket import Ticket
from nearfield_server.core.cache import CacheKey, EmbeddingCache, plan_misses
from nearfield_server.core.serving import ReadyModel
from nearfield_server.errors import DeadlineExceeded, Overloaded
from nearfield_server.types import DENSE_ONLY, Outputs, Priority, Timings, Tokens

__all__ = ["Pipeline", "Ran", "Work"]

_T = TypeVar("_T")


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What one call asks of a model: `prepare` makes the tokens of its `count` inputs, on a thread."""

    prepare: Callable[[], list[Tokens]]
    count: int
    priority: Priority
    deadline: float | None
    tenant: str = ""
    images: bool = False
    """Whether there are images among them, which take a thread a thousand times as long as texts."""


@dataclass(slots=True)
class Ran:
    """What became of it: tokens and rows, one of each per input or chunk."""

    started: float
    tokens: list[Tokens] = field(default_factory=list)
    rows: list[Outputs] = field(default_factory=list)
    cached: int = 0
    tokenized_at: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0


@dataclass(slots=True)
class _Lookup:
    """What the cache gave for a call; written on the thread before its items are queued."""

    keys: list[CacheKey] = field(default_factory=list)
    found: list[Outputs | None] = field(default_factory=list)
    compute: Sequence[int] = ()
    source: Sequence[int] = ()


class Pipeline:
    """Runs the work of calls. `threads` run tokenisers and all else that takes longer than the event loop may."""

    def __init__(
        self, threads: Executor, cache: EmbeddingCache | None = None, image_threads: Executor | None = None
    ) -> None:
        """No `cache`: everything is computed. `image_threads` prepare the calls with images; texts never wait there."""
        self._threads = threads
        self._image_threads = image_threads or threads
        self._cache = cache

    async def run(self, model: ReadyModel, work: Work) -> Ran:
        """Give the rows of all inputs, raw.

        Raises:
            NearfieldError: what `prepare` raised, or what came between; see `errors`.
        """
        ran, lookup = Ran(time.monotonic()), _Lookup()
        try:
            ticket = model.runner.open(work.count, work.priority, work.deadline)
            threads = self._image_threads if work.images else self._threads
            threads.submit(self._prepare, ticket, model, work, ran, lookup)
            job = await ticket.result()
        except (Overloaded, DeadlineExceeded) as error:
            model.metrics.rejected(error.metadata.get("limited_by", error.reason.lower()))
            raise
        ran.rows = job.rows
        ran.queue_seconds = job.started_at - job.admitted_at
        ran.compute_seconds = job.ended_at - job.started_at
        if self._cache is not None and lookup.keys:
            self._complete(self._cache, ran, lookup)
        return ran

    def account(self, model: ReadyModel, ran: Ran) -> Timings:
        """Count an answered call, now; give where its time went."""
        timings = Timings(
            tokenize=ran.tokenized_at - ran.started,
            queue=ran.queue_seconds,
            compute=ran.compute_seconds,
            total=time.monotonic() - ran.started,
        )
        model.metrics.observe_stages(timings)
        model.metrics.served(inputs=len(ran.tokens), tokens=sum(map(len, ran.tokens)))
        return timings

    async def off_loop(self, work: Callable[[], _T], deadline: float | None) -> _T:
        """Run `work` on a thread. Raises `DeadlineExceeded` when it takes too long."""
        left = None if deadline is None else deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                return await asyncio.get_running_loop().run_in_executor(self._threads, _without_panics, work)
        except TimeoutError:
            msg = "the deadline passed"
            raise DeadlineExceeded(msg) from None

    def _prepare(self, ticket: Ticket, model: ReadyModel, work: Work, ran: Ran, lookup: _Lookup) -> None:
        """On a thread: make the tokens and queue them, without a detour over the event loop."""
        if ticket.closed:
            return
        try:
            ran.tokens = _without_panics(work.prepare)
            ran.tokenized_at = time.monotonic()
            units: Sequence[Tokens] = ran.tokens
            if self._cache is not None and all(one.wanted == DENSE_ONLY for one in ran.tokens):
                units = self._look_up(self._cache, model, work, ran.tokens, lookup)
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            ticket.fail(error)
        else:
            ticket.enqueue(units)

    @staticmethod
    def _look_up(
        cache: EmbeddingCache, model: ReadyModel, work: Work, tokens: Sequence[Tokens], lookup: _Lookup
    ) -> list[Tokens]:
        """Fill `lookup`; give what is left to run."""
        loaded, spec = model.loaded, model.loaded.spec
        # Two folders may hold the same graph and pool it in other ways, or have another tower beside it.
        variant = f"{spec.name}|{spec.output_name}|{spec.pooling}|{spec.vision}|{loaded.device}"
        maker = cache.keys(tenant=work.tenant, model=spec.sha256, variant=variant)
        lookup.keys = [maker(*_seen(one)) for one in tokens]
        rows = cache.lookup(lookup.keys)
        lookup.found = [None if row is None else Outputs(dense=row) for row in rows]
        misses = plan_misses(lookup.keys, rows)
        lookup.compute, lookup.source = misses.compute, misses.source
        return [tokens[index] for index in misses.compute]

    @staticmethod
    def _complete(cache: EmbeddingCache, ran: Ran, lookup: _Lookup) -> None:
        """Put together what was found and what ran, and keep the latter."""
        computed = ran.rows
        ran.rows = [computed[at] if row is None else row for row, at in zip(lookup.found, lookup.source, strict=True)]
        ran.cached = sum(row is not None for row in lookup.found)
        for index, row in zip(lookup.compute, computed, strict=True):
            if row.dense is not None:
                cache.store(lookup.keys[index], row.dense)


def _seen(one: Tokens) -> list[npt.NDArray[Any]]:
    """Give all of an input that the model looks at."""
    if one.pixels is not None:
        return [one.pixels]
    return [part for part in (one.ids, one.type_ids, one.mask) if part is not None]


def _without_panics(work: Callable[[], _T]) -> _T:
    """Run `work`; what a library written in Rust raises when it panics is no Exception, and would be nobody's error."""
    try:
        return work()
    except Exception:
        raise
    except BaseException as error:
        msg = "a library panicked"
        raise RuntimeError(msg) from error
