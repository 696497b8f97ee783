"""The rpcs of ClusterService that train classifiers, give them, and move them between servers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

from nearfield.v1 import cluster_pb2
from nearfield_server.core.classifiers.codec import MAX_LABEL, NAME, decode, is_label
from nearfield_server.core.classifiers.kept import KeptClassifiers
from nearfield_server.core.classifiers.nouns import Classifier, Head, LabelFacts, TrainOptions
from nearfield_server.core.classifiers.trainer import TrainCall, Trainer, Training
from nearfield_server.core.computing.gatherer import Gathered, Gatherer
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import InvalidInput
from nearfield_server.filters.paths import split_path
from nearfield_server.rpc import convert, item_convert, replies
from nearfield_server.rpc.clusters import caller_of
from nearfield_server.rpc.enums import CLASSIFIER_METHODS, TO_CLASSIFIER_METHOD, TO_INPUT_TYPE
from nearfield_server.rpc.gathering import Gathering
from nearfield_server.types import EmbedOptions, InputType

__all__ = ["ClassifierRpcs", "classifier_message"]

_MAX_DESCRIPTION = 1000
_BAD_NAME = "must be 1 to 64 letters, digits, dots, dashes or underscores, the first a letter or digit"


class ClassifierRpcs:
    """Requests to calls, and back."""

    def __init__(
        self,
        trainer: Trainer,
        kept: KeptClassifiers,
        gatherer: Gatherer,
        registry: ModelRegistry,
        idle_seconds: float,
    ) -> None:
        """`registry` publishes the limits of messages; `idle_seconds` is how long a stream may stand still."""
        self._trainer = trainer
        self._kept = kept
        self._gatherer = gatherer
        self._registry = registry
        self._idle_seconds = idle_seconds

    async def train(
        self, requests: AsyncIterator[cluster_pb2.TrainClassifierRequest], context: Any
    ) -> cluster_pb2.TrainClassifierResponse:
        """Train on what is streamed in, or on a collection."""
        examples = _Examples(requests, self._gatherer, self._registry, self._idle_seconds)
        call = _train_call((await examples.first()).options, caller_of(context))
        training = self._trainer.begin()
        try:
            if call.source is None:
                await examples.take(training, call)
            else:
                await examples.nothing_more()
                await self._trainer.read(call, training)
            made = await self._trainer.finish(call, training)
        finally:
            training.gathered.close()
        return cluster_pb2.TrainClassifierResponse(classifier=classifier_message(made.head))

    async def get(self, request: cluster_pb2.GetClassifierRequest, _: Any) -> cluster_pb2.GetClassifierResponse:
        """Give a classifier."""
        head = self._kept.find(_named(request.name))
        return cluster_pb2.GetClassifierResponse(classifier=classifier_message(head))

    async def list(self, _: cluster_pb2.ListClassifiersRequest, __: Any) -> cluster_pb2.ListClassifiersResponse:
        """Give all versions of all classifiers."""
        reply = cluster_pb2.ListClassifiersResponse(classifiers=map(classifier_message, self._kept.listed()))
        return replies.within_limit("", reply, self._registry.limits, "delete some, or get them one by one")

    async def delete(
        self, request: cluster_pb2.DeleteClassifierRequest, _: Any
    ) -> cluster_pb2.DeleteClassifierResponse:
        """Delete a version, or all of a name."""
        return cluster_pb2.DeleteClassifierResponse(deleted=await self._kept.drop(_named(request.name)))

    async def export(
        self, request: cluster_pb2.ExportClassifierRequest, _: Any
    ) -> cluster_pb2.ExportClassifierResponse:
        """Give a classifier as a file."""
        data = await self._kept.file(self._kept.find(_named(request.name)).id)
        reply = cluster_pb2.ExportClassifierResponse(data=data)
        return replies.within_limit("name", reply, self._registry.limits, "raise limits.max_response_bytes")

    async def import_(
        self, request: cluster_pb2.ImportClassifierRequest, _: Any
    ) -> cluster_pb2.ImportClassifierResponse:
        """Keep a classifier from a file."""
        if request.name and not NAME.fullmatch(request.name):
            raise InvalidInput("name", _BAD_NAME)
        try:
            one = await asyncio.to_thread(decode, request.data)
        except ValueError as error:
            raise InvalidInput("data", f"{error}: send what ExportClassifier gave") from None
        name = request.name or one.head.name
        made = await self._kept.add(Classifier(replace(one.head, name=name), one.weights))
        return cluster_pb2.ImportClassifierResponse(classifier=classifier_message(made.head))


class _Examples(Gathering):
    """A stream of examples with their labels."""

    async def take(self, training: Training, call: TrainCall) -> None:
        """Take all; those that can't be embedded are left out, and a warning tells of them. Raises as `items`."""
        self._training = training
        failed, first = 0, ""
        async for step in self.items(training.gathered, call.embedding, call.caller):
            if isinstance(step, cluster_pb2.ClusterItemFailure):
                failed += 1
                first = first or step.status.message
        if failed:
            training.warnings.append(f"{failed} examples were left out; of the first: {first}"[:_MAX_DESCRIPTION])

    async def nothing_more(self) -> None:
        """Raise `InvalidInput` where the stream goes on."""
        if await self._next() is not None:
            raise InvalidInput("examples", "send none with options.collection, which has them")

    async def _take(
        self, message: Any, gathered: Gathered, embedding: EmbedOptions, caller: Caller
    ) -> list[cluster_pb2.ClusterItemFailure]:
        if message.WhichOneof("message") != "examples":
            raise InvalidInput("examples", "all messages but the first must hold examples")
        checked, labels = await self._checked("examples.items", message.examples.items), message.examples.labels
        _check_labels(labels, checked.total)
        failures = await self._added(checked, gathered, embedding, caller)
        for row in range(checked.total):
            if row not in failures:
                self._training.label(labels[row], f"examples.labels[{row}]")
        return self._told(checked.total, failures)


