"""What makes two items the same: their text but for blanks at the ends and Unicode normal form, or all bytes."""

from __future__ import annotations

import hashlib
import unicodedata
from collections.abc import Iterator

from nearfield_server.core.computing.items import Items
from nearfield_server.types import FloatRows, Input

__all__ = ["KEY_BYTES", "keys_of", "same_text", "text_key"]

KEY_BYTES = 16
"""Two of 10^12 items share a key by chance once in 10^14 runs."""


def same_text(text: str) -> str:
    """Give a text as it is compared."""
    return unicodedata.normalize("NFC", text).strip()


def text_key(text: str) -> bytes:
    """Give a key that the same texts have, and no others."""
    return _digest(b"text", same_text(text).encode())


def keys_of(items: Items, rows: FloatRows) -> Iterator[bytes]:
    """Give the key of each item: of what it says, or, where only its vector came, of its unit row."""
    for one, row in zip(items.inputs or [""] * len(rows), rows, strict=True):
        is_bare = items.vectors is not None and isinstance(one, str) and not one
        yield _digest(b"row", row.tobytes()) if is_bare else _input_key(one)


def _input_key(one: Input) -> bytes:
    if isinstance(one, str):
        return text_key(one)
    return _digest(b"image", one) if isinstance(one, bytes) else _digest(b"ids", one.tobytes())


def _digest(kind: bytes, content: bytes) -> bytes:
    return hashlib.blake2b(content, digest_size=KEY_BYTES, person=kind).digest()
