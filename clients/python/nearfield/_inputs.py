"""What callers pass, checked one by one: texts, token ids and images to `Item`s.

Anything wrong with one input is InvalidArgument that names its index, as the server would say it.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

import numpy as np

from nearfield._errors import InvalidArgument, invalid
from nearfield._image import Image, as_image
from nearfield.v1 import types_pb2

__all__ = ["Item", "is_single", "items_of", "make_item", "one_or_many", "sequence_items", "text_items"]

_MAX_ID = 2**32 - 1
_PATH_HINT = "nearfield.Image(path) embeds an image file, path.read_text() gives a text"
# Tags and lengths around one input on the wire, and its share of the lists beside the vectors in the reply.
_OVERHEAD_BYTES = 16
# What an image counts as, with patches of 14 x 14 of an image of 448 x 448: more than the usual towers see.
_IMAGE_TOKENS = 1_024


@dataclass(frozen=True, slots=True)
class Item:
    """One input. `size_bytes` bounds its bytes on the wire, `most_tokens` its tokens without prompt and truncation."""

    value: str | list[int] | Image
    size_bytes: int
    most_tokens: int

    def message(self) -> types_pb2.Input:
        """Give it as the protocol has it."""
        if isinstance(self.value, str):
            return types_pb2.Input(text=self.value)
        if isinstance(self.value, Image):
            return types_pb2.Input(image=self.value.read())
        return types_pb2.Input(token_ids=types_pb2.TokenIds(ids=self.value))

    def check_size(self, field: str, max_image_bytes: int) -> None:
        """Raise InvalidArgument for an image that the server wouldn't take; 0: it didn't say what it takes.

        Texts are left to the server. An image may be so large that gRPC refuses it before the server can say why.
        """
        size = self.size_bytes - _OVERHEAD_BYTES
        if isinstance(self.value, Image) and 0 < max_image_bytes < size:
            limit = f"at most {max_image_bytes:,} (Limits.max_image_bytes)"
            raise invalid(field, f"an image of {size:,} bytes; {limit}: make it smaller")

    def loaded(self, field: str) -> Item:
        """Give it with the bytes of its file, where it is the path of an image. Raises InvalidArgument."""
        if not isinstance(self.value, Image):
            return self
        try:
            return replace(self, value=Image(self.value.read()))
        except OSError as error:
            raise _unreadable(field, self.value, error) from error


def is_single(values: object) -> bool:
    """Tell whether `values` is one input rather than a collection of them."""
    return isinstance(values, (str, Image)) or (not isinstance(values, Iterable) and hasattr(values, "save"))


def one_or_many(values: object) -> Iterable[object]:
    """Give `values`, or a list of it where it is one input. Raises TypeError for what is neither."""
    return [values] if is_single(values) else _elements(values)


def items_of(values: Iterable[object], field: str = "inputs") -> list[Item]:
    """Check texts, token id sequences and images.

    Raises TypeError for no collection, InvalidArgument for a wrong element.
    """
    return [make_item(value, f"{field}[{index}]") for index, value in enumerate(_elements(values))]


def text_items(values: Iterable[object], field: str = "texts") -> list[Item]:
    """Check texts, where token ids make no sense. Raises as `items_of`."""
    return [_of_text(_as_text(value, f"{field}[{index}]"), f"{field}[{index}]") for index, value in _numbered(values)]


def sequence_items(values: Iterable[object], field: str = "sequences") -> list[Item]:
    """Check token id sequences, where texts make no sense. Raises as `items_of`."""
    return [_of_ids(value, f"{field}[{index}]") for index, value in _numbered(values)]


def make_item(value: object, field: str) -> Item:
    """Check one input. Raises InvalidArgument that names `field`."""
    if isinstance(value, str):
        return _of_text(value, field)
    image = as_image(value, field)
    return _of_ids(value, field) if image is None else _of_image(image, field)


def _numbered(values: Iterable[object]) -> Iterator[tuple[int, object]]:
    return enumerate(_elements(values))


def _elements(values: object) -> Iterable[object]:
    if isinstance(values, (bytes, bytearray)):
        raise TypeError("bytes are no text: decode them first, or wrap an image file's in nearfield.Image")
    if isinstance(values, os.PathLike):
        raise TypeError(f"a path isn't read by itself: {_PATH_HINT}")
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


def _of_image(image: Image, field: str) -> Item:
    try:
        size = image.size_bytes()
    except OSError as error:
        raise _unreadable(field, image, error) from error
    return Item(image, size + _OVERHEAD_BYTES, _IMAGE_TOKENS)


def _unreadable(field: str, image: Image, error: OSError) -> InvalidArgument:
    return invalid(field, f"image {image.path} can't be read: {error.strerror or error}")


def _of_ids(value: object, field: str) -> Item:
    if isinstance(value, (bytes, bytearray)) or not hasattr(value, "__len__"):
        raise invalid(field, f"a {type(value).__name__}, neither a text nor a sequence of token ids{_hint(value)}")
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


def _hint(value: object) -> str:
    if isinstance(value, os.PathLike):
        return f": {_PATH_HINT}"
    if isinstance(value, (bytes, bytearray)):
        return ": decode a text, or wrap the bytes of an image file in nearfield.Image"
    return ": put token ids into a list of their own" if isinstance(value, (int, np.integer)) else ""