def classifier_message(head: Head) -> cluster_pb2.Classifier:
    """Give what a classifier is."""
    trained = head.trained
    message = cluster_pb2.Classifier(
        name=head.name,
        version=head.version,
        method=TO_CLASSIFIER_METHOD[trained.method],
        labels=map(_label_message, trained.labels),
        model=head.model,
        model_version=head.model_version,
        dimensions=head.dimensions,
        examples=trained.examples,
        accuracy=trained.accuracy,
        macro_f1=trained.macro_f1,
        folds=trained.folds,
        trials=[
            cluster_pb2.ClassifierTrial(
                method=TO_CLASSIFIER_METHOD[one.method], regularization=one.regularization, macro_f1=one.macro_f1
            )
            for one in trained.trials
        ],
        min_similarity=trained.min_similarity,
        description=head.description,
        warnings=trained.warnings,
        seed=trained.seed,
        input_type=TO_INPUT_TYPE[head.input_type],
    )
    message.created_at.FromDatetime(head.created_at)
    return message


def _label_message(one: LabelFacts) -> cluster_pb2.ClassifierLabel:
    return cluster_pb2.ClassifierLabel(
        label=one.label, examples=one.examples, precision=one.precision, recall=one.recall
    )


def _train_call(message: cluster_pb2.TrainClassifierOptions, caller: Caller) -> TrainCall:
    """Check the first message. Raises `InvalidInput`."""
    if not NAME.fullmatch(message.name):
        raise InvalidInput("options.name", _BAD_NAME)
    if len(message.description) > _MAX_DESCRIPTION:
        raise InvalidInput("options.description", f"over {_MAX_DESCRIPTION} characters", limit=_MAX_DESCRIPTION)
    stored = message.HasField("collection")
    if stored and message.HasField("embedding"):
        raise InvalidInput("options.embedding", "doesn't go with collection: its points have vectors already")
    if stored != bool(message.label_field):
        text = "name the field of the payload that holds the label" if stored else "goes with collection only"
        raise InvalidInput("options.label_field", text)
    if stored:
        try:
            split_path(message.label_field)
        except ValueError as error:
            raise InvalidInput("options.label_field", str(error)) from None
    embedding = item_convert.embedding("options.embedding", message.embedding, bulk=True)
    return TrainCall(
        options=TrainOptions(
            name=message.name,
            method=convert.enum_value("options.method", message.method, CLASSIFIER_METHODS, None),
            seed=message.seed,
            description=message.description,
        ),
        embedding=replace(embedding, input_type=embedding.input_type or InputType.CLASSIFICATION),
        source=item_convert.collection_source("options.collection", message.collection) if stored else None,
        label_field=message.label_field,
        caller=caller,
    )


def _check_labels(labels: Any, items: int) -> None:
    if len(labels) != items:
        raise InvalidInput("examples.labels", f"{len(labels)} labels for {items} items: give one each")
    for row, label in enumerate(labels):
        if not is_label(label):
            raise InvalidInput(f"examples.labels[{row}]", f"must have 1 to {MAX_LABEL} characters, not all blanks")


def _named(name: str) -> str:
    if not name:
        raise InvalidInput("name", "must name a classifier (ListClassifiers tells the names)")
    return convert.check_model_name("name", name)
