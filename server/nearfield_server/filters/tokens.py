"""The readable form of filters, cut into tokens; and errors that point into it."""

from __future__ import annotations

import math
import re
from collections.abc import Callable
from dataclasses import dataclass

from nearfield_server.errors import InvalidInput
from nearfield_server.filters.bounds import MAX_EXPRESSION_BYTES

__all__ = ["PLAIN_KEY", "RESERVED", "Token", "fail", "tokens_of"]

RESERVED = frozenset({"and", "or", "not", "in", "between", "startswith", "true", "false", "id"})
"""Words that are no fields unless they stand in backticks, in whatever case."""

PLAIN_KEY = re.compile(r"[^\W\d][\w-]*")
"""Keys that need no backticks."""

_TOKEN = re.compile(
    r"""
    (?P<blank>\s+)
  | (?P<text>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')
  | (?P<key>`(?:[^`]|``)*`)
  | (?P<number>[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]+)?(?!\w))
  | (?P<word>[^\W\d][\w-]*)
  | (?P<sign>==|!=|<=|>=|[=<>(),.])
    """,
    re.VERBOSE | re.DOTALL,
)
_ESCAPE = re.compile(r"\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8})|(.))", re.DOTALL)
_ESCAPED = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f", "/": "/", "\\": "\\", '"': '"', "'": "'"}
_LONGEST_NUMBER = 400  # characters: any double, and Python's own bound on digits is far above
_EXCERPT = 60


@dataclass(frozen=True, slots=True)
class Token:
    """`kind`: text, key, number, word, sign or end; `value`: what it stands for; `at`: its place, from 0."""

    kind: str
    value: str | int | float
    at: int


def fail(source: str, at: int, what: str) -> InvalidInput:
    """Make the error that points at a place."""
    start = max(0, min(at - _EXCERPT // 2, len(source) - _EXCERPT))
    shown = "".join(one if one.isprintable() else " " for one in source[start : start + _EXCERPT])
    message = f"column {at + 1}: {what}\n  {shown}\n  {' ' * (at - start)}^"
    return InvalidInput("filter_expression", message, column=at + 1)


def tokens_of(source: str) -> list[Token]:
    """Give the tokens, the last one of kind "end". Raises `InvalidInput`."""
    if len(source.encode("utf-8", "replace")) > MAX_EXPRESSION_BYTES:
        limit = f"at most {MAX_EXPRESSION_BYTES} bytes; long lists fit into `filter`"
        raise InvalidInput("filter_expression", limit, limit=MAX_EXPRESSION_BYTES)
    found, at = [], 0
    while at < len(source):
        match = _TOKEN.match(source, at)
        if match is None or match.lastgroup is None:
            raise fail(source, at, _unreadable(source[at]))
        if match.lastgroup != "blank":
            found.append(Token(match.lastgroup, _READERS[match.lastgroup](source, at, match[0]), at))
        at = match.end()
    return [*found, Token("end", "", len(source))]


def _unreadable(character: str) -> str:
    if character in "\"'`":
        return "this quote isn't closed"
    if character.isdigit() or character in "+-":
        return "no number; a field that begins so is put in backticks"
    return "expected a field, a value or an operator"


def _text(source: str, at: int, raw: str) -> str:
    def plain(match: re.Match[str]) -> str:
        if code := match[1] or match[2]:
            number = int(code, 16)
            if number > 0x10FFFF or 0xD800 <= number <= 0xDFFF:  # noqa: PLR2004 - what Unicode has
                raise fail(source, at + 1 + match.start(), "no character has this number")
            return chr(number)
        if match[3] not in _ESCAPED:
            known = r"""\" \' \\ \/ \n \r \t \b \f \uXXXX \UXXXXXXXX"""
            raise fail(source, at + 1 + match.start(), f"unknown escape; known are {known}")
        return _ESCAPED[match[3]]

    return _ESCAPE.sub(plain, raw[1:-1])


def _key(_: str, __: int, raw: str) -> str:
    return raw[1:-1].replace("``", "`")


def _number(source: str, at: int, raw: str) -> int | float:
    if len(raw) > _LONGEST_NUMBER:
        raise fail(source, at, f"a number has at most {_LONGEST_NUMBER} characters")
    if re.fullmatch(r"[+-]?[0-9]+", raw):
        whole = int(raw)
        if not -(2**63) <= whole < 2**63:
            raise fail(source, at, "no 64-bit integer; write it with a fraction or an exponent")
        return whole
    value = float(raw)
    if not math.isfinite(value):
        raise fail(source, at, "too great for a number")
    return value


_READERS: dict[str, Callable[[str, int, str], str | int | float]] = {
    "text": _text,
    "key": _key,
    "number": _number,
    "word": lambda _, __, raw: raw,
    "sign": lambda _, __, raw: raw,
}
