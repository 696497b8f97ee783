"""Search: query to vector and words, ranked lists, fusion, rerank, diversity, groups, payload.

    resolve ─▶ engine lists ─▶ fuse ─▶ rerank ─▶ threshold ─▶ diversify ─▶ group ─▶ page ─▶ fetch

Engines only rank; all that comes after is done here, so it is the same for all of them.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, replace

import numpy as np

from nearfield_server.core.collections import Collections
from nearfield_server.core.query_vectors import QueryVectors
from nearfield_server.core.ranking import by_score, fused, grouped, listed
from nearfield_server.core.reranker import RerankCall, Reranker
from nearfield_server.core.search_calls import (
    Diversity,
    Found,
    HitGroup,
    PointRef,
    Reranking,
    SearchCall,
    SearchMode,
    SearchResult,
    SearchTimings,
    Text,
)
from nearfield_server.engines.base import Store
from nearfield_server.errors import InvalidInput
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import EngineQuery, PointId, Selection, SimilarityMetric, Truncate
from nearfield_server.vectors.diversity import mmr

__all__ = ["MAX_DEPTH", "Searcher"]

MAX_DEPTH = 10_000
"""The deepest hit that can be asked for, and the longest list that an engine gives."""

_FUSED, _RERANKED, _DIVERSE = 100, 50, 50
_TEXT_ONLY = Selection(payload=False, text=True)
_VECTOR_ONLY = Selection(payload=False, text=False, vector=True)


@dataclass(slots=True)
class _Stages:
    """A search under way: the engine's queries without their limits, and what has been spent."""

    call: SearchCall
    store: Store
    queries: dict[SearchMode, EngineQuery]
    timings: SearchTimings
    exact: bool = True
    exhausted: bool = False


