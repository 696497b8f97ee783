"""Classify: a model's own labels, or labels of the caller's, compared by an encoder or by entailment."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np

from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.pipeline import Pipeline, Ran, Work
from nearfield_server.core.prepare import prepare_any
from nearfield_server.core.reranker import score_rows
from nearfield_server.core.serving import ReadyModel
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.errors import BackendFailure, InvalidInput, Unsupported
from nearfield_server.types import (
    DENSE_ONLY,
    Activation,
    FloatRows,
    Input,
    Limits,
    ModelSpec,
    OutputKind,
    Priority,
    Timings,
    Tokens,
    Truncate,
)
from nearfield_server.vectors.finish import unit_rows
from nearfield_server.vectors.scores import activate

__all__ = ["Classifier", "ClassifyCall", "ClassifyResult"]

_SCORES = frozenset({OutputKind.SCORES})
# Cosines are multiplied by this before the softmax, as sentence-transformers' losses do when they train.
_COSINE_SCALE = 20.0
# Pairs of one zero-shot call, per input that a call may have.
_PAIRS_PER_INPUT = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class ClassifyCall:
    """A well-formed request, its model not yet looked at. `pairs` has a text or `None` for each input.

    `deadline` is monotonic seconds; `tenant` is who calls, as the server itself knows it.
    """

    model: str
    inputs: tuple[Input, ...]
    pairs: tuple[str | None, ...]
    labels: tuple[str, ...]
    template: str
    multi_label: bool
    raw: bool
    truncate: Truncate
    priority: Priority
    special_tokens_as_text: bool
    deadline: float | None
    tenant: str = ""


@dataclass(frozen=True, slots=True)
class ClassifyResult:
    """`scores` `[inputs, labels]` float32 in the order of the call and of `labels`."""

    model: str
    labels: tuple[str, ...]
    scores: FloatRows
    token_counts: tuple[int, ...]
    truncated: tuple[bool, ...]
    timings: Timings


@dataclass(frozen=True, slots=True)
class _Scored:
    """Scores, and the tokens of each input."""

    scores: FloatRows
    tokens: Sequence[Sequence[Tokens]]
    ran: Ran


class Classifier:
    """Classifies with the models of a registry."""

    def __init__(self, models: ModelRegistry, pipeline: Pipeline) -> None:
        """Use `models`, and `pipeline` to run them."""
        self._models = models
        self._pipeline = pipeline

    async def classify(self, call: ClassifyCall) -> ClassifyResult:
        """Score each input's labels. Raises `Unsupported` for a model that can't, and as `Embedder.embed` does."""
        with self._models.lease(call.model) as model:
            return await self._classify(model, call)

    async def _classify(self, model: ReadyModel, call: ClassifyCall) -> ClassifyResult:
        spec = model.loaded.spec
        if not call.labels:
            found = await self._own_labels(model, call)
        elif spec.scores is not None:
            found = await self._by_entailment(model, call)
        elif OutputKind.DENSE in spec.outputs:
            found = await self._by_similarity(model, call)
        else:
            raise Unsupported("labels", "this model has neither dense vectors nor entailment to compare labels by")
        if not (fine := np.isfinite(found.scores).all(axis=1)).all():
            model.metrics.bad_vector()
            raise BackendFailure("the model's scores are not finite", index=int(np.argmin(fine)))
        return ClassifyResult(
            model=spec.name,
            labels=call.labels or (spec.scores.labels if spec.scores else ()),
            scores=found.scores,
            token_counts=tuple(sum(map(len, one)) for one in found.tokens),
            truncated=tuple(any(part.truncated for part in one) for one in found.tokens),
            timings=self._pipeline.account(model, found.ran),
        )

    async def _own_labels(self, model: ReadyModel, call: ClassifyCall) -> _Scored:
        head = model.loaded.spec.scores
        if head is None:
            raise Unsupported("labels", "this model has no labels of its own: give some, for zero-shot classification")
        _refuse_images(call, "this model classifies texts")
        ran = await self._run(model, call, len(call.inputs), partial(_singles_and_pairs, model.loaded, call))
        activation = Activation.SIGMOID if call.multi_label else head.activation
        scores = activate(score_rows(ran.rows), Activation.NONE if call.raw else activation)
        return _Scored(scores, [[one] for one in ran.tokens], ran)

    async def _by_similarity(self, model: ReadyModel, call: ClassifyCall) -> _Scored:
        spec = model.loaded.spec
        if spec.vision is None:
            _refuse_images(call, "this model takes texts only")
        labels = tuple(_filled(call.template or "{}", label) for label in call.labels)
        prepare = partial(_inputs_and_labels, model.loaded, call, labels, self._models.limits)
        ran = await self._run(model, call, len(call.inputs) + len(labels), prepare)
        rows = unit_rows(np.stack([row.dense for row in ran.rows if row.dense is not None]))
        count = len(call.inputs)
        cosines = rows[:count] @ rows[count:].T
        if call.raw:
            scores = cosines
        elif call.multi_label:
            scores = np.clip(cosines, 0.0, 1.0)
        else:
            scale = spec.vision.logit_scale if spec.vision else _COSINE_SCALE
            scores = activate(np.asarray(cosines * scale, np.float32), Activation.SOFTMAX)
        return _Scored(np.asarray(scores, np.float32), [[one] for one in ran.tokens[:count]], ran)

    async def _by_entailment(self, model: ReadyModel, call: ClassifyCall) -> _Scored:
        entails, contradicts = _entailment(model.loaded.spec)
        _refuse_images(call, "this model classifies texts")
        _refuse_tokens(call)
        width = len(call.labels)
        count, most = len(call.inputs) * width, _PAIRS_PER_INPUT * self._models.limits.max_inputs
        if count > most:
            raise InvalidInput("inputs", f"{count} pairs of inputs and labels; at most {most}: send fewer at once")
        ran = await self._run(model, call, count, partial(_hypotheses, model.loaded, call))
        raw = score_rows(ran.rows).reshape(len(call.inputs), width, -1)
        scores = raw[:, :, entails]
        if not call.raw:
            if call.multi_label or width == 1:
                both = raw[:, :, [contradicts, entails]].reshape(-1, 2)
                scores = activate(both, Activation.SOFTMAX)[:, 1].reshape(-1, width)
            else:
                scores = activate(scores, Activation.SOFTMAX)
        tokens = [ran.tokens[start : start + width] for start in range(0, count, width)]
        return _Scored(np.asarray(scores, np.float32), tokens, ran)

    async def _run(self, model: ReadyModel, call: ClassifyCall, count: int, prepare: Callable[[], list[Tokens]]) -> Ran:
        work = Work(
            prepare=prepare,
            count=count,
            priority=call.priority,
            deadline=call.deadline,
            tenant=call.tenant,
            images=any(isinstance(one, bytes) for one in call.inputs),
        )
        return await self._pipeline.run(model, work)


def _options(call: ClassifyCall, wanted: frozenset[OutputKind]) -> TextOptions:
    return TextOptions(truncate=call.truncate, special_tokens_as_text=call.special_tokens_as_text, wanted=wanted)


def _inputs_and_labels(
    loaded: LoadedEncoder, call: ClassifyCall, labels: Sequence[str], limits: Limits
) -> list[Tokens]:
    count = len(call.inputs)
    try:
        return prepare_any(loaded, (*call.inputs, *labels), _options(call, DENSE_ONLY), limits)
    except InvalidInput as error:
        raise error.moved(
            lambda index: f"inputs[{index}].input" if index < count else f"labels[{index - count}]"
        ) from None


def _singles_and_pairs(loaded: LoadedEncoder, call: ClassifyCall) -> list[Tokens]:
    options = _options(call, _SCORES)
    done: dict[int, Tokens] = {}
    alone = [index for index, pair in enumerate(call.pairs) if pair is None]
    texts = [one for index in alone if not isinstance(one := call.inputs[index], bytes)]
    try:
        done.update(zip(alone, loaded.tokenizer.encode(texts, options), strict=True))
    except InvalidInput as error:
        raise error.moved(lambda index: f"inputs[{alone[index]}].input") from None
    paired = [(index, str(call.inputs[index]), pair) for index, pair in enumerate(call.pairs) if pair is not None]
    tokens = loaded.tokenizer.encode_pairs(
        [(first, second) for _, first, second in paired], options, lambda at: f"inputs[{paired[at][0]}]"
    )
    done.update(zip((index for index, _, _ in paired), tokens, strict=True))
    return [done[index] for index in range(len(call.inputs))]


def _hypotheses(loaded: LoadedEncoder, call: ClassifyCall) -> list[Tokens]:
    template = call.template or "This example is {}."
    hypotheses = [_filled(template, label) for label in call.labels]
    pairs = [(str(text), hypothesis) for text in call.inputs for hypothesis in hypotheses]
    return loaded.tokenizer.encode_pairs(pairs, _options(call, _SCORES), lambda at: f"inputs[{at // len(hypotheses)}]")


def _filled(template: str, label: str) -> str:
    return template.replace("{}", label)


def _entailment(spec: ModelSpec) -> tuple[int, int]:
    """Give the columns of entailment and of its opposite, as transformers' zero-shot pipeline finds them."""
    labels = spec.scores.labels if spec.scores else ()
    found = [index for index, label in enumerate(labels) if label.lower().startswith("entail")]
    if not found or len(labels) == 1:
        known = ", ".join(labels[:5])
        raise Unsupported("labels", f"this model has labels of its own ({known}) and none of them is entailment")
    opposite = [index for index, label in enumerate(labels) if label.lower().startswith("contra")]
    other = -1 if found[0] == 0 else 0
    return found[0], opposite[0] if opposite else other


def _refuse_images(call: ClassifyCall, why: str) -> None:
    for index, one in enumerate(call.inputs):
        if isinstance(one, bytes):
            raise Unsupported(f"inputs[{index}].input.image", why)


def _refuse_tokens(call: ClassifyCall) -> None:
    for index, one in enumerate(call.inputs):
        if not isinstance(one, (str, bytes)):
            raise Unsupported(f"inputs[{index}].input.token_ids", "entailment is between texts: send the text")
