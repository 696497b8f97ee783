"""The life of a call: plan, tokenise, queue and run, finish."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, field, replace
from typing import TypeVar

from nearfield_server.batching.queue import Job
from nearfield_server.batching.ticket import Ticket
from nearfield_server.core.models import ModelRegistry, ReadyModel
from nearfield_server.core.plan import Plan, make_plan, prompt_of
from nearfield_server.errors import BackendFailure, DeadlineExceeded, InvalidInput, Overloaded
from nearfield_server.types import (
    EmbedCall,
    EmbedResult,
    FloatRows,
    IdArray,
    SimilarityMetric,
    Timings,
    TokenizedText,
    Tokens,
)
from nearfield_server.vectors.finish import finish
from nearfield_server.vectors.similarity import similarity

__all__ = ["Embedder", "SimilarityCall", "SimilarityResult"]

_T = TypeVar("_T")

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


@dataclass(slots=True)
class _Progress:
    """Written by the tokeniser thread, read when the job has ended."""

    tokens: list[Tokens] = field(default_factory=list)
    tokenized_at: float = 0.0


class Embedder:
    """Embeds, compares and tokenises with the models of a registry. `threads` run tokenisers, which free the GIL."""

    def __init__(self, models: ModelRegistry, threads: Executor) -> None:
        """Use `models`, and `threads` for everything that takes longer than the event loop may."""
        self._models = models
        self._threads = threads

    async def embed(self, call: EmbedCall, *, sent: bool = True) -> EmbedResult:
        """Give the vectors of one call. `sent`: in a reply, which has a limit.

        Raises:
            NearfieldError: any of the tree below it but the two of the start-up; see `errors`.
        """
        started = time.monotonic()
        model = self._models.get(call.options.model)
        plan = make_plan(model.loaded.spec, call.options, call.inputs, self._models.limits if sent else None)
        try:
            ticket = model.runner.open(len(call.inputs), call.options.priority, call.deadline)
            progress = _Progress()
            self._threads.submit(self._prepare, ticket, model, call, plan, progress)
            job = await ticket.result()
        except (Overloaded, DeadlineExceeded) as error:
            model.metrics.rejected(error.metadata.get("limited_by", error.reason.lower()))
            raise
        result = await self._finish(model, call, plan, job, progress)
        timings = Timings(
            tokenize=progress.tokenized_at - started,
            queue=job.started_at - job.admitted_at,
            compute=job.ended_at - job.started_at,
            total=time.monotonic() - started,
        )
        model.metrics.observe_stages(timings)
        model.metrics.served(inputs=len(progress.tokens), tokens=sum(result.token_counts))
        return replace(result, timings=timings)

    async def similarity(self, call: SimilarityCall) -> SimilarityResult:
        """Compare each source with each target. Raises as `embed`; the reply's size is checked first."""
        started = time.monotonic()
        spec = self._models.get(call.sources.options.model).loaded.spec
        rows = len(call.sources.inputs)
        cols = len(call.targets.inputs) if call.targets else rows
        limit = self._models.limits.max_response_bytes
        if rows * cols * 4 + 1024 > limit:
            raise InvalidInput("sources", f"{rows} x {cols} scores are over {limit} bytes: compare fewer at once")
        # Cosine needs no normalised vectors and the other metrics must see them as the model gives them.
        if call.targets is None:
            left = right = await self._side("sources", call.sources)
        else:
            sides = {"sources": call.sources, "targets": call.targets}
            both = [asyncio.ensure_future(self._side(name, one)) for name, one in sides.items()]
            try:
                left, right = await asyncio.gather(*both)
            finally:
                for one in both:
                    one.cancel()
        metric = call.metric or spec.similarity
        scores = await self._off_loop(lambda: similarity(left.matrix, right.matrix, metric), call.sources.deadline)
        timings = replace(left.timings, total=time.monotonic() - started)
        return SimilarityResult(left.model, scores, metric, timings)

    async def _side(self, name: str, call: EmbedCall) -> EmbedResult:
        """Embed one of two lists; what is wrong in it is blamed on `name` and not on `inputs`."""
        try:
            return await self.embed(call, sent=False)
        except InvalidInput as error:
            one = error.violations[0]
            field = one.field.replace("inputs[", f"{name}[", 1)
            raise type(error)(field, one.description, **error.metadata) from None

    async def tokenize(
        self, model: str, texts: Sequence[str], prompt_name: str, *, add_special_tokens: bool, as_text: bool,
        deadline: float | None,
    ) -> tuple[str, list[TokenizedText]]:  # fmt: skip
        """Give the name of the model used and the tokens of each text, not truncated."""
        loaded = self._models.get(model).loaded
        prompt = prompt_of(loaded.spec, prompt_name) if prompt_name else ""
        tokenized = await self._off_loop(
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
        loaded = self._models.get(model).loaded
        texts = await self._off_loop(
            lambda: loaded.tokenizer.detokenize(sequences, keep_special_tokens=keep_special_tokens), deadline
        )
        return loaded.spec.name, texts

    def _prepare(self, ticket: Ticket, model: ReadyModel, call: EmbedCall, plan: Plan, progress: _Progress) -> None:
        """On a tokeniser thread: make the tokens and queue them, without a detour over the event loop."""
        if ticket.closed:
            return
        try:
            progress.tokens = model.loaded.tokenizer.encode(
                call.inputs,
                prompt=plan.prompt,
                truncate=call.options.truncate,
                special_tokens_as_text=call.options.special_tokens_as_text,
            )
            progress.tokenized_at = time.monotonic()
        except Exception as error:  # noqa: BLE001 - whatever it is, the caller is told
            ticket.fail(error)
        else:
            ticket.enqueue([tokens.ids for tokens in progress.tokens])

    async def _finish(
        self, model: ReadyModel, call: EmbedCall, plan: Plan, job: Job, progress: _Progress
    ) -> EmbedResult:
        rows, spec = job.rows, model.loaded.spec
        if rows is None:
            msg = "a job ended without rows or error; this is a bug"
            raise AssertionError(msg)

        def work() -> EmbedResult:
            matrix, quantization = finish(
                rows,
                dimensions=plan.dimensions,
                normalize=plan.normalize,
                dtype=call.options.dtype,
                quantization_range=spec.quantization_range,
            )
            return EmbedResult(
                model=spec.name,
                matrix=matrix,
                dtype=call.options.dtype,
                token_counts=tuple(len(tokens.ids) for tokens in progress.tokens),
                truncated=tuple(tokens.truncated for tokens in progress.tokens),
                no_tokens=tuple(index for index, tokens in enumerate(progress.tokens) if tokens.no_tokens),
                timings=Timings(),
                quantization=quantization,
            )

        try:
            return work() if rows.size <= _INLINE_COMPONENTS else await self._off_loop(work, call.deadline)
        except BackendFailure:
            model.metrics.bad_vector()
            raise

    async def _off_loop(self, work: Callable[[], _T], deadline: float | None) -> _T:
        left = None if deadline is None else deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                return await asyncio.get_running_loop().run_in_executor(self._threads, work)
        except TimeoutError:
            msg = "the deadline passed"
            raise DeadlineExceeded(msg) from None