class Searcher:
    """Searches collections."""

    def __init__(
        self, collections: Collections, queries: QueryVectors, reranker: Reranker, metrics: SearchMetrics
    ) -> None:
        """Find stores in `collections`; make vectors with `queries`; rerank with `reranker`."""
        self._collections = collections
        self._queries = queries
        self._reranker = reranker
        self._metrics = metrics

    async def search(self, call: SearchCall) -> SearchResult:
        """Give the hits of one search. Raises any `NearfieldError` but those of the start-up."""
        started = time.monotonic()
        store = self._collections.store(call.collection).at(call.consistency)
        _check(call)
        timings = SearchTimings()
        stages = _Stages(call, store, await self._resolve(store, call, timings), timings)
        groups: list[HitGroup] = []
        if call.grouping is None:
            page = (await self._ranked(stages, call.offset + call.top_k))[call.offset :]
        else:
            groups = await self._groups(stages)
            page = list({hit.id: hit for group in groups for hit in group.hits}.values())
        hits = await self._fetch(stages, page)
        if call.grouping is not None:
            there = {hit.id for hit in hits}
            kept = [HitGroup(one.value, [hit for hit in one.hits if hit.id in there]) for one in groups]
            groups, hits = [one for one in kept if one.hits], []
        timings.total = time.monotonic() - started
        self._metrics.searched(call.mode.value, timings)
        return SearchResult(hits=hits, groups=groups, exact=stages.exact, timings=timings)

    async def _resolve(self, store: Store, call: SearchCall, timings: SearchTimings) -> dict[SearchMode, EngineQuery]:
        started = time.monotonic()
        excluded: tuple[PointId, ...] = ()
        found: dict[SearchMode, EngineQuery] = {}
        base = EngineQuery(tenant=call.tenant, limit=0, filter=call.filter, exact=call.exact, ef=call.ef)
        if call.mode is not SearchMode.KEYWORD:
            rows, excluded = await self._queries.dense(store, call.tenant, [call.query], call.caller, _query_field)
            found[SearchMode.DENSE] = replace(base, dense=rows[0], exclude=excluded)
        if call.mode is not SearchMode.DENSE:
            words = await self._queries.words(store, call.query, "query")
            if not words.empty:
                found[SearchMode.KEYWORD] = replace(base, sparse=words.row)
        timings.embed += time.monotonic() - started
        return found

    async def _ranked(self, stages: _Stages, depth: int) -> list[Found]:
        """Give up to `depth` hits, best first."""
        call = stages.call
        length = depth
        if call.reranking is not None:
            length = max(length, call.reranking.candidates or _RERANKED)
        if call.diversity is not None:
            length = max(length, call.diversity.candidates or max(_DIVERSE, 4 * depth))
        hits = await self._listed(stages, min(length, MAX_DEPTH))
        if call.reranking is not None:
            best = call.reranking.candidates or max(_RERANKED, call.offset + call.top_k)
            hits = await self._rerank(stages, call.reranking, hits[:best])
        if call.score_threshold is not None:
            hits = [one for one in hits if one.score >= call.score_threshold]
        if call.diversity is not None and hits:
            hits = await self._diversified(stages, call.diversity, hits, depth)
        return hits[:depth]

    async def _listed(self, stages: _Stages, length: int) -> list[Found]:
        """Ask the engine for its lists, and make them one."""
        started = time.monotonic()
        options = stages.call.fusion
        if stages.call.mode is SearchMode.HYBRID:
            length = max(length, options.candidates or min(max(_FUSED, 2 * length), MAX_DEPTH))
        queries = [replace(one, limit=length) for one in stages.queries.values()]
        ranked = await stages.store.search(queries) if queries else []
        stages.timings.engine += (engine_done := time.monotonic()) - started
        stages.exact = all(one.exact for one in ranked)
        stages.exhausted = all(len(one.hits) < length for one in ranked)
        lists = {kind: one.hits for kind, one in zip(stages.queries, ranked, strict=True)}
        dense, keyword = lists.get(SearchMode.DENSE, []), lists.get(SearchMode.KEYWORD, [])
        if stages.call.mode is SearchMode.HYBRID:
            hits = fused(dense, keyword, options)
        else:
            hits = listed(dense or keyword, keyword=stages.call.mode is SearchMode.KEYWORD)
        stages.timings.rank += time.monotonic() - engine_done
        return hits

    async def _rerank(self, stages: _Stages, options: Reranking, hits: list[Found]) -> list[Found]:
        started = time.monotonic()
        call = stages.call
        assert isinstance(call.query, Text)  # noqa: S101 - checked before
        records = {one.id: one for one in await stages.store.get(call.tenant, [one.id for one in hits], _TEXT_ONLY)}
        hits = [one for one in hits if one.id in records]
        if hits:
            result = await self._reranker.rerank(
                RerankCall(
                    model=options.model,
                    query=call.query.text,
                    documents=tuple(records[one.id].text for one in hits),
                    raw=False,
                    truncate=Truncate.END,
                    priority=call.caller.priority,
                    special_tokens_as_text=True,
                    deadline=call.caller.deadline,
                )
            )
            for one, score in zip(hits, result.scores.tolist(), strict=True):
                one.score = one.scores.rerank = score
        stages.timings.rerank += time.monotonic() - started
        return by_score(hits)

    async def _diversified(self, stages: _Stages, options: Diversity, hits: list[Found], depth: int) -> list[Found]:
        """Choose by relevance and difference. Relevance that isn't a cosine is scaled to [0, 1] first."""
        started = time.monotonic()
        wanted = max(depth, options.candidates or max(_DIVERSE, 4 * depth))
        hits = hits[:wanted]
        records = await stages.store.get(stages.call.tenant, [one.id for one in hits], _VECTOR_ONLY)
        vectors = {one.id: one.vector for one in records if one.vector is not None}
        hits = [one for one in hits if one.id in vectors]
        if not hits:
            return []
        scores = np.array([one.score for one in hits], np.float32)
        cosine = stages.store.spec.metric is SimilarityMetric.COSINE and hits[0].scores.dense == hits[0].score
        if not cosine:
            scores = (scores - scores.min()) / max(float(np.ptp(scores)), 1e-12)
        matrix = np.stack([vectors[one.id] for one in hits])
        chosen = await asyncio.to_thread(mmr, scores, matrix, options.diversity, min(depth, len(hits)))
        for index, value in chosen:
            hits[index].scores.diversity = value
        stages.timings.rank += time.monotonic() - started
        return [hits[index] for index, _ in chosen]

    async def _groups(self, stages: _Stages) -> list[HitGroup]:
        """Look ever deeper until there are enough groups, or no more hits."""
        call, grouping = stages.call, stages.call.grouping
        assert grouping is not None  # noqa: S101 - the caller looked
        wanted = call.offset + call.top_k
        depth = min(max(_FUSED, 4 * wanted * grouping.size), MAX_DEPTH)
        field = Selection(include=(grouping.path,), text=False)
        while True:
            hits = await self._ranked(stages, depth)
            started = time.monotonic()
            records = await stages.store.get(call.tenant, [one.id for one in hits], field)
            groups = grouped(hits, {one.id: one.payload for one in records}, grouping.path, grouping.size)
            stages.timings.rank += time.monotonic() - started
            full = len(groups) >= wanted and all(len(one.hits) >= grouping.size for one in groups[:wanted])
            if full or stages.exhausted or depth >= MAX_DEPTH or len(hits) < depth:
                return groups[call.offset : wanted]
            depth = min(4 * depth, MAX_DEPTH)

    async def _fetch(self, stages: _Stages, hits: list[Found]) -> list[Found]:
        """Read what the hits carry, unless it is known already; leave out those that were deleted meanwhile."""
        if not hits or (stages.call.select.nothing and all(hit.version is not None for hit in hits)):
            return hits
        started = time.monotonic()
        records = await stages.store.get(stages.call.tenant, [one.id for one in hits], stages.call.select)
        there = {one.id: one for one in records}
        for hit in hits:
            hit.record = there.get(hit.id)
        stages.timings.fetch += time.monotonic() - started
        return [hit for hit in hits if hit.record is not None]


def _query_field(_: int) -> str:
    return "query"


def _check(call: SearchCall) -> None:
    """What needs no collection, and depends on several fields."""
    depth = call.offset + call.top_k
    if depth > MAX_DEPTH:
        raise InvalidInput("top_k", f"offset and top_k together are {depth}; at most {MAX_DEPTH}: Scroll gives all")
    if call.reranking is not None and not isinstance(call.query, Text):
        raise InvalidInput("rerank", "needs a text query: a reranker reads it")
    if call.mode is not SearchMode.DENSE and isinstance(call.query, PointRef):
        raise InvalidInput("query", "KEYWORD and HYBRID search need a text")
    stages = {"fusion": call.fusion if call.mode is SearchMode.HYBRID else None}
    for name, stage in {**stages, "rerank": call.reranking, "diversity": call.diversity}.items():
        if stage is not None and 0 < stage.candidates < depth:
            text = f"{stage.candidates} are fewer than offset and top_k ask for ({depth}): raise it or leave it out"
            raise InvalidInput(f"{name}.candidates", text)
