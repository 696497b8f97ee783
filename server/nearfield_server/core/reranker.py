"""Rerank: how well documents answer a query, by a cross-encoder or by late interaction."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial

import numpy as np

from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.pipeline import Pipeline, Ran, Work
from nearfield_server.core.serving import ReadyModel
from nearfield_server.encoder.tokenizer import TextOptions, TextTokenizer
from nearfield_server.errors import BackendFailure, Unsupported
from nearfield_server.types import Activation, FloatRows, OutputKind, Outputs, Priority, Timings, Tokens, Truncate
from nearfield_server.vectors.finish import unit_rows
from nearfield_server.vectors.scores import activate, maxsim

__all__ = ["RerankCall", "RerankResult", "Reranker", "score_rows"]

_SCORES, _MULTI = frozenset({OutputKind.SCORES}), frozenset({OutputKind.MULTI})


@dataclass(frozen=True, slots=True, kw_only=True)
class RerankCall:
    """A well-formed request, its model not yet looked at. `deadline` is monotonic seconds."""

    model: str
    query: str
    documents: tuple[str, ...]
    raw: bool
    truncate: Truncate
    priority: Priority
    special_tokens_as_text: bool
    deadline: float | None


@dataclass(frozen=True, slots=True)
class RerankResult:
    """`scores` `[documents]` float32 in the order of the call, and the positions of the documents, best first."""

    model: str
    scores: FloatRows
    order: tuple[int, ...]
    token_counts: tuple[int, ...]
    truncated: tuple[bool, ...]
    timings: Timings


class Reranker:
    """Scores documents with the models of a registry."""

    def __init__(self, models: ModelRegistry, pipeline: Pipeline) -> None:
        """Use `models`, and `pipeline` to run them."""
        self._models = models
        self._pipeline = pipeline

    async def rerank(self, call: RerankCall) -> RerankResult:
        """Score each document. Raises `Unsupported` for a model that can't, and as `Embedder.embed` does."""
        with self._models.lease(call.model) as model:
            return await self._rerank(model, call)

    async def _rerank(self, model: ReadyModel, call: RerankCall) -> RerankResult:
        spec = model.loaded.spec
        if spec.scores is not None and len(spec.scores.labels) == 1:
            activation = Activation.NONE if call.raw else spec.scores.activation
            ran = await self._run(model, call, _SCORES)
            scores = activate(score_rows(ran.rows), activation)[:, 0]
            tokens = ran.tokens
            counts = tuple(map(len, tokens))
        elif spec.multi is not None:
            ran = await self._run(model, call, _MULTI)
            work = partial(_late_scores, ran, normalize=spec.multi.normalize)
            scores = await self._pipeline.off_loop(work, call.deadline)
            tokens = ran.tokens[1:]
            counts = tuple(len(ran.tokens[0]) + len(one) for one in tokens)
        else:
            if spec.scores is not None:
                text = f"this model tells {len(spec.scores.labels)} labels apart and ranks nothing: use Classify"
            else:
                text = (
                    "this model is no reranker: load a cross-encoder or a ColBERT, or compare vectors with Similarity"
                )
            raise Unsupported("model", text)
        if not np.isfinite(scores).all():
            model.metrics.bad_vector()
            raise BackendFailure("the model's score is not finite", index=int(np.argmin(np.isfinite(scores))))
        return RerankResult(
            model=spec.name,
            scores=scores,
            order=tuple(int(one) for one in np.argsort(-scores, kind="stable")),
            token_counts=counts,
            truncated=tuple(one.truncated for one in tokens),
            timings=self._pipeline.account(model, ran),
        )

    async def _run(self, model: ReadyModel, call: RerankCall, wanted: frozenset[OutputKind]) -> Ran:
        options = TextOptions(truncate=call.truncate, special_tokens_as_text=call.special_tokens_as_text, wanted=wanted)
        prepare = _pairs if wanted is _SCORES else _query_and_documents
        work = Work(
            prepare=partial(prepare, model.loaded.tokenizer, call, options),
            count=len(call.documents) + (wanted is _MULTI),
            priority=call.priority,
            deadline=call.deadline,
        )
        return await self._pipeline.run(model, work)


def score_rows(rows: list[Outputs]) -> FloatRows:
    """Give the raw numbers of all rows, `[n, labels]` float32. Raises `BackendFailure` if one is missing."""
    found = [row.scores for row in rows if row.scores is not None]
    if len(found) != len(rows):
        raise BackendFailure("the model gave no scores where some were due")
    return np.asarray(np.stack(found), np.float32)


def _pairs(tokenizer: TextTokenizer, call: RerankCall, options: TextOptions) -> list[Tokens]:
    pairs = [(call.query, document) for document in call.documents]
    return tokenizer.encode_pairs(pairs, options, lambda index: f"documents[{index}]")


def _query_and_documents(tokenizer: TextTokenizer, call: RerankCall, options: TextOptions) -> list[Tokens]:
    query = TextOptions(
        truncate=options.truncate,
        special_tokens_as_text=options.special_tokens_as_text,
        wanted=options.wanted,
        as_query=True,
    )
    return [*tokenizer.encode([call.query], query), *tokenizer.encode(call.documents, options)]


def _late_scores(ran: Ran, *, normalize: bool) -> FloatRows:
    vectors = [row.multi for row in ran.rows if row.multi is not None]
    query, *documents = (unit_rows(one) if normalize else one for one in vectors)
    return np.array([maxsim(query, document) for document in documents], np.float32)
