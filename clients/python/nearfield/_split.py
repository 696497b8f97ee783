"""Cutting inputs into requests that the server's published limits allow. Order is kept; nothing is dropped.

An input that is too large by itself gets a request of its own: the server says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from nearfield._image import Image
from nearfield._inputs import Item
from nearfield._model import Limits, Model
from nearfield._types import Chunking

__all__ = [
    "Budget",
    "Fill",
    "ReplySize",
    "dense_size",
    "model_budget",
    "multi_size",
    "plain_budget",
    "scoring_budget",
    "sparse_size",
    "split",
    "stream_budget",
    "width_of",
]

_UNBOUNDED = 2**31 - 1
# Options, model names, timings: what a message holds beside its inputs or rows.
_ENVELOPE_BYTES = 2_048
_ELEMENT_BYTES = {"float32": 4, "float16": 2, "int8": 1, "uint8": 1}
_PACKED = frozenset({"binary", "ubinary"})
# Special tokens around a text. No known model has more than four.
_SPECIAL_TOKENS = 8
# A token in a reply of Tokenize: its id, start, end and spelling; the last is paid for once more by the text's bytes.
_TOKENIZED_BYTES_PER_BYTE = 24
_STREAM_MESSAGE_BYTES = 16_384
# A weight of a sparse vector: its id and value, and its term with what protobuf puts around that.
_WEIGHT_BYTES = 8
_TERM_BYTES = 32
_TOKEN_ID_BYTES = 4
# Chunks end at sentence borders: they may be far shorter than the longest allowed, and begin with an overlap.
_CHUNKS_PER_FULL_ONE = 4
_CHUNK_BYTES = 24
_OVERLAP_FACTOR = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class ReplySize:
    """Bytes of a reply: those of each input, and those of each of its tokens."""

    per_input: float = 0.0
    per_token: float = 0.0

    def __add__(self, other: ReplySize) -> ReplySize:
        """Give the size of a reply that has both."""
        return ReplySize(per_input=self.per_input + other.per_input, per_token=self.per_token + other.per_token)


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one request may hold, and its reply.

    `prompt_tokens` are added to each input, at most `tokens_per_input` count, `token_factor` times.
    `image_bytes` bounds each image by itself; 0: nothing is known of that.
    """

    inputs: int = _UNBOUNDED
    size_bytes: int = _UNBOUNDED
    tokens: int = _UNBOUNDED
    prompt_tokens: int = 0
    tokens_per_input: int = _UNBOUNDED
    token_factor: int = 1
    reply_bytes: float = _UNBOUNDED
    reply: ReplySize = ReplySize()
    image_bytes: int = 0

    def tokens_of(self, item: Item) -> int:
        """Bound the tokens of `item` from above; those of images have nothing to do with the model's longest text."""
        if isinstance(item.value, Image):
            return self.token_factor * item.most_tokens
        return self.token_factor * min(item.most_tokens + self.prompt_tokens, self.tokens_per_input)

    def reply_bytes_of(self, item: Item) -> float:
        """Bound the bytes of the reply's part for `item` from above."""
        return self.reply.per_input + self.reply.per_token * self.tokens_of(item)


@dataclass(slots=True)
class Fill:
    """How full a request is."""

    budget: Budget
    inputs: int = 0
    size_bytes: int = 0
    tokens: int = 0
    reply_bytes: float = 0.0

    def takes(self, item: Item) -> bool:
        """Tell whether `item` still fits; the first always does."""
        return not self.inputs or (
            self.inputs < self.budget.inputs
            and self.size_bytes + item.size_bytes <= self.budget.size_bytes
            and self.tokens + self.budget.tokens_of(item) <= self.budget.tokens
            and self.reply_bytes + self.budget.reply_bytes_of(item) <= self.budget.reply_bytes
        )

    def add(self, item: Item) -> None:
        """Count `item`."""
        self.inputs += 1
        self.size_bytes += item.size_bytes
        self.tokens += self.budget.tokens_of(item)
        self.reply_bytes += self.budget.reply_bytes_of(item)


def split(items: Sequence[Item], budget: Budget) -> Iterator[range]:
    """Give the positions of each request's items, in order, each as full as `budget` allows."""
    start, fill = 0, Fill(budget)
    for index, item in enumerate(items):
        if not fill.takes(item):
            yield range(start, index)
            start, fill = index, Fill(budget)
        fill.add(item)
    if items:
        yield range(start, len(items))


