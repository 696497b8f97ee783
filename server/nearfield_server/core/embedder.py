"""Embed, EmbedSparse, EmbedMulti and Similarity: plan, run, finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from nearfield_server.core.models import ModelRegistry
from nearfield_server.core.pipeline import Pipeline, Ran, Work
from nearfield_server.core.plan import Plan, make_plan, prompt_of
from nearfield_server.core.prepare import prepare_inputs
from nearfield_server.core.results import embed_result
from nearfield_server.core.serving import ReadyModel
from nearfield_server.errors import BackendFailure, InvalidInput
from nearfield_server.types import (
    EmbedCall,
    EmbedResult,
    FloatRows,
    IdArray,
    SimilarityMetric,
    Timings,
    TokenizedText,
)
from nearfield_server.vectors.similarity import similarity

__all__ = ["Embedder", "SimilarityCall", "SimilarityResult"]

# A reply of this many components takes about a millisecond to finish: more is done off the event loop.
_INLINE_COMPONENTS = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SimilarityCall:
    """Two lists to compare; `sources` with itself when there are no `targets`."""

    sources: EmbedCall
    targets: EmbedCall | None
    metric: SimilarityMetric | None


@dataclass(frozen=True, slots=True)
class SimilarityResult:
    """Scores `[sources, targets]` float32, greater is more alike."""

    model: str
    scores: FloatRows
    metric: SimilarityMetric
    timings: Timings


class Embedder:
    """Embeds, compares and tokenises with the models of a registry."""

    def __init__(self, models: ModelRegistry, pipeline: Pipeline) -> None:
        """Use `models`, and `pipeline` to run them."""
        self._models = models
        self._pipeline = pipeline

    async def embed(self, call: EmbedCall, *, sent: bool = True, held: ReadyModel | None = None) -> EmbedResult:
        """Give the vectors of one call. `sent`: in a reply, which has a limit. `held`: the model of its stream.

        Raises:
            NearfieldError: any of the tree below it but the two of the start-up; see `errors`.
        """
        limits = self._models.limits
        with self._models.lease(call.options.model, held) as model:
            plan = make_plan(model.loaded.spec, call.options, call.inputs, limits if sent else None)
            work = Work(
                prepare=partial(prepare_inputs, model.loaded, call, plan, limits),
                count=len(call.inputs),
                priority=call.options.priority,
                deadline=call.deadline,
                tenant=call.tenant,
                images=any(isinstance(one, bytes) for one in call.inputs),
            )
            ran = await self._pipeline.run(model, work)
            result = await self._finish(model, call, plan, ran)
            return replace(result, timings=self._pipeline.account(model, ran))

    async def similarity(self, call: SimilarityCall) -> SimilarityResult:
        """Compare each source with each target. Raises as `embed`; the reply's size is checked first."""
        with self._models.lease(call.sources.options.model) as model:
            return await self._similarity(model, call)

    async def _similarity(self, model: ReadyModel, call: SimilarityCall) -> SimilarityResult:
        started = time.monotonic()
        spec = model.loaded.spec
        rows = len(call.sources.inputs)
        cols = len(call.targets.inputs) if call.targets else rows
        limit = self._models.limits.max_response_bytes
        if rows * cols * 4 + 1024 > limit:
            raise InvalidInput("sources", f"{rows} x {cols} scores are over {limit} bytes: compare fewer at once")
        # Cosine needs no normalised vectors and the other metrics must see them as the model gives them.
        if call.targets is None:
            left = right = await self._side("sources", call.sources, model)
        else:
            sides = {"sources": call.sources, "targets": call.targets}
            both = [asyncio.ensure_future(self._side(name, one, model)) for name, one in sides.items()]
            try:
                left, right = await asyncio.gather(*both)
            finally:
                for one in both:
                    one.cancel()
        metric = call.metric or spec.similarity
        scores = await self._pipeline.off_loop(
            lambda: similarity(left.matrix, right.matrix, metric), call.sources.deadline
        )
        timings = replace(left.timings, total=time.monotonic() - started)
        return SimilarityResult(left.model, scores, metric, timings)

    async def _side(self, name: str, call: EmbedCall, model: ReadyModel) -> EmbedResult:
        """Embed one of two lists; what is wrong in it is blamed on `name` and not on `inputs`."""
        try:
            return await self.embed(call, sent=False, held=model)
        except InvalidInput as error:
            raise error.moved(lambda index: f"{name}[{index}]") from None

    async def tokenize(
        self, model: str, texts: Sequence[str], prompt_name: str, *, add_special_tokens: bool, as_text: bool,
        deadline: float | None,
    ) -> tuple[str, list[TokenizedText]]:  # fmt: skip
        """Give the name of the model used and the tokens of each text, not truncated."""
        with self._models.lease(model) as ready:
            loaded = ready.loaded
            prompt = prompt_of(loaded.spec, prompt_name) if prompt_name else ""
            tokenized = await self._pipeline.off_loop(
                lambda: loaded.tokenizer.tokenize(
                    texts, prompt=prompt, add_special_tokens=add_special_tokens, special_tokens_as_text=as_text
                ),
                deadline,
            )
            return loaded.spec.name, tokenized

    async def detokenize(
        self, model: str, sequences: Sequence[IdArray], *, keep_special_tokens: bool, deadline: float | None
    ) -> tuple[str, list[str]]:
        """Give the name of the model used and the text of each sequence."""
        with self._models.lease(model) as ready:
            loaded = ready.loaded
            texts = await self._pipeline.off_loop(
                lambda: loaded.tokenizer.detokenize(sequences, keep_special_tokens=keep_special_tokens), deadline
            )
            return loaded.spec.name, texts

    def terms(self, model: str, ids: Sequence[int]) -> list[str]:
        """Give the vocabulary's spelling of each id; empty for ids that the tokenizer doesn't know."""
        return self._models.get(model).loaded.tokenizer.spell(ids)

    async def _finish(self, model: ReadyModel, call: EmbedCall, plan: Plan, ran: Ran) -> EmbedResult:
        work: Callable[[], EmbedResult] = partial(embed_result, model.loaded.spec, call, plan, ran)
        size = sum(np.size(part) for row in ran.rows for part in (row.dense, row.multi) if part is not None)
        try:
            return work() if size <= _INLINE_COMPONENTS else await self._pipeline.off_loop(work, call.deadline)
        except BackendFailure:
            model.metrics.bad_vector()
            raise
