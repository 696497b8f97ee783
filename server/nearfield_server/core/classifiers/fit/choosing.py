"""Which way of deciding is the best, and how good it is: stratified cross-validation.

Examples of each label are dealt to the folds in turn, after a seeded shuffle, so every fold has some of each. Each way
is fitted without one fold at a time and answers that; the greatest mean of the labels' F1 wins, the way that was tried
first where two are equal.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from nearfield_server.core.classifiers.fit.figures import Figures, figures_of, scale_of
from nearfield_server.core.classifiers.fit.linear import (
    Examples,
    Labels,
    Linear,
    fit_centroid,
    fit_logistic,
    fit_ridge,
)
from nearfield_server.core.classifiers.nouns import Method, Trial
from nearfield_server.types import FloatRows

__all__ = ["STRENGTHS", "Choice", "Way", "choose", "fit_way", "folds_of", "number_of_folds"]

STRENGTHS = {Method.LOGISTIC: (1.0, 0.1, 0.01), Method.RIDGE: (10.0, 1.0, 0.1), Method.CENTROID: (0.0,)}
"""Of regularisation, from strong to weak: the weaker one of LOGISTIC begins where the stronger ended."""
_MOST_FOLDS, _FEW_FOLDS = 5, 3
_MANY_EXAMPLES = 20_000
"""So many tell enough in fewer folds."""

Told = Callable[[float], None]


@dataclass(frozen=True, slots=True)
class Way:
    """A method with its strength of regularisation."""

    method: Method
    strength: float


@dataclass(frozen=True, slots=True)
class Choice:
    """The best way, what it was on held-out examples, what its values are multiplied by, and all that was tried."""

    way: Way
    figures: Figures
    scale: float
    trials: tuple[Trial, ...]


def number_of_folds(examples: Examples) -> int:
    """Give how many folds the least frequent label allows; 0: it has one example only."""
    least = int(np.bincount(examples.labels, minlength=examples.count).min())
    most = _MOST_FOLDS if len(examples.rows) <= _MANY_EXAMPLES else _FEW_FOLDS
    return min(most, least) if least > 1 else 0


def folds_of(labels: Labels, count: int, folds: int, seed: int) -> Labels:
    """Give the fold of each example."""
    random = np.random.default_rng(seed)
    dealt = np.empty(len(labels), np.int64)
    order = np.argsort(labels, kind="stable")
    at = 0
    for size in np.bincount(labels, minlength=count):
        # Each label begins where the one before ended: folds of labels with few examples are of like size.
        dealt[order[at : at + size]] = (random.permutation(size) + at) % folds
        at += size
    return dealt


def fit_way(examples: Examples, way: Way, start: Linear | None = None) -> Linear:
    """Fit one way."""
    if way.method is Method.LOGISTIC:
        return fit_logistic(examples, way.strength, start)
    return fit_ridge(examples, way.strength) if way.method is Method.RIDGE else fit_centroid(examples)


def choose(examples: Examples, methods: tuple[Method, ...], folds: int, seed: int, told: Told) -> Choice:
    """Try all strengths of some methods; `told` hears the share that is done."""
    dealt = folds_of(examples.labels, examples.count, folds, seed)
    best: tuple[Way, Figures, FloatRows] | None = None
    trials = []
    total = sum(len(STRENGTHS[method]) for method in methods)
    for way, values in _held_out(examples, methods, dealt, lambda part: told(part / total)):
        figures = figures_of(examples.labels, values.argmax(axis=1), examples.count)
        trials.append(Trial(method=way.method, regularization=way.strength, macro_f1=figures.macro_f1))
        if best is None or figures.macro_f1 > best[1].macro_f1:
            best = way, figures, values
    assert best is not None  # noqa: S101 - there is a method at least
    return Choice(best[0], best[1], scale_of(best[2], examples.labels), tuple(trials))


def _held_out(
    examples: Examples, methods: tuple[Method, ...], dealt: Labels, told: Told
) -> Iterator[tuple[Way, FloatRows]]:
    """Give, way by way, its values for each example from the fit without the example's fold."""
    folds = int(dealt.max()) + 1
    done = 0
    for method in methods:
        before: list[Linear | None] = [None] * folds
        for strength in STRENGTHS[method]:
            way = Way(method, strength)
            values = np.empty((len(examples.rows), examples.count), np.float32)
            for fold in range(folds):
                held = dealt == fold
                fitted = before[fold] = fit_way(examples.part(~held), way, before[fold])
                values[held] = fitted.values(examples.rows[held])
                told(done + (fold + 1) / folds)
            yield way, values
            done += 1
