"""Cutting inputs into requests that the server's published limits allow. Order is kept; nothing is dropped.

An input that is too large by itself gets a request of its own: the server says what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from nearfield._inputs import Item
from nearfield._types import Limits, Model

__all__ = ["Budget", "Fill", "embed_budget", "plain_budget", "split", "stream_budget", "width_of"]

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What one request may hold. `prompt_tokens` are added to each input, at most `tokens_per_input` count."""

    inputs: int = _UNBOUNDED
    size_bytes: int = _UNBOUNDED
    tokens: int = _UNBOUNDED
    prompt_tokens: int = 0
    tokens_per_input: int = _UNBOUNDED

    def tokens_of(self, item: Item) -> int:
        """Bound the tokens of `item` from above."""
        return min(item.most_tokens + self.prompt_tokens, self.tokens_per_input)


@dataclass(slots=True)
class Fill:
    """How full a request is."""

    budget: Budget
    inputs: int = 0
    size_bytes: int = 0
    tokens: int = 0

    def takes(self, item: Item) -> bool:
        """Tell whether `item` still fits; the first always does."""
        return not self.inputs or (
            self.inputs < self.budget.inputs
            and self.size_bytes + item.size_bytes <= self.budget.size_bytes
            and self.tokens + self.budget.tokens_of(item) <= self.budget.tokens
        )

    def add(self, item: Item) -> None:
        """Count `item`."""
        self.inputs += 1
        self.size_bytes += item.size_bytes
        self.tokens += self.budget.tokens_of(item)


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


def embed_budget(model: Model, dimensions: int | None, output_dtype: str) -> Budget:
    """Bound one Embed request by the limits for inputs, bytes, tokens and the reply's bytes."""
    limits = model.limits
    row_bytes = width_of(dimensions or model.dimensions, output_dtype) * _ELEMENT_BYTES.get(output_dtype, 1) + 16
    rows = max(1, (_or_unbounded(limits.max_response_bytes) - _ENVELOPE_BYTES) // row_bytes)
    longest_prompt = max(map(_utf8_bytes, model.prompts.values()), default=0)
    return Budget(
        inputs=min(_or_unbounded(limits.max_inputs), rows),
        size_bytes=_or_unbounded(limits.max_request_bytes) - _ENVELOPE_BYTES,
        tokens=_or_unbounded(limits.max_request_tokens),
        prompt_tokens=longest_prompt + _SPECIAL_TOKENS,
        tokens_per_input=_or_unbounded(model.max_tokens),
    )


def stream_budget(whole: Budget, batch_size: int) -> Budget:
    """Bound one message of a stream: `batch_size` inputs, fewer when they are long, so that replies keep flowing."""
    return Budget(
        inputs=min(whole.inputs, batch_size),
        size_bytes=min(whole.size_bytes, _STREAM_MESSAGE_BYTES),
        tokens=whole.tokens,
        prompt_tokens=whole.prompt_tokens,
        tokens_per_input=whole.tokens_per_input,
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
