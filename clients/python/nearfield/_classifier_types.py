"""Trained classifiers: what the server tells of them, and how they are trained."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, TypeAlias, TypedDict

from nearfield._options import InputType, Priority, Truncate
from nearfield._search_types import FilterLike
from nearfield._types import LabelScore

__all__ = [
    "Classifier",
    "ClassifierLabel",
    "ClassifierMethod",
    "ClassifierTrial",
    "Labels",
    "TrainOptions",
    "TrainedOptions",
]

ClassifierMethod: TypeAlias = Literal["logistic", "ridge", "centroid"]


@dataclass(frozen=True, slots=True)
class ClassifierLabel:
    """A label, its examples, and its precision and recall in cross-validation; None: not known."""

    label: str
    examples: int
    precision: float | None
    recall: float | None


@dataclass(frozen=True, slots=True)
class ClassifierTrial:
    """A way to decide that was tried."""

    method: str
    regularization: float
    macro_f1: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Classifier:
    """A trained classifier. `accuracy` and `macro_f1` are of cross-validation; None: too few examples to tell.

    `model` "": it was trained on vectors of the caller's own. Inputs less similar than `min_similarity` to the nearest
    label's examples are abstained from, unless the call says otherwise.
    """

    name: str
    version: int
    method: str
    labels: tuple[ClassifierLabel, ...]
    model: str
    model_version: str
    dimensions: int
    input_type: str
    examples: int
    accuracy: float | None
    macro_f1: float | None
    folds: int
    trials: tuple[ClassifierTrial, ...]
    min_similarity: float
    description: str
    warnings: tuple[str, ...]
    seed: int
    created_at: datetime

    @property
    def id(self) -> str:
        """What calls name this version by: `name@version`."""
        return f"{self.name}@{self.version}"


class Labels(list[LabelScore]):
    """The labels of one input, greatest score first: a list that also tells whether the first is the answer.

    Attributes:
        abstained: none of them is, for want of score or similarity.
        similarity: cosine similarity to the nearest label's examples.
    """

    def __init__(self, labels: Iterable[LabelScore], *, abstained: bool, similarity: float) -> None:
        """Keep them."""
        super().__init__(labels)
        self.abstained = abstained
        self.similarity = similarity

    @property
    def answer(self) -> str | None:
        """The best label; None where the classifier abstains."""
        return None if self.abstained or not self else self[0].label


class TrainedOptions(TypedDict, total=False):
    """How to classify with a trained classifier. Keys as in `EmbedOptions` and these.

    Keys:
        min_score: abstain where the best score is below, 0 to 1.
        min_similarity: abstain where an input is less similar to all labels' examples, -1 to 1; None: as trained.
        top_k: give the best labels only; None gives all.
    """

    min_score: float | None
    min_similarity: float | None
    top_k: int | None
    truncate: Truncate
    priority: Priority | None
    special_tokens_as_text: bool
    timeout: float | None


class TrainOptions(TypedDict, total=False):
    """How to train. Every key may be left out.

    Keys:
        method: "logistic", "ridge" or "centroid"; None: the one that is best in cross-validation.
        seed: start of all random choices.
        description: what it is for, told with it.
        model: name of the model of texts; "" is the default one.
        input_type: what texts are embedded as, then and later; None is "classification".
        dimensions: width of the vectors, for models that can be cut.
        truncate: what happens to texts that are too long.
        collection: learn from the points of this collection, not from examples.
        label_field: field of their payload that holds the label; points without it are left out.
        tenant: whose points.
        filter: which of them, such as "year > 2020".
        timeout: seconds; left out: 600; None: the client's own.
    """

    method: ClassifierMethod | None
    seed: int
    description: str
    model: str
    input_type: InputType | None
    dimensions: int | None
    truncate: Truncate
    collection: str
    label_field: str
    tenant: str
    filter: FilterLike | None
    timeout: float | None
