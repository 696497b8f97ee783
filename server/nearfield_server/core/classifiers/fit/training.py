"""One training, from a matrix and labels to a classifier. The story of a job in its worker.

    order ─▶ choose by cross-validation ─▶ fit on all examples ─▶ calibrate ─▶ similarity below which it abstains

Examples are put into an order of their own first, so that the order of the input doesn't matter.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from nearfield_server.core.classifiers.fit.choosing import STRENGTHS, Choice, Way, choose, fit_way, number_of_folds
from nearfield_server.core.classifiers.fit.figures import block_rows, least_similarity, scale_of, without_itself
from nearfield_server.core.classifiers.fit.linear import Examples, Linear, centroids_of
from nearfield_server.core.classifiers.nouns import LabelFacts, Method, Trained, Weights
from nearfield_server.types import FloatRows

__all__ = ["TrainJob", "train"]

_MOST_WORK = 3e9
"""Examples x labels x dimensions up to which LOGISTIC is tried unasked: above, its many passes take minutes."""
_USUAL_SCALE = 20.0
"""Of cosines, where no example tells it."""
_FEW = 8
"""Examples, of a label or in all, whose figures are rough."""
_UNBALANCED = 20
_BEFORE_LAST_FIT = 0.85

Told = Callable[[str, float], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainJob:
    """What to learn from. `labels` are places in `names`, one a row; `keys` order the rows; empty: their bytes do."""

    rows: FloatRows
    labels: npt.NDArray[np.int64]
    names: Sequence[str]
    keys: Sequence[str] = ()
    method: Method | None = None
    seed: int = 0


def train(job: TrainJob, told: Told) -> tuple[Trained, Weights]:
    """Train on one or more unit rows of each of two or more labels. `told` hears the stage and the share done."""
    told("order", 0.0)
    order = _order(job)
    examples = Examples(np.ascontiguousarray(job.rows[order]), job.labels[order], len(job.names))
    folds = number_of_folds(examples)
    methods = _methods(job, examples, folds)
    choice = None
    if folds:
        choice = choose(examples, methods, folds, job.seed, lambda part: told("choose", _BEFORE_LAST_FIT * part))
    told("fit", _BEFORE_LAST_FIT)
    way = Way(Method.CENTROID, 0.0) if choice is None else choice.way
    fitted = _last_fit(examples, way)
    told("calibrate", 1.0 - (1.0 - _BEFORE_LAST_FIT) / 2)
    scale = _scale_of_similarities(examples) if choice is None else choice.scale
    trained = _told(job, examples, choice, methods)
    weights = Weights(
        coefficients=np.asarray(fitted.coefficients * scale, np.float32),
        intercepts=np.asarray(fitted.intercepts * scale, np.float32),
        centroids=centroids_of(examples.sums()),
    )
    return replace(trained, folds=folds, method=way.method, min_similarity=least_similarity(examples)), weights


def _order(job: TrainJob) -> npt.NDArray[np.int64]:
    """Order by label, then by key: the same texts may have vectors that differ in their last digits."""
    if len(job.keys):
        order = sorted(range(len(job.keys)), key=lambda row: (job.labels[row], job.keys[row]))
        return np.array(order, np.int64)
    keyed = np.ascontiguousarray(job.rows).view(np.dtype((np.void, job.rows.shape[1] * 4))).ravel()
    by_bytes = np.argsort(keyed, kind="stable")
    return by_bytes[np.argsort(job.labels[by_bytes], kind="stable")]


def _methods(job: TrainJob, examples: Examples, folds: int) -> tuple[Method, ...]:
    if not folds:
        return (Method.CENTROID,)
    if job.method is not None:
        return (job.method,)
    work = float(len(examples.rows)) * examples.count * examples.rows.shape[1]
    return tuple(Method) if work <= _MOST_WORK else (Method.RIDGE, Method.CENTROID)


def _last_fit(examples: Examples, way: Way) -> Linear:
    fitted = None
    for strength in STRENGTHS[way.method]:
        # By the same steps as in cross-validation: each begins where the stronger one ended.
        fitted = fit_way(examples, Way(way.method, strength), fitted)
        if strength == way.strength:
            break
    assert fitted is not None  # noqa: S101 - every method has a strength
    return fitted


def _scale_of_similarities(examples: Examples) -> float:
    """Give the scale of cosines from examples that aren't the only ones of their label, each without itself."""
    among = np.flatnonzero(np.bincount(examples.labels, minlength=examples.count)[examples.labels] > 1)
    if len(among) < _FEW:
        return _USUAL_SCALE
    chosen = among[np.unique(np.linspace(0, len(among) - 1, min(len(among), block_rows(examples.count))).astype(int))]
    return scale_of(without_itself(examples, examples.sums(), chosen), examples.labels[chosen])


def _told(job: TrainJob, examples: Examples, choice: Choice | None, methods: tuple[Method, ...]) -> Trained:
    counts = np.bincount(examples.labels, minlength=examples.count).tolist()
    figures = None if choice is None else choice.figures
    labels = tuple(
        LabelFacts(
            label=name,
            examples=counts[place],
            precision=None if figures is None else _defined(figures.precision[place]),
            recall=None if figures is None else _defined(figures.recall[place]),
        )
        for place, name in enumerate(job.names)
    )
    return Trained(
        method=Method.CENTROID,
        labels=labels,
        examples=len(examples.rows),
        accuracy=None if figures is None else figures.accuracy,
        macro_f1=None if figures is None else figures.macro_f1,
        trials=() if choice is None else choice.trials,
        min_similarity=-1.0,
        warnings=tuple(_warnings(job, counts, methods, examples)),
        seed=job.seed,
    )


def _warnings(job: TrainJob, counts: list[int], methods: tuple[Method, ...], examples: Examples) -> list[str]:
    found = []
    if alone := counts.count(1):
        found.append(
            f"{alone} of {len(counts)} labels have one example only: the nearest mean decides, and how good that is "
            "couldn't be measured; give each label two examples or more"
        )
    elif min(counts) < _FEW:
        found.append(f"the least frequent label has {min(counts)} examples: the figures of cross-validation are rough")
    if max(counts) > _UNBALANCED * min(counts):
        found.append(f"labels have {min(counts)} to {max(counts)} examples: rare ones may be found too seldom")
    if job.method is None and min(counts) > 1 and Method.LOGISTIC not in methods:
        found.append("LOGISTIC wasn't tried, which would take minutes with so many examples and labels; ask for it")
    if (mixed := _contradicting(examples)) > 0:
        found.append(f"{mixed} examples have the same vector as one of another label: they contradict each other")
    return found


def _defined(value: float) -> float | None:
    return None if np.isnan(value) else float(value)


def _contradicting(examples: Examples) -> int:
    keyed = np.ascontiguousarray(examples.rows).view(np.dtype((np.void, examples.rows.shape[1] * 4))).ravel()
    _, same = np.unique(keyed, return_inverse=True)
    pairs = np.unique(np.stack([same, examples.labels]), axis=1)
    labels_of = np.bincount(pairs[0])
    return int((labels_of[same] > 1).sum())
