"""Classify with a trained classifier: requests to calls, results to replies."""

from __future__ import annotations

import numpy as np

from nearfield.v1 import embed_pb2
from nearfield_server.core.classifiers.scorer import ScoreCall, Scored
from nearfield_server.core.computing.items import Caller
from nearfield_server.errors import InvalidInput
from nearfield_server.rpc import convert, replies
from nearfield_server.rpc.enums import PRIORITIES, TRUNCATES
from nearfield_server.types import EmbedOptions, Limits, Priority, Truncate

__all__ = ["check_untrained", "score_call", "score_response"]

_OF_MODELS = ("model", "labels", "label_template", "multi_label", "raw_scores")
_LEAST_LABEL_BYTES = 10
_OF_CLASSIFIERS = ("min_score", "min_similarity", "vectors")


def check_untrained(request: embed_pb2.ClassifyRequest) -> None:
    """Refuse options of trained classifiers in a request that names none. Raises `InvalidInput`."""
    for name in _OF_CLASSIFIERS:
        if request.HasField(name):
            raise InvalidInput(name, "goes with a trained classifier: name it (classifier)")


def score_call(request: embed_pb2.ClassifyRequest, limits: Limits, deadline: float | None, tenant: str) -> ScoreCall:
    """Check a request as far as no classifier is needed. Raises `InvalidInput` or `TextTooLong`."""
    for name in _OF_MODELS:
        if getattr(request, name):
            raise InvalidInput(name, "doesn't go with classifier, which brings its own model and labels: leave it out")
    convert.positive("top_k", request)
    given = request.HasField("vectors")
    if given and request.inputs:
        raise InvalidInput("vectors", "send inputs or vectors, not both")
    count = request.vectors.rows if given else len(request.inputs)
    convert.check_count("vectors" if given else "inputs", count, limits)
    for index, one in enumerate(request.inputs):
        if one.HasField("pair"):
            raise InvalidInput(f"inputs[{index}].pair", "doesn't go with classifier, which takes one text")
    return ScoreCall(
        classifier=convert.check_model_name("classifier", request.classifier),
        inputs=tuple(
            convert.one_input(f"inputs[{index}].input", one.input, limits) for index, one in enumerate(request.inputs)
        ),
        vectors=convert.directed_rows("vectors", request.vectors) if given else None,
        min_score=_within(request, "min_score", 0.0) or 0.0,
        min_similarity=_within(request, "min_similarity", -1.0),
        embedding=EmbedOptions(
            truncate=convert.enum_value("truncate", request.truncate, TRUNCATES, Truncate.END),
            priority=convert.enum_value("priority", request.priority, PRIORITIES, Priority.INTERACTIVE),
            special_tokens_as_text=request.special_tokens_as_text,
        ),
        caller=Caller(deadline=deadline, identity=tenant),
    )


def score_response(result: Scored, request: embed_pb2.ClassifyRequest, limits: Limits) -> embed_pb2.ClassifyResponse:
    """Give the reply: the best `top_k` labels of each input, best first, abstained from or not.

    Raises `InvalidInput` where so many labels can't be sent.
    """
    labels, embedded = result.labels, result.embedded
    most = convert.positive("top_k", request, default=len(labels))
    count = len(result.scores) * min(most or 1, len(labels))
    if count * _LEAST_LABEL_BYTES > limits.max_response_bytes:
        raise InvalidInput(
            "top_k", f"{count} labels don't go into one reply: ask for the best only, or send fewer inputs"
        )
    rows = zip(result.scores, result.abstained.tolist(), result.similarities.tolist(), strict=True)
    return embed_pb2.ClassifyResponse(
        model=result.head.model,
        classifier=result.head.id,
        results=[
            embed_pb2.Classification(
                labels=[
                    embed_pb2.LabelScore(label=labels[index], index=index, score=row[index])
                    for index in np.argsort(-row, kind="stable")[:most].tolist()
                ],
                abstained=abstained,
                similarity=similarity,
            )
            for row, abstained, similarity in rows
        ],
        token_counts=() if embedded is None else embedded.token_counts,
        truncated=() if embedded is None else embedded.truncated,
        timings=replies.timings(result.timings),
    )


def _within(request: embed_pb2.ClassifyRequest, name: str, least: float) -> float | None:
    """Give an optional number from `least` to 1. NaN is outside. Raises `InvalidInput`."""
    if not request.HasField(name):
        return None
    value = float(getattr(request, name))
    if not least <= value <= 1.0:
        raise InvalidInput(name, f"must be {least:g} to 1", limit=1)
    return value
