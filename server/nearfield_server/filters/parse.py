"""The readable form of filters, read: docs/filters.md has its grammar.

    any       = all { "or" all }
    all       = one { "and" one }
    one       = "not" one | "(" any ")" | function | comparison
    comparison = (field | "id") ( sign value | ["not"] "in" "(" value, … ")" | "between" value "and" value
               | "startswith" text )

Recursive descent; parentheses and `not` are the only recursion, and are counted.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from typing import TypeVar

from nearfield_server.errors import InvalidInput
from nearfield_server.filters.bounds import MAX_CONDITIONS, MAX_DEPTH, MAX_ID_BYTES, MAX_VALUES
from nearfield_server.filters.instants import instant_of
from nearfield_server.filters.paths import path_of, split_path
from nearfield_server.filters.tokens import RESERVED, Token, fail, tokens_of
from nearfield_server.filters.words import words_of
from nearfield_server.types import (
    And,
    Equals,
    Exists,
    Filter,
    FilterValue,
    GeoBox,
    GeoPoint,
    GeoRadius,
    Ids,
    Not,
    NumberRange,
    OneOf,
    Or,
    Prefix,
    TimeRange,
    Words,
)

__all__ = ["parse_filter"]

_T = TypeVar("_T")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_SIGNS = "= == != < <= > >="
_JOINED = 2 * MAX_DEPTH  # `not` and its parentheses make one condition deeper


def parse_filter(text: str) -> Filter:
    """Read a filter such as `price < 20 and brand in ("a", "b")`.

    Raises:
        InvalidInput: it can't be read, or is too large; the message points at the column, from 1.
    """
    parser = _Parser(text)
    found = parser.any_of(0)
    parser.expect_end()
    if _depth(found) > MAX_DEPTH:
        raise fail(text, 0, f"at most {MAX_DEPTH} conditions within each other")
    return found


def _depth(condition: Filter) -> int:
    if isinstance(condition, Not):
        return 1 + _depth(condition.filter)
    return 1 + max(map(_depth, condition.filters)) if isinstance(condition, (And, Or)) else 1


class _Parser:
    """Tokens, and the place among them."""

    def __init__(self, text: str) -> None:
        self._text = text
        self._tokens = tokens_of(text)
        self._next = 0
        self._conditions = 0

    def any_of(self, depth: int) -> Filter:
        return self._joined("or", Or, lambda: self._joined("and", And, lambda: self._one(depth)))

    def expect_end(self) -> None:
        if self._peek().kind != "end":
            raise self._expected("and, or, or the end")

    def _joined(self, word: str, kind: Callable[[tuple[Filter, ...]], Filter], part: Callable[[], Filter]) -> Filter:
        parts = [part()]
        while self._take_word(word):
            parts.append(part())
        return self._counted(kind(tuple(parts))) if len(parts) > 1 else parts[0]

    def _counted(self, condition: Filter) -> Filter:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise fail(self._text, self._peek().at, f"at most {MAX_CONDITIONS} conditions; `in` takes long lists")
        return condition

    def _one(self, depth: int) -> Filter:
        if depth > _JOINED:
            raise fail(self._text, self._peek().at, f"at most {MAX_DEPTH} conditions within each other")
        if self._take_word("not"):
            return self._counted(Not(self._one(depth + 1)))
        if self._take_sign("("):
            found = self.any_of(depth + 1)
            self._expect_sign(")")
            return found
        token, following = self._peek(), self._tokens[min(self._next + 1, len(self._tokens) - 1)]
        if token.kind == "word" and following.kind == "sign" and following.value == "(":
            return self._counted(self._function(self._advance()))
        if self._take_word("id"):
            return self._ids()
        return self._comparison(self._field())

    def _comparison(self, field: str) -> Filter:
        token = self._peek()
        if token.kind == "sign" and token.value in _SIGNS.split():
            return self._compared(field, str(self._advance().value))
        if self._take_word("between"):
            least = self._bound("between")
            if not self._take_word("and"):
                raise self._expected("and")
            return self._counted(self._range(field, [("gte", least), ("lte", self._bound("between"))]))
        if self._take_word("startswith"):
            return self._counted(Prefix(field, self._some_text()))
        negated = self._take_word("not")
        if self._take_word("in"):
            found = self._counted(OneOf(field, self._values(self._value)))
            return self._counted(Not(found)) if negated else found
        raise self._expected("in" if negated else f"one of {_SIGNS} in, not in, between, startswith")

    def _compared(self, field: str, sign: str) -> Filter:
        if sign in _BOUNDS:
            return self._counted(self._range(field, [(_BOUNDS[sign], self._bound(sign))]))
        found = self._counted(Equals(field, self._value()))
        return self._counted(Not(found)) if sign == "!=" else found

    def _ids(self) -> Filter:
        if self._take_sign("=") or self._take_sign("=="):
            return self._counted(Ids((self._id(),)))
        if self._take_sign("!="):
            return self._counted(Not(self._counted(Ids((self._id(),)))))
        negated = self._take_word("not")
        if not self._take_word("in"):
            raise self._expected("in" if negated else "one of = != in, not in (a field named id is put in backticks)")
        found = self._counted(Ids(self._values(self._id)))
        return self._counted(Not(found)) if negated else found

    def _function(self, name: Token) -> Filter:
        self._expect_sign("(")
        made = _FUNCTIONS.get(str(name.value).lower())
        if made is None:
            raise fail(self._text, name.at, f"no function; known are {', '.join(sorted(_FUNCTIONS))}")
        found = made(self)
        self._expect_sign(")")
        return found

    def exists(self) -> Filter:
        return Exists(self._field())

    def contains(self) -> Filter:
        return Equals(self._then(self._field()), self._value())

    def match(self) -> Filter:
        field = "" if self._peek().kind == "text" else self._then(self._field())
        at, words = self._peek().at, tuple(dict.fromkeys(words_of(self._some_text())))
        if not 1 <= len(words) <= MAX_VALUES:
            raise fail(self._text, at, f"expected 1 to {MAX_VALUES} words of letters or digits")
        return Words(field, words)

    def geo_radius(self) -> Filter:
        field, center = self._then(self._field()), self._then(self._place("latitude", "longitude"))
        at, meters = self._peek().at, self._number("meters")
        if meters <= 0:
            raise fail(self._text, at, "the meters must be greater than 0")
        return GeoRadius(field, center, meters)

    def geo_box(self) -> Filter:
        field, first = self._then(self._field()), self._then(self._place("north", "west"))
        at, second = self._peek().at, self._place("south", "east")
        if first.latitude < second.latitude:
            raise fail(self._text, at, "the south must not be north of the north")
        return GeoBox(field, first, second)

    def range(self) -> Filter:
        field = self._field()
        bounds: list[tuple[str, float | datetime]] = []
        while self._take_sign(","):
            sign = self._peek()
            if sign.kind != "sign" or sign.value not in _BOUNDS or _BOUNDS[str(sign.value)] in dict(bounds):
                raise self._expected("one of < <= > >=, each at most once")
            self._advance()
            bounds.append((_BOUNDS[str(sign.value)], self._bound(str(sign.value))))
        if not bounds:
            raise self._expected(", and a bound such as >= 1")
        return self._range(field, bounds)

    def _then(self, value: _T) -> _T:
        self._expect_sign(",")
        return value

    def _place(self, first: str, second: str) -> GeoPoint:
        at, latitude = self._peek().at, self._number(first)
        if abs(latitude) > 90:  # noqa: PLR2004 - degrees
            raise fail(self._text, at, f"the {first} must be in [-90, 90]")
        self._expect_sign(",")
        at, longitude = self._peek().at, self._number(second)
        if abs(longitude) > 180:  # noqa: PLR2004
            raise fail(self._text, at, f"the {second} must be in [-180, 180]")
        return GeoPoint(latitude, longitude)

    def _range(self, field: str, bounds: list[tuple[str, float | datetime]]) -> Filter:
        numbers = {name: bound for name, bound in bounds if not isinstance(bound, datetime)}
        times = {name: bound for name, bound in bounds if isinstance(bound, datetime)}
        if numbers and times:
            raise self._expected("bounds of one kind, before this: numbers or dates")
        return NumberRange(field=field, **numbers) if numbers else TimeRange(field=field, **times)

    def _bound(self, sign: str) -> float | datetime:
        token = self._peek()
        if token.kind == "number":
            return self._number("a number")
        if token.kind != "text":
            raise self._expected(f"a number or a date after {sign}")
        self._advance()
        instant = instant_of(token.value)
        try:
            if instant is None:
                return datetime.combine(date.fromisoformat(str(token.value)), datetime.min.time(), UTC)
            return _EPOCH + timedelta(microseconds=instant)
        except (ValueError, OverflowError):
            known = '"2024-01-31" or "2024-01-31T12:00:00Z"'
            raise fail(self._text, token.at, f"no date such as {known}; texts have no order, only startswith") from None

    def _values(self, one: Callable[[], _T]) -> tuple[_T, ...]:
        self._expect_sign("(")
        found = [one()]
        while self._take_sign(","):
            if len(found) == MAX_VALUES:
                raise fail(self._text, self._peek().at, f"at most {MAX_VALUES} values")
            found.append(one())
        self._expect_sign(")")
        return tuple(found)

    def _value(self) -> FilterValue:
        token = self._peek()
        if token.kind in {"text", "number"}:
            return self._advance().value
        for word in ("true", "false"):
            if self._take_word(word):
                return word == "true"
        raise self._expected('a value: "text", a number, true or false')

    def _id(self) -> str | int:
        token = self._peek()
        if isinstance(token.value, float) or token.kind not in {"text", "number"}:
            raise self._expected('an id: "text" or an integer')
        if isinstance(token.value, str) and not 1 <= len(token.value.encode("utf-8", "replace")) <= MAX_ID_BYTES:
            raise self._expected(f"an id of 1 to {MAX_ID_BYTES} bytes")
        self._advance()
        return token.value

    def _number(self, name: str) -> float:
        token = self._peek()
        if isinstance(token.value, str):
            raise self._expected(name)
        self._advance()
        return float(token.value)

    def _some_text(self) -> str:
        token = self._peek()
        if token.kind != "text" or not token.value:
            raise self._expected('a text in quotes, such as "abc"')
        return str(self._advance().value)

    def _field(self) -> str:
        at, keys = self._peek().at, [self._key()]
        while self._take_sign("."):
            keys.append(self._key())
        path = path_of(keys)
        try:
            split_path(path)
        except ValueError as error:
            raise fail(self._text, at, str(error)) from None
        return path

    def _key(self) -> str:
        token = self._peek()
        if token.kind == "key" or (token.kind == "word" and str(token.value).lower() not in RESERVED):
            return str(self._advance().value)
        raise self._expected("a field; words of the language and odd names are put in backticks")

    def _peek(self) -> Token:
        return self._tokens[self._next]

    def _advance(self) -> Token:
        self._next += 1
        return self._tokens[self._next - 1]

    def _take_word(self, word: str) -> bool:
        token = self._peek()
        return self._took(token.kind == "word" and str(token.value).lower() == word)

    def _take_sign(self, sign: str) -> bool:
        token = self._peek()
        return self._took(token.kind == "sign" and token.value == sign)

    def _took(self, found: bool) -> bool:
        self._next += found
        return found

    def _expect_sign(self, sign: str) -> None:
        if not self._take_sign(sign):
            raise self._expected(sign)

    def _expected(self, what: str) -> InvalidInput:
        return fail(self._text, self._peek().at, f"expected {what}")


_FUNCTIONS: dict[str, Callable[[_Parser], Filter]] = {
    "contains": _Parser.contains,
    "exists": _Parser.exists,
    "geo_box": _Parser.geo_box,
    "geo_radius": _Parser.geo_radius,
    "match": _Parser.match,
    "range": _Parser.range,
}
