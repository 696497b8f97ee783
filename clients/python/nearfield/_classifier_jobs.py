"""Classify with a trained classifier: inputs, or vectors, in; labels with their scores out."""

from __future__ import annotations

from typing import Any

from nearfield import _convert, _methods, _split
from nearfield._classifier_requests import is_vectors, matrix_of
from nearfield._classifier_types import Labels, TrainedOptions
from nearfield._inputs import Item, items_of, one_or_many
from nearfield._jobs import RangeJob, check_count, one_source
from nearfield._model import Model
from nearfield._types import LabelScore
from nearfield.v1 import embed_pb2

__all__ = ["TrainedJob"]

_USUAL_LABELS = 400
"""The client doesn't know how many labels come back; with more and long ones, `top_k` keeps replies in bounds."""
_LABEL_BYTES = 64


class TrainedJob(RangeJob[embed_pb2.ClassifyResponse]):
    """One call."""

    method = _methods.CLASSIFY

    def __init__(self, inputs: Any, classifier: str, options: TrainedOptions) -> None:
        """Check everything that needs no server. Raises InvalidArgument, TypeError or ValueError."""
        fields = _convert.option_fields(options, TrainedOptions)
        self._vectors = inputs if is_vectors(inputs) else None
        items = (
            [Item("", 4 * inputs.shape[1], 1)] * len(inputs) if is_vectors(inputs) else items_of(one_or_many(inputs))
        )
        super().__init__(items, {**fields, "classifier": classifier})
        self._labels = options.get("top_k") or _USUAL_LABELS

    def parts(self, model: Model) -> list[range]:
        """Cut."""
        return self._cut(_split.scoring_budget(model, None, self._labels * _LABEL_BYTES))

    def request(self, part: range) -> embed_pb2.ClassifyRequest:
        """Make one part's request."""
        if self._vectors is not None:
            return embed_pb2.ClassifyRequest(vectors=matrix_of(self._vectors[part.start : part.stop]), **self._fields)
        inputs = [embed_pb2.ClassifyInput(input=one) for one in self._inputs(part)]
        return embed_pb2.ClassifyRequest(inputs=inputs, **self._fields)

    def accept(self, part: range, reply: embed_pb2.ClassifyResponse) -> None:
        """Check one part's reply. Raises InternalError."""
        check_count(len(reply.results), part)
        self._keep(part, reply)

    def result(self) -> list[Labels]:
        """Give the labels of each input, in the order of the inputs. Raises Aborted."""
        kept = self._in_order()
        one_source([(reply.classifier, 0) for _, reply in kept])
        return [
            Labels(
                [LabelScore(label=one.label, index=one.index, score=one.score) for one in result.labels],
                abstained=result.abstained,
                similarity=result.similarity,
            )
            for _, reply in kept
            for result in reply.results
        ]
