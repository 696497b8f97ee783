"""Recommend: points like some examples and unlike others."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence

import numpy as np

from nearfield_server.core.collections import Collections
from nearfield_server.core.query_vectors import QueryVectors
from nearfield_server.core.ranking import by_score, listed
from nearfield_server.core.search_calls import Found, RecommendCall, RecommendStrategy, SearchResult, SearchTimings
from nearfield_server.core.searcher import MAX_DEPTH
from nearfield_server.engines.base import Store
from nearfield_server.errors import InvalidInput
from nearfield_server.telemetry.search_metrics import SearchMetrics
from nearfield_server.types import EngineQuery, FloatRows, PointId, Selection, SimilarityMetric, Vector
from nearfield_server.vectors.similarity import similarity

__all__ = ["Recommender", "best_scores", "rocchio"]

NEGATIVE_WEIGHT = 0.25
_CANDIDATES = 100
_VECTOR_ONLY = Selection(payload=False, text=False, vector=True)


def rocchio(positive: FloatRows, negative: FloatRows) -> Vector:
    """Give the mean of the positives less a quarter of the mean of the negatives, `[dimensions]` float32.

    Rocchio, Relevance feedback in information retrieval (1971); the weight is as measured in the design.
    """
    wanted = positive.mean(axis=0, dtype=np.float64)
    if len(negative):
        wanted -= NEGATIVE_WEIGHT * negative.mean(axis=0, dtype=np.float64)
    return np.asarray(wanted, np.float32)


def best_scores(rows: FloatRows, positive: FloatRows, negative: FloatRows, metric: SimilarityMetric) -> FloatRows:
    """Give each of `rows` its greatest similarity p to a positive, less n - p where a negative is nearer by that."""
    nearest = similarity(rows, positive, metric).max(axis=1)
    if len(negative):
        against = similarity(rows, negative, metric).max(axis=1)
        nearest = nearest - np.maximum(against - nearest, 0.0)
    return np.asarray(nearest, np.float32)


class Recommender:
    """Finds points by examples."""

    def __init__(self, collections: Collections, queries: QueryVectors, metrics: SearchMetrics) -> None:
        """Find stores in `collections`; make vectors with `queries`."""
        self._collections = collections
        self._queries = queries
        self._metrics = metrics

    async def recommend(self, call: RecommendCall) -> SearchResult:
        """Give the hits, the examples left out. Raises any `NearfieldError` but those of the start-up."""
        started = time.monotonic()
        store = self._collections.store(call.collection).at(call.consistency)
        if (depth := call.offset + call.top_k) > MAX_DEPTH:
            raise InvalidInput("top_k", f"offset and top_k together are {depth}; at most {MAX_DEPTH}")
        timings = SearchTimings()
        examples = (*call.positive, *call.negative)
        rows, excluded = await self._queries.dense(
            store, call.tenant, examples, call.caller, lambda index: _field(index, len(call.positive))
        )
        timings.embed = time.monotonic() - started
        positive, negative = rows[: len(call.positive)], rows[len(call.positive) :]
        if call.strategy is RecommendStrategy.AVERAGE_VECTOR:
            hits, exact = await self._by_average(store, call, positive, negative, excluded)
        else:
            hits, exact = await self._by_best(store, call, positive, negative, excluded)
        timings.engine = time.monotonic() - started - timings.embed
        if call.score_threshold is not None:
            hits = [one for one in hits if one.score >= call.score_threshold]
        hits = hits[call.offset : depth]
        fetched = time.monotonic()
        records = {one.id: one for one in await store.get(call.tenant, [one.id for one in hits], call.select)}
        for hit in hits:
            hit.record = records.get(hit.id)
        timings.fetch = time.monotonic() - fetched
        timings.total = time.monotonic() - started
        self._metrics.searched("recommend", timings)
        found = [one for one in hits if one.record is not None]
        return SearchResult(hits=found, groups=[], exact=exact, timings=timings)

    async def _by_average(
        self, store: Store, call: RecommendCall, positive: FloatRows, negative: FloatRows, excluded: Sequence[PointId]
    ) -> tuple[list[Found], bool]:
        wanted = rocchio(positive, negative)
        if store.spec.metric is SimilarityMetric.COSINE:
            length = float(np.linalg.norm(wanted.astype(np.float64)))
            if length < 1e-9:  # noqa: PLR2004 - what rounding leaves of examples that cancel
                raise InvalidInput("positive", "the examples cancel each other out: use BEST_SCORE or other examples")
            wanted = np.asarray(wanted / length, np.float32)
        query = _query(call, wanted, call.offset + call.top_k, excluded)
        (ranked,) = await store.search([query])
        return listed(ranked.hits, keyword=False), ranked.exact

    async def _by_best(
        self, store: Store, call: RecommendCall, positive: FloatRows, negative: FloatRows, excluded: Sequence[PointId]
    ) -> tuple[list[Found], bool]:
        """Look at the neighbours of each positive, twice as many as asked for since negatives take some away."""
        length = min(max(_CANDIDATES, 2 * (call.offset + call.top_k)), MAX_DEPTH)
        lists = await store.search([_query(call, row, length, excluded) for row in positive])
        found = {hit.id: hit for one in lists for hit in listed(one.hits, keyword=False)}
        records = await store.get(call.tenant, list(found), _VECTOR_ONLY)
        there = [(found[one.id], one.vector) for one in records if one.vector is not None]
        if there:
            matrix = np.stack([vector for _, vector in there])
            scores = await asyncio.to_thread(best_scores, matrix, positive, negative, store.spec.metric)
            for (hit, _), score in zip(there, scores.tolist(), strict=True):
                hit.score = score
        return by_score([hit for hit, _ in there]), all(one.exact for one in lists)


def _query(call: RecommendCall, row: Vector, limit: int, excluded: Sequence[PointId]) -> EngineQuery:
    return EngineQuery(tenant=call.tenant, limit=limit, dense=row, filter=call.filter, exclude=tuple(excluded))


def _field(index: int, positives: int) -> str:
    return f"positive[{index}]" if index < positives else f"negative[{index - positives}]"
