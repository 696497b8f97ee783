"""What is passed between the parts of classifying. No code but properties."""

from __future__ import annotations

import enum
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows, InputType

__all__ = ["Classifier", "Head", "LabelFacts", "Method", "TrainOptions", "Trained", "Trial", "Weights"]


class Method(enum.Enum):
    """How a classifier decides."""

    LOGISTIC = "logistic"
    RIDGE = "ridge"
    CENTROID = "centroid"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainOptions:
    """How to train. `method` None: the one that is best in cross-validation."""

    name: str
    method: Method | None = None
    seed: int = 0
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelFacts:
    """A label, its examples, and how cross-validation did on it; `None`: not known."""

    label: str
    examples: int
    precision: float | None = None
    recall: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Trial:
    """A way to decide that was tried. `regularization` is 0 with CENTROID."""

    method: Method
    regularization: float
    macro_f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Trained:
    """What a training tells, but for the weights; see nearfield.v1.Classifier. `accuracy`, `macro_f1` None: not known.

    `folds` 0: there was no cross-validation.
    """

    method: Method
    labels: tuple[LabelFacts, ...]
    examples: int
    accuracy: float | None = None
    macro_f1: float | None = None
    folds: int = 0
    trials: tuple[Trial, ...] = ()
    min_similarity: float
    warnings: tuple[str, ...] = ()
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Weights:
    """What decides. The softmax of `rows @ coefficients.T + intercepts` is the labels' probabilities.

    Attributes:
        coefficients: float32 [labels, dimensions].
        intercepts: float32 [labels].
        centroids: unit means of each label's examples; a row is zero where they have none; float32 [labels,
            dimensions].
    """

    coefficients: FloatRows
    intercepts: npt.NDArray[np.float32]
    centroids: FloatRows


@dataclass(frozen=True, slots=True, kw_only=True)
class Head:
    """What a classifier is: all but its weights. `model` "": of the caller's own vectors."""

    name: str
    version: int
    trained: Trained
    model: str
    model_version: str
    dimensions: int
    input_type: InputType
    description: str
    created_at: datetime

    @property
    def id(self) -> str:
        """Its name and version, as callers write them."""
        return f"{self.name}@{self.version}"

    @property
    def expires_at(self) -> datetime | None:
        """Never: classifiers are kept until they are deleted."""
        return None


@dataclass(frozen=True, slots=True)
class Classifier:
    """A classifier, whole."""

    head: Head
    weights: Weights
