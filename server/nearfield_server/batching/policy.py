"""Which waiting items make the next batch: a function of a snapshot.

Rules, from measurements on CPUs where padding and batches beyond the L2 cache cost more than they save:

1. The batch is built around the length of the oldest item, so whatever waits moves up with every batch taken.
2. Items of that same length come first, then those of the nearest lengths, shorter before longer.
3. rows x longest row stays within `token_budget`, unless a single item is longer than that: it runs alone.
4. Padding stays within `max_padding_ratio` of rows x longest row.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

__all__ = ["BatchLimits", "choose", "pick_budget"]


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchLimits:
    """Bounds of one batch, in padded tokens (rows x longest row) and as a share of them."""

    token_budget: int
    max_padding_ratio: float


def choose(oldest: int, waiting: Mapping[int, int], limits: BatchLimits) -> dict[int, int]:
    """Say how many items of which length to take.

    Args:
        oldest: length in tokens of the item that waited longest; it is always taken.
        waiting: number of waiting items by length in tokens, the oldest one included; counts of 0 are allowed.
        limits: bounds of the batch.

    Returns:
        Number of items to take by length; at least `{oldest: 1}`.
    """
    rows = min(waiting[oldest], max(1, limits.token_budget // oldest))
    taken = {oldest: rows}
    tokens, longest = rows * oldest, oldest
    for length in sorted(waiting, key=lambda other: (abs(other - oldest), other)):
        if length == oldest or not waiting[length]:
            continue
        if (rows + 1) * longest > limits.token_budget:
            break
        new_longest = max(longest, length)
        count = _fitting(waiting[length], rows, tokens, length, new_longest, limits)
        if count:
            taken[length] = count
            rows, tokens, longest = rows + count, tokens + count * length, new_longest
    return taken


def _fitting(available: int, rows: int, tokens: int, length: int, longest: int, limits: BatchLimits) -> int:
    """How many of `available` items of `length` can join `rows` rows of `tokens` tokens, padded to `longest`."""
    count = min(available, limits.token_budget // longest - rows)
    while count > 0:
        padded = (rows + count) * longest
        if padded - tokens - count * length <= limits.max_padding_ratio * padded:
            return count
        count -= 1
    return 0


def pick_budget(measured: Sequence[tuple[int, float]], tolerance: float = 0.05) -> int:
    """Give the smallest token budget whose speed is within `tolerance` of the best.

    Args:
        measured: pairs of token budget and tokens per second.
        tolerance: share of the best speed that a smaller batch, hence a shorter wait, is worth.
    """
    best = max(speed for _, speed in measured)
    return min(budget for budget, speed in measured if speed >= best * (1.0 - tolerance))
