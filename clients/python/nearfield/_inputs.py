"""What callers pass, checked one by one: texts and token ids to `Item`s.

Anything wrong with one input is InvalidArgument that names its index, as the server would say it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from nearfield._errors import invalid
from nearfield.v1 import types_pb2

__all__ = ["Item", "items_of", "make_item", "sequence_items", "text_items"]

_MAX_ID = 2**32 - 1
# Tags and lengths around one input on the wire, and its share of the lists beside the vectors in the reply.
_OVERHEAD_BYTES = 16


@dataclass(frozen=True, slots=True)
class Item:
    """One input. `size_bytes` bounds its bytes on the wire, `most_tokens` its tokens without prompt and truncation."""

    value: str | list[int]
    size_bytes: int
    most_tokens: int

    def message(self) -> types_pb2.Input:
        """Give it as the protocol has it."""
        if isinstance(self.value, str):
            return types_pb2.Input(text=self.value)
        return types_pb2.Input(token_ids=types_pb2.TokenIds(ids=self.value))


def items_of(values: Iterable[object], field: str = "inputs") -> list[Item]:
    """Check texts and token id sequences. Raises TypeError for no collection, InvalidArgument for a wrong element."""
    return [make_item(value, f"{field}[{index}]") for index, value in enumerate(_elements(values))]


def text_items(values: Iterable[object], field: str = "texts") -> list[Item]:
    """Check texts, where token ids make no sense. Raises as `items_of`."""
    return [_of_text(_as_text(value, f"{field}[{index}]"), f"{field}[{index}]") for index, value in _numbered(values)]


def sequence_items(values: Iterable[object], field: str = "sequences") -> list[Item]:
    """Check token id sequences, where texts make no sense. Raises as `items_of`."""
    return [_of_ids(value, f"{field}[{index}]") for index, value in _numbered(values)]


def make_item(value: object, field: str) -> Item:
    """Check one input. Raises InvalidArgument that names `field`."""
    return _of_text(value, field) if isinstance(value, str) else _of_ids(value, field)


def _numbered(values: Iterable[object]) -> Iterator[tuple[int, object]]:
    return enumerate(_elements(values))


def _elements(values: Iterable[object]) -> Iterable[object]:
    if isinstance(values, (bytes, bytearray)):
        raise TypeError("bytes are no text: decode them first")
    if hasattr(values, "columns"):
        # Iterating over a data frame gives the names of its columns: vectors of those are never meant.
        raise TypeError(f"a {type(values).__name__} has columns: give one of them")
    if not isinstance(values, Iterable):
        raise TypeError(f"a {type(values).__name__} is no text and no collection of texts")
    return values


def _as_text(value: object, field: str) -> str:
    if not isinstance(value, str):
        raise invalid(field, f"a {type(value).__name__}, not a text")
    return value


def _of_text(text: str, field: str) -> Item:
    if text.isascii():
        size = len(text)
    else:
        try:
            size = len(text.encode())
        except UnicodeEncodeError as error:
            problem = f"character {error.start} is half of a surrogate pair, which UTF-8 can't carry"
            raise invalid(field, f"{problem}: repair the text") from None
    # No tokenizer makes more than a token of a byte, but for rare normalisations that `Budget` caps anyway.
    return Item(str(text), size + _OVERHEAD_BYTES, size)


def _of_ids(value: object, field: str) -> Item:
    if isinstance(value, (bytes, bytearray)) or not hasattr(value, "__len__"):
        hint = ": put token ids into a list of their own" if isinstance(value, (int, np.integer)) else ""
        raise invalid(field, f"a {type(value).__name__}, neither a text nor a sequence of token ids{hint}")
    try:
        ids = np.asarray(value)
    except (ValueError, TypeError, OverflowError):
        ids = np.empty((0, 0))
    if ids.size == 0 and ids.ndim == 1:
        return Item([], _OVERHEAD_BYTES, 0)
    if ids.ndim != 1 or ids.dtype.kind not in "iu" or int(ids.min()) < 0 or int(ids.max()) > _MAX_ID:
        raise invalid(field, f"token ids are whole numbers from 0 to {_MAX_ID}, in one flat sequence")
    # 5 bytes are the longest varint of 32 bits.
    return Item(ids.tolist(), 5 * len(ids) + _OVERHEAD_BYTES, len(ids))
