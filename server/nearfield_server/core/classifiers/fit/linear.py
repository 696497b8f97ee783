"""Three ways to tell labels apart by a linear function of unit rows. Pure.

Each gives coefficients `[labels, dimensions]` and intercepts `[labels]`: the label with the greatest value of
`rows @ coefficients.T + intercepts` is the answer.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_factor, cho_solve
from scipy.optimize import minimize

from nearfield_server.types import FloatRows

__all__ = ["Examples", "Linear", "centroids_of", "fit_centroid", "fit_logistic", "fit_ridge", "sums_of"]

_ITERATIONS = 80
_TOLERANCE = 1e-5
_MEMORY = 5
"""Steps that L-BFGS remembers; each costs two copies of the coefficients."""

Labels = npt.NDArray[np.int64]
Values = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Examples:
    """Unit rows, float32 [examples, dimensions], the place of each one's label, and how many labels there are."""

    rows: FloatRows
    labels: Labels
    count: int

    def part(self, chosen: npt.NDArray[np.bool_]) -> Examples:
        """Give some of them."""
        return Examples(self.rows[chosen], self.labels[chosen], self.count)

    def sums(self) -> Values:
        """Add up the rows of each label."""
        return sums_of(self.rows, self.labels, self.count)


@dataclass(frozen=True, slots=True)
class Linear:
    """One way to decide, fitted."""

    coefficients: FloatRows
    intercepts: Values

    def values(self, rows: FloatRows) -> FloatRows:
        """Give a value for each row and label."""
        return np.asarray(rows @ self.coefficients.T + self.intercepts.astype(np.float32), np.float32)


def sums_of(rows: npt.NDArray[np.floating[Any]], labels: Labels, count: int) -> Values:
    """Add up the rows of each label: float64 [labels, dimensions]."""
    order = np.argsort(labels, kind="stable")
    found, starts = np.unique(labels[order], return_index=True)
    sums = np.zeros((count, rows.shape[1]))
    sums[found] = np.add.reduceat(rows[order].astype(np.float64), starts, axis=0)
    return sums


def centroids_of(sums: Values) -> FloatRows:
    """Bring sums to unit length; what has no direction is zero."""
    norms = np.linalg.norm(sums, axis=1, keepdims=True)
    return np.asarray(np.divide(sums, norms, out=np.zeros_like(sums), where=norms > 0), np.float32)


def fit_centroid(examples: Examples) -> Linear:
    """Compare with the mean of each label's examples."""
    return Linear(centroids_of(examples.sums()), np.zeros(examples.count))


def fit_ridge(examples: Examples, strength: float) -> Linear:
    """Regress each label, as 1 where it is right and 0 elsewhere, on the rows."""
    rows, count = examples.rows, len(examples.rows)
    mean = rows.mean(axis=0, dtype=np.float64)
    centred = np.asarray(rows - mean.astype(np.float32), np.float64)
    shares = np.bincount(examples.labels, minlength=examples.count) / count
    if count >= rows.shape[1]:
        gram = centred.T @ centred
        gram[np.diag_indices_from(gram)] += strength
        # The sums of centred rows are what the centred rows have in common with the labels.
        coefficients = cho_solve(cho_factor(gram), sums_of(centred, examples.labels, examples.count).T).T
    else:
        # As many unknowns as examples, by the same solution written for them.
        gram = centred @ centred.T
        gram[np.diag_indices_from(gram)] += strength
        inverse = cho_solve(cho_factor(gram), centred)
        coefficients = sums_of(inverse, examples.labels, examples.count) - np.outer(shares, inverse.sum(axis=0))
    intercepts = shares - coefficients @ mean
    return Linear(np.asarray(coefficients, np.float32), intercepts)


def fit_logistic(examples: Examples, strength: float, start: Linear | None = None) -> Linear:
    """Maximise the likelihood of the labels less `strength` / 2 times the squared coefficients; begin at `start`."""
    mean = examples.rows.mean(axis=0)
    centred = Examples(examples.rows - mean, examples.labels, examples.count)
    width = centred.rows.shape[1]
    coefficients = np.zeros((examples.count, width)) if start is None else start.coefficients.astype(np.float64)
    intercepts = np.zeros(examples.count) if start is None else start.intercepts + coefficients @ mean
    found = minimize(
        lambda point: _loss(point, centred, strength),
        np.concatenate([coefficients, intercepts[:, None]], axis=1).ravel(),
        jac=True,
        method="L-BFGS-B",
        options={"maxiter": _ITERATIONS, "gtol": _TOLERANCE, "maxcor": _MEMORY},
    )
    best = found.x.reshape(examples.count, width + 1)
    return Linear(np.asarray(best[:, :-1], np.float32), best[:, -1] - best[:, :-1] @ mean)


def _loss(point: Values, examples: Examples, strength: float) -> tuple[float, Values]:
    """Give the mean loss and its gradient: two matrix products in single precision."""
    rows, labels = examples.rows, examples.labels
    count = len(rows)
    table = point.reshape(examples.count, -1)
    values = rows @ np.asarray(table[:, :-1].T, np.float32) + np.asarray(table[:, -1], np.float32)
    values -= values.max(axis=1, keepdims=True)
    own = values[np.arange(count), labels].astype(np.float64)
    np.exp(values, out=values)
    totals = values.sum(axis=1, dtype=np.float64)
    loss = (np.log(totals) - own).mean() + strength / (2 * count) * np.square(table[:, :-1]).sum()
    values /= totals[:, None].astype(np.float32)
    values[np.arange(count), labels] -= 1.0
    gradient: Any = np.empty_like(table)
    gradient[:, :-1] = (values.T @ rows) / count + strength / count * table[:, :-1]
    gradient[:, -1] = values.sum(axis=0, dtype=np.float64) / count
    return float(loss), gradient.ravel()
