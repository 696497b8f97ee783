"""How a collection is searched: in memory while it is small, by its index, or in one pass over the database.

memory ──too large, index READY──▶ index ──IndexNotReady──▶ pass over the database

Rows that an index gives are hints: each is looked up in the database before it is given.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Coroutine, Mapping, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt

from nearfield_server.engines.base import Ranked
from nearfield_server.engines.embedded.gatherer import Gatherer
from nearfield_server.engines.embedded.index import IndexFilter, IndexNotReady, IndexQuery, Rows, VectorIndex
from nearfield_server.engines.embedded.known_rows import living
from nearfield_server.engines.embedded.memory_rows import MemoryQuery
from nearfield_server.engines.embedded.reads import alive_rows, matching_rows, rows_of_ids, seen_rows
from nearfield_server.engines.embedded.sql_filters import EVERYTHING, matching
from nearfield_server.engines.embedded.stream_search import search_database
from nearfield_server.engines.embedded.threads import Threads
from nearfield_server.engines.embedded.truth import Truth
from nearfield_server.types import (
    And,
    EngineHit,
    EngineQuery,
    Filter,
    Ids,
    IndexState,
    Not,
    Or,
    PointId,
    SimilarityMetric,
)
from nearfield_server.types.filters import walk

__all__ = ["Searching"]

T = TypeVar("T")

_TOGETHER = 32  # queries answered in one go
_ROUNDS = 4  # times that an index is asked for more
_MORE = 4


class Searching:
    """Answers queries; `index` is started when the collection has outgrown `exact_below` points."""

    def __init__(
        self, truth: Truth, index: VectorIndex, threads: Threads, metric: SimilarityMetric, clock: Callable[[], float]
    ) -> None:
        """Search `truth` with the help of `index`."""
        self._truth = truth
        self._index = index
        self._metric = metric
        self._clock = clock
        self._started = False
        self._least_applied = 0
        self._plain: Gatherer[EngineQuery, list[EngineHit]] = Gatherer(threads.short, self._in_memory, _TOGETHER)
        self._filtered: Gatherer[EngineQuery, list[EngineHit]] = Gatherer(threads.long, self._in_memory, _TOGETHER)
        self._streamed: Gatherer[EngineQuery, list[EngineHit]] = Gatherer(threads.long, self._in_one_pass, _TOGETHER)

    @property
    def started(self) -> bool:
        """Whether the index is in use."""
        return self._started

    def start_index(self) -> None:
        """Have an index from now on."""
        if not self._started:
            self._started = True
            self._index.start()

    def written(self, sequence: int, rows: int, most_bytes: int) -> None:
        """Hear of a commit; memory is given up once the index has what it holds, or past `most_bytes`."""
        if not self._started:
            return
        self._index.written(sequence, rows)
        memory = self._truth.memory
        if memory is not None and (memory.bytes_used > most_bytes or self._caught_up(self._truth.sequence)):
            self.leave_memory()

    def leave_memory(self) -> None:
        """Search without memory from now on; what is acknowledged so far is found all the same."""
        self._least_applied = self._truth.sequence
        self._truth.memory = None

    async def wait(self, sequence: int) -> None:
        """Wait until searches see the write `sequence`."""
        if self._truth.memory is not None:
            return
        await self._index.wait_applied(sequence)
        if self._index.applied < sequence:  # a pass over the database sees it; the index isn't asked before it does
            self._least_applied = max(self._least_applied, sequence)

    async def search(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        """Rank points for each query."""
        if self._truth.memory is not None and self._started and self._caught_up(self._truth.sequence):
            self.leave_memory()
        if self._truth.memory is not None:
            asked = [(self._plain if one.filter is None else self._filtered).ask(one) for one in queries]
            return [Ranked(hits, exact=True) for hits in await _all(asked)]
        if self._started and self._caught_up(self._least_applied):
            try:
                return await self._by_index(queries)
            except IndexNotReady:
                pass
        return await self._exactly(queries)

    def _caught_up(self, sequence: int) -> bool:
        return self._index.state is IndexState.READY and self._index.applied >= sequence

    async def _exactly(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        found = await _all([self._streamed.ask(one) for one in queries])
        return [Ranked(hits, exact=True) for hits in found]

    async def _by_index(self, queries: Sequence[EngineQuery]) -> list[Ranked]:
        asked = [await self._prepared(one) for one in queries]
        ranked: list[Ranked | None] = [None] * len(queries)
        open_ = list(range(len(queries)))
        for _ in range(_ROUNDS):
            applied = self._index.applied
            found = await self._index.search([asked[at] for at in open_])
            late = applied < self._truth.sequence
            checked = await _all(
                [self._checked(queries[at], rows, late=late) for at, rows in zip(open_, found, strict=True)]
            )
            again = []
            for at, rows, hits in zip(open_, found, checked, strict=True):
                if len(hits) < queries[at].limit and len(rows) >= asked[at].limit:
                    asked[at] = replace(asked[at], limit=asked[at].limit * _MORE)
                    again.append(at)
                else:
                    ranked[at] = Ranked(hits[: queries[at].limit], exact=queries[at].exact)
            open_ = again
            if not open_:
                break
        if open_:
            for at, exact in zip(open_, await self._exactly([queries[at] for at in open_]), strict=True):
                ranked[at] = exact
        return [one for one in ranked if one is not None]

    async def _prepared(self, query: EngineQuery) -> IndexQuery:
        """Turn ids into rows."""
        ids = set(query.exclude)
        if query.filter is not None:
            ids.update(id_ for part in walk(query.filter) if isinstance(part, Ids) for id_ in part.ids)
        rows: dict[PointId, int] = {}
        if ids:
            rows = await self._truth.short(lambda connection: rows_of_ids(connection, query.tenant, list(ids)))
        return IndexQuery(
            tenant=query.tenant,
            limit=query.limit,
            dense=query.dense,
            sparse=query.sparse,
            filter=None if query.filter is None else _with_rows(query.filter, rows),
            exclude_rows=tuple(rows[id_] for id_ in query.exclude if id_ in rows),
            exact=query.exact,
            ef=query.ef,
        )

    async def _checked(self, query: EngineQuery, found: Sequence[tuple[int, float]], *, late: bool) -> list[EngineHit]:
        """Give those that are there; with a `late` index also look whether they still meet the filter."""
        if not found:
            return []
        rows = [row for row, _ in found]
        there: Mapping[int, tuple[PointId, int | None]]
        if late and query.filter is not None:
            ids = await self._truth.short(lambda connection: self._met(connection, query, rows))
            there = {row: (id_, None) for row, id_ in ids.items()}
        else:
            known, now = self._truth.known, self._clock()
            seen = known.find(rows)
            if seen is None:
                sequence = known.sequence
                seen = await self._truth.short(lambda connection: seen_rows(connection, rows))
                known.learn(sequence, seen)
            there = living(seen, query.tenant, now)
        hits = [EngineHit(there[row][0], score, row, there[row][1]) for row, score in found if row in there]
        hits.sort(key=lambda hit: (-hit.score, hit.order))
        return hits

    def _met(self, connection: sqlite3.Connection, query: EngineQuery, rows: Sequence[int]) -> dict[int, PointId]:
        with matching(connection, query.filter) as where:
            return alive_rows(connection, query.tenant, rows, self._clock(), where)

    def _in_memory(self, queries: Sequence[EngineQuery]) -> list[list[EngineHit] | BaseException]:
        memory = self._truth.memory
        if memory is None:  # it was left meanwhile
            return self._in_one_pass(queries)
        answers: list[list[EngineHit] | BaseException] = []
        for query in queries:
            try:
                answers += memory.search([self._memory_query(query)])
            except Exception as error:  # noqa: BLE001 - the answer of this one
                answers.append(error)
        return answers

    def _memory_query(self, query: EngineQuery) -> MemoryQuery:
        now, wanted = self._clock(), query.filter
        allowed = None
        if wanted is not None:

            def rows(connection: sqlite3.Connection) -> npt.NDArray[np.int64]:
                with matching(connection, wanted) as where:
                    return matching_rows(connection, query.tenant, where, now)

            allowed = self._truth.lent(rows)
        return MemoryQuery(
            tenant=query.tenant,
            limit=query.limit,
            dense=query.dense,
            sparse=query.sparse,
            allowed=allowed,
            excluded=frozenset(query.exclude),
            now=now,
        )

    def _in_one_pass(self, queries: Sequence[EngineQuery]) -> list[list[EngineHit] | BaseException]:
        now = self._clock()

        def read(connection: sqlite3.Connection) -> list[list[EngineHit] | BaseException]:
            answers: list[list[EngineHit] | BaseException] = []
            found = search_database(connection, queries, self._metric, now)
            for query, (rows, scores) in zip(queries, found, strict=True):
                ids = alive_rows(connection, query.tenant, rows.tolist(), now, EVERYTHING)
                pairs = zip(rows.tolist(), scores.tolist(), strict=True)
                answers.append([EngineHit(ids[row], score, row) for row, score in pairs if row in ids])
            return answers

        return self._truth.lent(read)


async def _all(asked: Sequence[Coroutine[Any, Any, T]]) -> list[T]:
    """Wait for all; one alone costs no task."""
    if len(asked) == 1:
        return [await asked[0]]
    return await asyncio.gather(*asked)


def _with_rows(wanted: Filter, rows: dict[PointId, int]) -> IndexFilter:
    """Put `Rows` where `Ids` are."""
    if isinstance(wanted, Ids):
        return Rows(tuple(rows[id_] for id_ in wanted.ids if id_ in rows))
    if isinstance(wanted, (And, Or)):
        parts = tuple(_with_rows(part, rows) for part in wanted.filters)
        return type(wanted)(parts)  # type: ignore[arg-type]
    if isinstance(wanted, Not):
        return Not(_with_rows(wanted.filter, rows))  # type: ignore[arg-type]
    return wanted