def width_of(dimensions: int, output_dtype: str) -> int:
    """Give the elements of a row: bytes for the packed types."""
    return (dimensions + 7) // 8 if output_dtype in _PACKED else dimensions


def dense_size(model: Model, dimensions: int | None, output_dtype: str) -> ReplySize:
    """Bound a vector per input."""
    width = width_of(dimensions or model.dimensions, output_dtype)
    return ReplySize(per_input=width * _ELEMENT_BYTES.get(output_dtype, 1) + 16)


def sparse_size(model: Model, max_terms: int | None = None, *, return_terms: bool = False) -> ReplySize:
    """Bound a row of weights per input: as many as the vocabulary has, or as were asked for."""
    weights = min(max_terms or _UNBOUNDED, model.vocab_size)
    return ReplySize(per_input=weights * (_WEIGHT_BYTES + _TERM_BYTES * return_terms) + 16)


def multi_size(model: Model, dimensions: int | None, output_dtype: str) -> ReplySize:
    """Bound a vector per token."""
    width = width_of(dimensions or model.dimensions, output_dtype)
    return ReplySize(per_input=16, per_token=width * _ELEMENT_BYTES.get(output_dtype, 1) + _TOKEN_ID_BYTES)


def model_budget(model: Model, size: ReplySize, chunking: Chunking | None = None) -> Budget:
    """Bound one request for something of `size` by the limits for inputs, bytes, tokens and the reply's bytes."""
    limits = model.limits
    longest_prompt = max(map(_utf8_bytes, model.prompts.values()), default=0)
    tokens_per_input, factor = _or_unbounded(model.max_tokens), 1
    if chunking is not None:
        longest = chunking.max_tokens or tokens_per_input
        per_chunk = _CHUNKS_PER_FULL_ONE * (size.per_input + _CHUNK_BYTES) / longest
        size = ReplySize(per_input=size.per_input + _CHUNK_BYTES, per_token=per_chunk)
        tokens_per_input, factor = _UNBOUNDED, _OVERLAP_FACTOR
    return Budget(
        inputs=_or_unbounded(limits.max_inputs),
        size_bytes=_or_unbounded(limits.max_request_bytes) - _ENVELOPE_BYTES,
        tokens=_or_unbounded(limits.max_request_tokens),
        prompt_tokens=longest_prompt + _SPECIAL_TOKENS,
        tokens_per_input=tokens_per_input,
        token_factor=factor,
        reply_bytes=_or_unbounded(limits.max_response_bytes) - _ENVELOPE_BYTES,
        reply=size,
        image_bytes=limits.max_image_bytes,
    )


def stream_budget(whole: Budget, batch_size: int) -> Budget:
    """Bound one message of a stream: `batch_size` inputs, fewer when they are long, so that replies keep flowing."""
    inputs, size_bytes = min(whole.inputs, batch_size), min(whole.size_bytes, _STREAM_MESSAGE_BYTES)
    return replace(whole, inputs=inputs, size_bytes=size_bytes)


def scoring_budget(model: Model, beside: Item | None, reply_bytes: float, *, runs: int = 1) -> Budget:
    """Bound one request whose reply has `reply_bytes` of each input: scores, each of a run through the model.

    `beside` goes along with every input, such as a query; `runs` is how often an input runs, such as once per label.
    """
    whole = model_budget(model, ReplySize(per_input=reply_bytes + 16))
    shared_bytes, shared_tokens = (beside.size_bytes, beside.most_tokens) if beside is not None else (0, 0)
    return replace(
        whole,
        size_bytes=whole.size_bytes - shared_bytes,
        prompt_tokens=whole.prompt_tokens + shared_tokens,
        token_factor=runs,
    )


def plain_budget(limits: Limits) -> Budget:
    """Bound one Tokenize or Detokenize request, whose inputs aren't truncated."""
    reply = _or_unbounded(limits.max_response_bytes) // _TOKENIZED_BYTES_PER_BYTE
    # The server takes four of the longest texts at once, since whole texts cost it their full length.
    together = 4 * limits.max_text_bytes or _UNBOUNDED
    request = _or_unbounded(limits.max_request_bytes) - _ENVELOPE_BYTES
    return Budget(inputs=_or_unbounded(limits.max_inputs), size_bytes=min(reply, together, request))


def _or_unbounded(limit: int) -> int:
    return limit or _UNBOUNDED


def _utf8_bytes(text: str) -> int:
    return len(text.encode())
