"""Ranked lists to hits: joining, fusing, grouping. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from nearfield_server.core.search_calls import Found, FusionMethod, FusionOptions, HitGroup
from nearfield_server.filters.matches import values_at
from nearfield_server.types import EngineHit, Json, PointId
from nearfield_server.vectors.fuse import rrf, weighted

__all__ = ["by_score", "fused", "grouped", "listed"]


def by_score(hits: list[Found]) -> list[Found]:
    """Sort best first, equal scores by the order in which the points were first stored."""
    return sorted(hits, key=lambda one: (-one.score, one.order))


def listed(hits: Sequence[EngineHit], *, keyword: bool) -> list[Found]:
    """Give the hits of one list with their scores and ranks kept."""
    found = []
    for rank, hit in enumerate(hits, 1):
        one = Found(hit.id, hit.score, hit.order, version=hit.version)
        if keyword:
            one.scores.keyword, one.scores.keyword_rank = hit.score, rank
        else:
            one.scores.dense, one.scores.dense_rank = hit.score, rank
        found.append(one)
    return found


def fused(dense: Sequence[EngineHit], keyword: Sequence[EngineHit], options: FusionOptions) -> list[Found]:
    """Make one list of two, best first."""
    joined: dict[PointId, Found] = {one.id: one for one in listed(dense, keyword=False)}
    for one in listed(keyword, keyword=True):
        if (there := joined.setdefault(one.id, one)) is not one:
            there.scores.keyword, there.scores.keyword_rank = one.scores.keyword, one.scores.keyword_rank
    lists = [[(hit.id, hit.score) for hit in hits] for hits in (dense, keyword)]
    weights = (options.dense_weight, options.keyword_weight)
    order = {id_: one.order for id_, one in joined.items()}
    if options.method is FusionMethod.RRF:
        scored = rrf(lists, weights, options.rrf_k, order.__getitem__)
    else:
        scored = weighted(lists, weights, order.__getitem__)
    for id_, score in scored:
        joined[id_].score = joined[id_].scores.fused = score
    return [joined[id_] for id_, _ in scored]


def grouped(
    hits: Sequence[Found], payloads: Mapping[PointId, Mapping[str, Json]], path: str, size: int
) -> list[HitGroup]:
    """Put hits, best first, into groups of at most `size` by the values of a field; groups by their best hits.

    A point with a list is in the group of each of its values; one without the field, or with objects there, in none.
    """
    groups: dict[tuple[type, Json], HitGroup] = {}
    for hit in hits:
        keys = dict.fromkeys(
            (type(value), value)
            for value in values_at(payloads.get(hit.id, {}), path)
            if isinstance(value, (str, bool, int, float))
        )
        for key in keys:
            group = groups.setdefault(key, HitGroup(key[1], []))
            if len(group.hits) < size:
                group.hits.append(hit)
    return list(groups.values())
