"""Classify with a trained classifier: inputs to vectors by its model, then one matrix product."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nearfield_server.core.classifiers.kept import KeptClassifiers
from nearfield_server.core.classifiers.nouns import Classifier, Head
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.embedder import Embedder
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import FailedPrecondition, InvalidInput
from nearfield_server.telemetry.classifier_metrics import ClassifierMetrics
from nearfield_server.types import Activation, EmbedCall, EmbedOptions, EmbedResult, FloatRows, Input, Timings
from nearfield_server.vectors.finish import unit_rows
from nearfield_server.vectors.scores import activate

__all__ = ["ScoreCall", "Scored", "Scorer", "score"]


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreCall:
    """Inputs, or vectors, and the classifier. `min_similarity` None: the classifier's own.

    `embedding` says how inputs are cut, and which queue they wait in.
    """

    classifier: str
    inputs: tuple[Input, ...] = ()
    vectors: FloatRows | None = None
    min_score: float = 0.0
    min_similarity: float | None = None
    embedding: EmbedOptions = field(default_factory=EmbedOptions)
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scored:
    """Probabilities float32 [inputs, labels], similarities to the nearest label, and which inputs it abstains from.

    `embedded` None: vectors were given.
    """

    head: Head
    scores: FloatRows
    similarities: npt.NDArray[np.float32]
    abstained: npt.NDArray[np.bool_]
    embedded: EmbedResult | None

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels, in the order of the scores."""
        return tuple(one.label for one in self.head.trained.labels)

    @property
    def timings(self) -> Timings:
        """Where the time went."""
        return Timings() if self.embedded is None else self.embedded.timings


class Scorer:
    """Classifies. Used on the event loop; a classifier that is deleted meanwhile serves the calls that have it."""

    def __init__(
        self, kept: KeptClassifiers, embedder: Embedder, models: ModelRegistry, metrics: ClassifierMetrics
    ) -> None:
        """Look into `kept`, and embed by `embedder` with `models`."""
        self._kept = kept
        self._embedder = embedder
        self._models = models
        self._metrics = metrics

    async def classify(self, call: ScoreCall) -> Scored:
        """Score the labels of each input.

        Raises:
            ClassifierNotFound: there is none of that name.
            InvalidInput: inputs for a classifier of vectors, or vectors of another width.
            FailedPrecondition: its model is served in another version.
            NearfieldError: as `Embedder.embed`.
        """
        one = await self._kept.load(call.classifier)
        rows, embedded = await self._rows(one.head, call)
        scores, similarities = await asyncio.to_thread(score, one, rows)
        least = one.head.trained.min_similarity if call.min_similarity is None else call.min_similarity
        abstained = (scores.max(axis=1) < call.min_score) | (similarities < least)
        self._metrics.classified(int((~abstained).sum()), int(abstained.sum()))
        return Scored(head=one.head, scores=scores, similarities=similarities, abstained=abstained, embedded=embedded)

    async def _rows(self, head: Head, call: ScoreCall) -> tuple[FloatRows, EmbedResult | None]:
        if call.vectors is not None:
            if (width := call.vectors.shape[1]) != head.dimensions:
                text = f"{width} dimensions; the classifier has {head.dimensions}"
                raise InvalidInput("vectors.cols", text, dimensions=head.dimensions)
            return await asyncio.to_thread(unit_rows, call.vectors), None
        if not head.model:
            raise InvalidInput("vectors", "this classifier was trained on the caller's own vectors: send such")
        options = EmbedOptions(
            model=head.model,
            input_type=head.input_type,
            truncate=call.embedding.truncate,
            priority=call.embedding.priority,
            special_tokens_as_text=call.embedding.special_tokens_as_text,
            dimensions=head.dimensions,
            normalize=True,
        )
        with self._models.lease(head.model) as model:
            if model.loaded.spec.version != head.model_version:
                text = f"{head.model} is served in another version than {head.id} was trained with: train it anew"
                raise FailedPrecondition(f"models/{head.model}", text)
            asked = EmbedCall(call.inputs, options, call.caller.deadline, call.caller.identity)
            try:
                found = await self._embedder.embed(asked, sent=False, held=model)
            except InvalidInput as error:
                raise error.moved(lambda index: f"inputs[{index}].input") from None
        return np.asarray(found.matrix, np.float32), found


def score(one: Classifier, rows: FloatRows) -> tuple[FloatRows, npt.NDArray[np.float32]]:
    """Give the probability of each label, and each row's similarity to the nearest label's examples."""
    weights = one.weights
    values = np.asarray(rows @ weights.coefficients.T + weights.intercepts, np.float32)
    similarities = np.clip((rows @ weights.centroids.T).max(axis=1), -1.0, 1.0)
    return activate(values, Activation.SOFTMAX), np.asarray(similarities, np.float32)
