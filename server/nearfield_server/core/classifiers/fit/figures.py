"""How good a classifier is, and how sure of its answers it may be. Pure."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize_scalar

from nearfield_server.core.classifiers.fit.linear import Examples, Labels, Values, centroids_of
from nearfield_server.types import FloatRows

__all__ = ["Figures", "block_rows", "figures_of", "least_similarity", "scale_of", "without_itself"]

_BLOCK_VALUES = 1 << 22
"""Similarities that are held at once."""
_ABSTAINING = 0.01
_SLACK = 1e-4
"""A text embedded again isn't its own twin to the last digit."""
_LOG_SCALES = (-5.0, 9.0)


@dataclass(frozen=True, slots=True)
class Figures:
    """Of answers to examples; by label NaN where it isn't defined."""

    accuracy: float
    macro_f1: float
    precision: Values
    recall: Values


def figures_of(labels: Labels, answers: Labels, count: int) -> Figures:
    """Compare answers with the labels, of which there are `count`."""
    right = np.bincount(labels[labels == answers], minlength=count).astype(np.float64)
    given, there = np.bincount(answers, minlength=count), np.bincount(labels, minlength=count)
    with np.errstate(invalid="ignore"):
        return Figures(
            accuracy=float((labels == answers).mean()),
            macro_f1=float((2 * right / (given + there)).mean()),
            precision=right / given,
            recall=right / there,
        )


def scale_of(values: FloatRows, labels: Labels) -> float:
    """Give what values are to be multiplied by so that their softmax tells probabilities (temperature scaling).

    It has the least log loss on held-out examples, whose labels are smoothed as if each label had been right once more:
    a few examples that are all told apart don't make certainty.
    """
    wide = values.astype(np.float64)
    smooth = 1.0 / (len(labels) + 2.0)
    own = (1.0 - smooth) * wide[np.arange(len(labels)), labels] + smooth * wide.mean(axis=1)
    greatest = wide.max(axis=1, keepdims=True)
    lower = wide - greatest

    def loss(log_scale: float) -> float:
        scale = np.exp(log_scale)
        totals = np.log(np.exp(scale * lower).sum(axis=1)) + scale * greatest[:, 0]
        return float((totals - scale * own).mean())

    found = minimize_scalar(loss, bounds=_LOG_SCALES, method="bounded", options={"xatol": 1e-3})
    return float(np.exp(found.x))


def without_itself(examples: Examples, sums: Values, chosen: Labels) -> FloatRows:
    """Give the similarities of chosen examples to all labels, as if each hadn't been an example.

    `sums`: of all examples. One that is its label's only example has similarity -1 to that.
    """
    rows, labels = examples.rows[chosen], examples.labels[chosen]
    similarities = rows @ centroids_of(sums).T
    own = np.einsum("nw,nw->n", centroids_of(sums[labels] - rows), rows)
    alone = np.bincount(examples.labels, minlength=examples.count)[labels] == 1
    similarities[np.arange(len(rows)), labels] = np.where(alone, -1.0, own)
    return similarities


def least_similarity(examples: Examples) -> float:
    """Give what the similarity to the nearest label is above for 99% of examples, each without itself."""
    sums, step = examples.sums(), block_rows(examples.count)
    places = np.arange(len(examples.rows))
    nearest = [
        without_itself(examples, sums, places[start : start + step]).max(axis=1)
        for start in range(0, len(places), step)
    ]
    return float(max(-1.0, np.quantile(np.concatenate(nearest).astype(np.float64), _ABSTAINING) - _SLACK))


def block_rows(labels: int) -> int:
    """Give how many examples' similarities to so many labels are held at once."""
    return max(1, _BLOCK_VALUES // labels)
