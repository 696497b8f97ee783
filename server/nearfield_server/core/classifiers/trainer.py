"""TrainClassifier: gather examples with their labels, have them learnt from, keep the result."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

import numpy as np

from nearfield_server.core.classifiers.codec import (
    MAX_LABEL,
    MAX_LABELS,
    is_label,
    unpack_trained,
    unpack_weights,
)
from nearfield_server.core.classifiers.estimate import check_size
from nearfield_server.core.classifiers.kept import KeptClassifiers
from nearfield_server.core.classifiers.nouns import Classifier, Head, Method, TrainOptions
from nearfield_server.core.computing.gatherer import Gathered, Gatherer
from nearfield_server.core.computing.items import Caller, CollectionSource
from nearfield_server.core.computing.pool import ComputePool, Lane, check_installed
from nearfield_server.errors import InvalidInput
from nearfield_server.filters.paths import values_at
from nearfield_server.telemetry.classifier_metrics import ClassifierMetrics
from nearfield_server.types import EmbedOptions, InputType, Json, Record

__all__ = ["TrainCall", "TrainTools", "Trainer", "Training"]

_LIBRARIES = ("scipy", "threadpoolctl")
_LEAST_LABELS = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainCall:
    """What to train, and how. `source` None: examples come in a stream."""

    options: TrainOptions
    embedding: EmbedOptions
    source: CollectionSource | None = None
    label_field: str = ""
    caller: Caller = field(default_factory=Caller)


@dataclass(frozen=True, slots=True)
class TrainTools:
    """What classifiers are made with."""

    gatherer: Gatherer
    pool: ComputePool
    kept: KeptClassifiers
    metrics: ClassifierMetrics
    memory_bytes: int


class Training:
    """Examples brought together so far, and their labels. Close `gathered`."""

    def __init__(self, gatherer: Gatherer, memory_bytes: int) -> None:
        """Begin with nothing."""
        self._memory_bytes = memory_bytes
        self.names: dict[str, int] = {}
        self.labels: list[int] = []
        self.warnings: list[str] = []
        self.gathered: Gathered = gatherer.begin(self._check_size)

    def label(self, label: str, path: str) -> None:
        """Say what the next example is. Raises `InvalidInput` where there are too many labels."""
        if label not in self.names and len(self.names) >= MAX_LABELS:
            raise InvalidInput(path, f"more than {MAX_LABELS} labels", limit=MAX_LABELS)
        self.labels.append(self.names.setdefault(label, len(self.names)))

    def counts(self) -> list[int]:
        """Give the number of examples of each label."""
        return np.bincount(self.labels, minlength=len(self.names)).tolist() if self.labels else []

    def _check_size(self, _: str, examples: int, dimensions: int, text_bytes: int) -> None:
        check_size(max(_LEAST_LABELS, len(self.names)), self._memory_bytes, examples, dimensions, text_bytes)


class Trainer:
    """Trains. Used on the event loop."""

    def __init__(self, tools: TrainTools) -> None:
        """Use `tools`."""
        self._tools = tools

    def begin(self) -> Training:
        """Begin to gather examples.

        Raises:
            FailedPrecondition: the libraries are missing, or no more classifiers may be kept.
            Overloaded: too many wait.
        """
        check_installed(_LIBRARIES, "cluster")
        self._tools.kept.check_room()
        self._tools.pool.check_room(Lane.CALLS)
        return Training(self._tools.gatherer, self._tools.memory_bytes)

    async def read(self, call: TrainCall, training: Training) -> None:
        """Take the points of a collection that have a label. Raises as `Gatherer.read`."""
        assert call.source is not None  # noqa: S101 - asked for with a collection only
        without = 0

        def labelled(record: Record) -> bool:
            nonlocal without
            label = _label_of(record, call.label_field)
            if label is None:
                without += 1
                return False
            training.label(label, "options.label_field")
            return True

        await self._tools.gatherer.read(training.gathered, call.source, lambda _: None, labelled)
        if without:
            training.warnings.append(f"{without} points have no label in {call.label_field!r} and were left out")
        if not training.labels:
            text = f"none of {without} points has a text, number or truth value there of 1 to {MAX_LABEL} characters"
            raise InvalidInput("options.label_field", text)

    async def finish(self, call: TrainCall, training: Training) -> Classifier:
        """Wait for a worker, learn from what was gathered, and keep the result.

        Raises:
            InvalidInput: fewer than two labels, or too few examples for the method.
            TooLarge: it would take, or took, too much memory.
            Overloaded: too many wait.
            NearfieldError: as `ComputePool.run` and `KeptClassifiers.add`.
        """
        _check(call, training)
        metrics = self._tools.metrics
        try:
            async with self._tools.pool.turn(Lane.CALLS):
                with metrics.training():
                    made = await self._trained(call, training)
            made = await self._tools.kept.add(made)
        except BaseException as error:
            metrics.ended("cancelled" if isinstance(error, asyncio.CancelledError) else "failed")
            raise
        metrics.ended("done")
        return made

    async def _trained(self, call: TrainCall, training: Training) -> Classifier:
        matter = training.gathered.matter
        assert matter is not None  # noqa: S101 - nothing is trained without examples
        check_size(len(training.names), self._tools.memory_bytes, len(matter), matter.dimensions, matter.texts.bytes)
        names = sorted(training.names)
        place_of = {name: place for place, name in enumerate(names)}
        places = np.array([place_of[name] for name in training.names], np.int32)
        header = {
            "op": "train",
            **matter.place(),
            "names": names,
            "method": None if call.options.method is None else call.options.method.value,
            "seed": call.options.seed,
        }
        labels = places[np.array(training.labels)].astype("<i4").tobytes()
        answer, body = await self._tools.pool.run(header, labels, lambda _stage, _share: None)
        trained = await asyncio.to_thread(unpack_trained, answer["trained"])
        origin = training.gathered.origin
        head = Head(
            name=call.options.name,
            version=1,
            trained=replace(trained, warnings=(*training.warnings, *trained.warnings)),
            model=origin.model,
            model_version=origin.model_version,
            dimensions=origin.dimensions,
            input_type=_input_type(call),
            description=call.options.description,
            created_at=datetime.now(UTC),
        )
        return Classifier(head, unpack_weights(body, len(names), origin.dimensions))


def _input_type(call: TrainCall) -> InputType:
    """Give what new texts are embedded as: points of collections are documents."""
    if call.source is not None:
        return InputType.DOCUMENT
    return call.embedding.input_type or InputType.CLASSIFICATION


def _check(call: TrainCall, training: Training) -> None:
    counts = training.counts()
    path = "options.label_field" if call.source is not None else "examples.labels"
    if len(counts) < _LEAST_LABELS:
        text = f"{len(counts)} label; at least {_LEAST_LABELS} are needed to tell apart"
        raise InvalidInput(path, text, count=len(counts))
    if call.options.method in {Method.LOGISTIC, Method.RIDGE} and (alone := counts.count(1)):
        text = (
            f"{alone} of {len(counts)} labels have one example; {call.options.method.name} needs two or more of each: "
            "give more, or use CENTROID"
        )
        raise InvalidInput(path, text, count=alone)


def _label_of(record: Record, path: str) -> str | None:
    """Give the value of a payload as text; `None` where there isn't one that may be a label."""
    found: Sequence[Json] = list(values_at(record.payload, path))
    if len(found) != 1 or isinstance(found[0], (dict, list)) or found[0] is None:
        return None
    value = found[0]
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return text if is_label(text) else None
