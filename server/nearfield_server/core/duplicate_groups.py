"""Pairs that say the same to groups of bounded size. Pure."""

from __future__ import annotations

from collections.abc import Mapping

__all__ = ["Pairs", "connected"]

Pairs = Mapping[int, Mapping[int, float]]
"""Similarity of each point, by its position, to others; symmetric, none with itself."""


def connected(pairs: Pairs, max_group: int) -> list[list[int]]:
    """Give groups of two or more, each in ascending order, by their least member.

    Pairs are joined most similar first, unless a group would grow beyond `max_group`.
    """
    parent: dict[int, int] = {}
    members: dict[int, list[int]] = {}

    def root(point: int) -> int:
        while (above := parent.setdefault(point, point)) != point:
            parent[point] = parent[above]
            point = above
        return point

    edges = sorted((-score, a, b) for a, others in pairs.items() for b, score in others.items() if a < b)
    for _, a, b in edges:
        left, right = root(a), root(b)
        if left == right:
            continue
        ours, theirs = members.setdefault(left, [left]), members.setdefault(right, [right])
        if len(ours) + len(theirs) > max_group:
            continue
        if len(ours) < len(theirs):
            left, right, ours, theirs = right, left, theirs, ours
        parent[right] = left
        ours.extend(theirs)
        del members[right]
    return sorted(sorted(group) for group in members.values() if len(group) > 1)
