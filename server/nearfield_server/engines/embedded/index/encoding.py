"""How payloads stand in the index, so that its conditions mean exactly what `filters/matches.py` says.

Edge would take True for 1 in places, and gives no equality of fractions. So a point's payload there isn't the caller's:
each path that holds something has lists of its own, by kind, in keys without dots:

    k   keywords: `s` + string, `b1`, `b0`, `n` + digits of large numbers, `h` + hash of long strings
    n   numbers as float64
    t   instants, RFC 3339 in UTC
    g   places
    e   "y": there is something other than null
    w   words of the texts at a path with an index of words; `m` the same by text, where there are several
"""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import Any

from nearfield_server.filters import MAX_PATH, instant_of, path_of, place_of, split_path, words_of
from nearfield_server.types import FieldType, FilterValue, Json

__all__ = [
    "EXACT_BELOW",
    "FIRST_INSTANT",
    "LAST_INSTANT",
    "LONGEST",
    "TENANT",
    "WORDS",
    "encode",
    "instant_text",
    "key_of",
    "keyword",
    "text_token",
    "word_tokens",
]

TENANT = "tenant"
WORDS = "w"
"""The key of a word in an entry of `m`."""

LONGEST = 256
"""Characters of a string that are kept as they are."""

EXACT_BELOW = 2.0**53
"""Integers nearer to zero are float64 exactly."""

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST_INSTANT = (datetime.min.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)
LAST_INSTANT = (datetime.max.replace(tzinfo=UTC) - _EPOCH) // timedelta(microseconds=1)

_PLAIN = re.compile(r"[A-Za-z0-9_]{1,128}")


def key_of(kind: str, path: str) -> str:
    """Give the key of what is of `kind` at a path."""
    canonical = path_of(split_path(path)) if path else ""
    return f"{kind}p{canonical}" if _PLAIN.fullmatch(canonical) else f"{kind}x{canonical.encode().hex()}"


def keyword(value: FilterValue) -> str:
    """Give what stands for a string, a truth value or a number of at least 2^53."""
    if isinstance(value, bool):
        return "b1" if value else "b0"
    return text_token(value) if isinstance(value, str) else f"n{int(value)}"


def text_token(text: str) -> str:
    """Give a string that is equal for equal strings, and short."""
    return f"s{text}" if len(text) <= LONGEST else f"h{blake2b(_bytes(text), digest_size=16).hexdigest()}"


def instant_text(microseconds: int) -> str:
    """Give RFC 3339; instants outside the years 1 to 9999 become the first or last of them."""
    within = min(max(microseconds, FIRST_INSTANT), LAST_INSTANT)
    return (_EPOCH + timedelta(microseconds=within)).strftime("%Y-%m-%dT%H:%M:%S.%fZ").rjust(27, "0")


def encode(tenant: str, payload: Mapping[str, Json], text: str, indexes: Mapping[str, FieldType]) -> dict[str, Any]:
    """Give the payload of a point in the index; `indexes` tells at which paths words are looked for."""
    found: dict[tuple[str, ...], list[Json]] = {}
    _gather(payload, (), found)
    encoded: dict[str, Any] = {TENANT: tenant}
    for keys, values in found.items():
        path = _named(keys)
        if path is not None:
            for kind, one in _kinds(values):
                encoded.setdefault(key_of(kind, path), []).append(one)
            if indexes.get(path) is FieldType.TEXT:
                _add_words(encoded, path, [one for one in values if isinstance(one, str)])
    if indexes.get("") is FieldType.TEXT:
        _add_words(encoded, "", [text])
    return encoded


def _gather(value: Json, keys: tuple[str, ...], found: dict[tuple[str, ...], list[Json]]) -> None:
    """Note all that `filters.values_at` would give, by path."""
    if isinstance(value, list):
        for one in value:
            _gather(one, keys, found)
        return
    if keys:
        found.setdefault(keys, []).append(value)
    if isinstance(value, dict):
        for key, inner in value.items():
            _gather(inner, (*keys, key), found)


def _named(keys: tuple[str, ...]) -> str | None:
    """Give the path of some keys; `None` where no filter can name them."""
    path = path_of(keys)
    if len(path) > MAX_PATH:
        return None
    try:
        return path if split_path(path) == keys else None
    except ValueError:
        return None


def _kinds(values: list[Json]) -> Iterator[tuple[str, Any]]:
    if any(value is not None for value in values):
        yield "e", "y"
    for value in values:
        if isinstance(value, bool):
            yield "k", keyword(value)
        elif isinstance(value, (int, float)):
            yield "n", _number(value)
            if abs(value) >= EXACT_BELOW:
                yield "k", keyword(value)
        elif isinstance(value, str):
            yield from _string(value)
        else:
            place = place_of(value)
            if place is not None:
                yield "g", {"lon": place.longitude, "lat": place.latitude}


def _string(value: str) -> Iterator[tuple[str, str]]:
    # a cut string is longer than any that stands for itself, so it is equal to none; prefixes find it all the same
    yield "k", f"s{_clean(value[: LONGEST + 1])}"
    if len(value) > LONGEST:
        yield "k", text_token(value)
    instant = instant_of(value)
    if instant is not None:
        yield "t", instant_text(instant)


def _number(value: float) -> float:
    try:
        return float(value)
    except OverflowError:  # an integer of more than 308 digits
        return sys.float_info.max if value > 0 else -sys.float_info.max


def word_tokens(text: str) -> list[str]:
    """Give what stands for the words of a text, each once."""
    return [text_token(word) for word in dict.fromkeys(words_of(text))]


def _add_words(encoded: dict[str, Any], path: str, texts: list[str]) -> None:
    by_text = [word_tokens(text) for text in texts]
    if by_text:
        encoded[key_of("w", path)] = list(dict.fromkeys(word for words in by_text for word in words))
    if len(by_text) > 1:
        encoded[key_of("m", path)] = [{WORDS: words} for words in by_text]


def _bytes(text: str) -> bytes:
    return text.encode("utf-8", "surrogatepass")


def _clean(text: str) -> str:
    """Lone surrogates can't cross into Edge; no request brings any."""
    return text.encode("utf-8", "replace").decode()
