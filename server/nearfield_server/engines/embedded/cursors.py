"""Where a scroll goes on: the last row given, signed with a key of the collection."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac

from nearfield_server.errors import InvalidInput

__all__ = ["make_cursor", "read_cursor"]

_ROW_BYTES = 8
_CHECK_BYTES = 8


def make_cursor(row: int, key: bytes) -> str:
    """Give an opaque, printable cursor."""
    place = row.to_bytes(_ROW_BYTES, "big")
    return base64.urlsafe_b64encode(place + _check(place, key)).decode("ascii").rstrip("=")


def read_cursor(cursor: str, key: bytes) -> int:
    """Give the row of `make_cursor`; 0 for "".

    Raises:
        InvalidInput: it isn't one of this collection.
    """
    if not cursor:
        return 0
    try:
        raw = base64.b64decode(cursor.encode("ascii") + b"=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except (UnicodeEncodeError, binascii.Error):
        raw = b""
    place, check = raw[:_ROW_BYTES], raw[_ROW_BYTES:]
    if not hmac.compare_digest(check, _check(place, key)):
        raise InvalidInput("cursor", "it isn't a cursor of this collection; start again without one")
    return int.from_bytes(place, "big")


def _check(place: bytes, key: bytes) -> bytes:
    return hashlib.blake2b(place, digest_size=_CHECK_BYTES, key=key).digest()
