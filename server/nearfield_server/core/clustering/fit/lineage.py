"""Clusters keep their ids from one clustering to the next: matched by the items that both have."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.optimize import linear_sum_assignment

from nearfield_server.core.clustering.nouns import Change, IntColumn, Lineage

__all__ = ["Inherited", "inherit"]

_LEAST_OVERLAP = 0.2
"""Jaccard overlap below which a cluster isn't the same one."""
_MOST = 0.5


@dataclass(frozen=True, slots=True)
class Inherited:
    """Ids of the clusters by place, what changed, and the first id that no cluster ever had."""

    ids: list[int]
    lineage: list[Lineage]
    next_id: int


def inherit(before: IntColumn, now: IntColumn, clusters: int, previous_ids: list[int], next_id: int) -> Inherited:
    """Give ids to `clusters` places.

    Args:
        before: id of each item's cluster in the previous clustering, -1 for none or a new item; int32 [items].
        now: place of each item's cluster, -1 for none; int32 [items].
        clusters: how many places there are.
        previous_ids: all ids there.
        next_id: the first id that no cluster had until then.
    """
    column = {one: at for at, one in enumerate(previous_ids)}
    shared = np.zeros((clusters, len(previous_ids)))
    both = (now >= 0) & np.isin(before, previous_ids)
    np.add.at(shared, (now[both], np.array([column[int(one)] for one in before[both]], np.int64)), 1.0)
    ours = np.bincount(now[now >= 0], minlength=clusters).astype(np.float64)
    theirs = np.array([np.count_nonzero(before == one) for one in previous_ids], np.float64)
    union = ours[:, None] + theirs[None, :] - shared
    overlap = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    rows, columns = linear_sum_assignment(-overlap)
    matched = {
        int(row): int(col) for row, col in zip(rows, columns, strict=True) if overlap[row, col] >= _LEAST_OVERLAP
    }
    ids, lineage = [], []
    for place in range(clusters):
        if place in matched:
            at = matched[place]
            ids.append(previous_ids[at])
            lineage.append(Lineage(Change.CONTINUED, previous_ids[at], previous_ids[at], float(overlap[place, at])))
            continue
        ids.append(next_id)
        parent = _majority(shared[place], ours[place])
        if parent is not None and parent in matched.values():
            lineage.append(Lineage(Change.SPLIT, previous_ids[parent], next_id, float(overlap[place, parent])))
        else:
            lineage.append(Lineage(Change.NEW, None, next_id, 0.0))
        next_id += 1
    for at, one in enumerate(previous_ids):
        if at in matched.values():
            continue
        heir = _majority(shared[:, at], theirs[at])
        if heir is not None:
            lineage.append(Lineage(Change.MERGED, one, ids[heir], float(overlap[heir, at])))
        else:
            lineage.append(Lineage(Change.GONE, one, None, 0.0))
    return Inherited(ids, lineage, next_id)


def _majority(shares: npt.NDArray[np.float64], total: float) -> int | None:
    """Give where at least half of `total` is."""
    if not len(shares) or total <= 0:
        return None
    best = int(shares.argmax())
    return best if shares[best] >= _MOST * total else None
