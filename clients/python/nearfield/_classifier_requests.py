"""Trained classifiers: arguments to requests, and replies to plain values. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC
from typing import Any

import numpy as np

from nearfield._classifier_types import Classifier, ClassifierLabel, ClassifierTrial, TrainOptions
from nearfield._convert import check_options, enum_name, enum_number
from nearfield._inputs import items_of, one_or_many
from nearfield._methods import Method
from nearfield._search_requests import filter_fields
from nearfield.v1 import cluster_pb2, types_pb2

__all__ = [
    "DELETE_CLASSIFIER",
    "EXPORT_CLASSIFIER",
    "GET_CLASSIFIER",
    "IMPORT_CLASSIFIER",
    "LIST_CLASSIFIERS",
    "TRAIN_CLASSIFIER",
    "classifier_of",
    "is_vectors",
    "matrix_of",
    "train_requests",
]

_MOST_ITEMS, _MOST_BYTES = 128, 2 * 2**20
_MATRIX = 2


def _method(name: str) -> Method[Any, Any]:
    request, reply = (getattr(cluster_pb2, f"{name}{end}") for end in ("Request", "Response"))
    return Method(f"/nearfield.v1.ClusterService/{name}", request.SerializeToString, reply.FromString)


TRAIN_CLASSIFIER = _method("TrainClassifier")
GET_CLASSIFIER = _method("GetClassifier")
LIST_CLASSIFIERS = _method("ListClassifiers")
DELETE_CLASSIFIER = _method("DeleteClassifier")
EXPORT_CLASSIFIER = _method("ExportClassifier")
IMPORT_CLASSIFIER = _method("ImportClassifier")


def is_vectors(inputs: object) -> bool:
    """Whether these are vectors, not inputs to embed."""
    return isinstance(inputs, np.ndarray) and inputs.ndim == _MATRIX and inputs.dtype.kind == "f"


def matrix_of(rows: Any) -> types_pb2.Matrix:
    """Give vectors as a message."""
    little = np.ascontiguousarray(rows, "<f4")
    return types_pb2.Matrix(
        dtype=types_pb2.DTYPE_FLOAT32, rows=little.shape[0], cols=little.shape[1], data=little.tobytes()
    )


def train_requests(
    name: str, examples: Any, labels: Sequence[str] | None, options: TrainOptions
) -> list[cluster_pb2.TrainClassifierRequest]:
    """Give the messages of a training: options, then examples. Raises TypeError, ValueError or InvalidArgument."""
    check_options(options, TrainOptions)
    stored = bool(options.get("collection"))
    if stored != (examples is None) or (stored and labels is not None):
        raise TypeError("give examples, or a collection with its label_field")
    first = cluster_pb2.TrainClassifierRequest(options=_options(name, options))
    return [first] if stored else [first, *_parts(*_paired(examples, labels))]


def _paired(examples: Any, labels: Sequence[str] | None) -> tuple[Any, list[str]]:
    if isinstance(examples, str) or isinstance(labels, str):
        raise TypeError("one str; give lists of examples and labels")
    if labels is None:
        pairs = list(examples)
        if not all(isinstance(one, (tuple, list)) and len(one) == _MATRIX for one in pairs):
            raise TypeError("examples are pairs of (text, label); or give the labels for themselves: labels=[…]")
        examples, labels = [one for one, _ in pairs], [label for _, label in pairs]
    examples = examples if is_vectors(examples) else list(one_or_many(examples))
    listed = list(labels)
    if len(listed) != len(examples):
        raise ValueError(f"{len(listed)} labels for {len(examples)} examples; give one each")
    for one in listed:
        if not isinstance(one, str):
            raise TypeError(f"a label is a {type(one).__name__}, not a str")
    return examples, listed


def _parts(examples: Any, labels: list[str]) -> Iterator[cluster_pb2.TrainClassifierRequest]:
    if is_vectors(examples):
        step = max(1, min(_MOST_ITEMS, _MOST_BYTES // (4 * max(1, examples.shape[1]))))
        for start in range(0, len(labels), step):
            part = slice(start, start + step)
            items = cluster_pb2.ClusterItems(vectors=matrix_of(examples[part]))
            yield _examples(items, labels[part])
        return
    start, size = 0, 0
    items_ = items_of(examples)
    for at, item in enumerate(items_):
        if at > start and (at - start >= _MOST_ITEMS or size + item.size_bytes > _MOST_BYTES):
            yield _texts(items_[start:at], labels[start:at])
            start, size = at, 0
        size += item.size_bytes
    if items_:
        yield _texts(items_[start:], labels[start:])


def _texts(items: Iterable[Any], labels: list[str]) -> cluster_pb2.TrainClassifierRequest:
    return _examples(cluster_pb2.ClusterItems(inputs=[one.message() for one in items]), labels)


def _examples(items: cluster_pb2.ClusterItems, labels: list[str]) -> cluster_pb2.TrainClassifierRequest:
    return cluster_pb2.TrainClassifierRequest(examples=cluster_pb2.LabelledItems(items=items, labels=labels))


def _options(name: str, options: TrainOptions) -> cluster_pb2.TrainClassifierOptions:
    method = enum_number(cluster_pb2.ClassifierMethod, "CLASSIFIER_METHOD_", "method", options.get("method"))
    message: Any = cluster_pb2.TrainClassifierOptions(
        name=name,
        method=method,  # type: ignore[arg-type]
        seed=options.get("seed", 0),
        label_field=options.get("label_field", ""),
        description=options.get("description", ""),
    )
    if collection := options.get("collection"):
        message.collection.CopyFrom(
            cluster_pb2.ClusterCollection(
                collection=collection, tenant=options.get("tenant", ""), **filter_fields(options.get("filter"))
            )
        )
    embedding: Any = cluster_pb2.ClusterEmbedding(
        model=options.get("model", ""),
        input_type=enum_number(types_pb2.InputType, "INPUT_TYPE_", "input_type", options.get("input_type")),  # type: ignore[arg-type]
        truncate=enum_number(types_pb2.Truncate, "TRUNCATE_", "truncate", options.get("truncate")),  # type: ignore[arg-type]
        dimensions=options.get("dimensions"),
    )
    if embedding.ByteSize():
        message.embedding.CopyFrom(embedding)
    return message  # type: ignore[no-any-return]


def classifier_of(message: cluster_pb2.Classifier) -> Classifier:
    """Give a classifier."""
    return Classifier(
        name=message.name,
        version=message.version,
        method=_method_name(message.method),
        labels=tuple(
            ClassifierLabel(
                label=one.label,
                examples=one.examples,
                precision=one.precision if one.HasField("precision") else None,
                recall=one.recall if one.HasField("recall") else None,
            )
            for one in message.labels
        ),
        model=message.model,
        model_version=message.model_version,
        dimensions=message.dimensions,
        input_type=enum_name(types_pb2.InputType, "INPUT_TYPE_", message.input_type),
        examples=message.examples,
        accuracy=message.accuracy if message.HasField("accuracy") else None,
        macro_f1=message.macro_f1 if message.HasField("macro_f1") else None,
        folds=message.folds,
        trials=tuple(
            ClassifierTrial(_method_name(one.method), one.regularization, one.macro_f1) for one in message.trials
        ),
        min_similarity=message.min_similarity,
        description=message.description,
        warnings=tuple(message.warnings),
        seed=message.seed,
        created_at=message.created_at.ToDatetime(UTC),
    )


def _method_name(number: int) -> str:
    return enum_name(cluster_pb2.ClassifierMethod, "CLASSIFIER_METHOD_", number)
