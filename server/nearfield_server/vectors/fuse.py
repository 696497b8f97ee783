"""Making one ranked list of several. Sums are float64; equal ones are put in an order that the caller tells."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

__all__ = ["rrf", "weighted"]

_K = TypeVar("_K", bound=Hashable)


def rrf(
    lists: Sequence[Sequence[tuple[_K, float]]], weights: Sequence[float], k: float, order: Callable[[_K], float]
) -> list[tuple[_K, float]]:
    """Join by reciprocal rank: the sum of weight / (k + rank), rank from 1 (Cormack et al., SIGIR 2009).

    Args:
        lists: keys with their scores, best first; a key stands in a list once.
        weights: one for each list, 0 or more.
        k: greater than 0; the greater, the less the first ranks stand out.
        order: what breaks ties, the least first.

    Returns:
        every key with its sum, best first.
    """
    sums: dict[_K, float] = {}
    for ranked, weight in zip(lists, weights, strict=True):
        for rank, (key, _) in enumerate(ranked, 1):
            sums[key] = sums.get(key, 0.0) + weight / (k + rank)
    return _sorted(sums, order)


def weighted(
    lists: Sequence[Sequence[tuple[_K, float]]], weights: Sequence[float], order: Callable[[_K], float]
) -> list[tuple[_K, float]]:
    """Join by score: the sum of weight times score, each list's scores scaled to [0, 1] by its least and greatest.

    Scores of a list that are all equal count as 1; a key that a list lacks gets 0 from it. See `rrf` for the rest.
    """
    sums: dict[_K, float] = {}
    for ranked, weight in zip(lists, weights, strict=True):
        scores = [float(score) for _, score in ranked]
        least, greatest = min(scores, default=0.0), max(scores, default=0.0)
        # Halves: the width of two doubles may be no double.
        width = greatest / 2 - least / 2
        for (key, _), score in zip(ranked, scores, strict=True):
            scaled = (score / 2 - least / 2) / width if width > 0 else 1.0
            sums[key] = sums.get(key, 0.0) + weight * scaled
    return _sorted(sums, order)


def _sorted(sums: dict[_K, float], order: Callable[[_K], float]) -> list[tuple[_K, float]]:
    return sorted(sums.items(), key=lambda one: (-one[1], order(one[0])))
