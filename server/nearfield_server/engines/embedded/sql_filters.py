"""Filters as SQL over `points p`.

A condition on an indexed field becomes a look-up in `entries`. What no index serves is decided by the reference,
`filters.matches`, called by SQLite for each row that is left: so every answer is the reference's. All values are bound;
long lists go through a temporary table.
"""

from __future__ import annotations

import itertools
import math
import sqlite3
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from nearfield_server.engines.embedded.codec import unpack_payload
from nearfield_server.engines.embedded.payload_index import EntryKind, IndexedField, read_fields
from nearfield_server.filters import Matcher, matcher, meters_between, microseconds, split_path
from nearfield_server.types import (
    And,
    Equals,
    FieldType,
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
from nearfield_server.types.filters import walk

__all__ = ["EVERYTHING", "Where", "add_functions", "matching"]

_SHORT = 64  # values of a list that are bound one by one
_EARTH_METERS = 6_371_000.0
_SCALARS = {FieldType.KEYWORD, FieldType.INTEGER, FieldType.FLOAT, FieldType.BOOL, FieldType.DATETIME}
_SERVING: dict[type, set[FieldType]] = {
    Equals: _SCALARS,
    OneOf: _SCALARS,
    NumberRange: _SCALARS,
    Prefix: _SCALARS,
    TimeRange: {FieldType.DATETIME},
    GeoBox: {FieldType.GEO},
    GeoRadius: {FieldType.GEO},
    Words: {FieldType.TEXT},
}
"""Which indexes answer which conditions."""
_SURROGATES = range(0xD800, 0xE000)  # they stand in no string
_HITS = "p.row IN (SELECT e.row FROM entries e WHERE e.field = ? AND e.kind = ? AND "

Where: TypeAlias = tuple[str, tuple[Any, ...]]
"""SQL over `points p`, and the values of its marks."""

EVERYTHING: Where = ("1", ())
"""True of every row."""

_conditions: dict[int, Matcher] = {}
"""Conditions that queries under way ask `nearfield_matches` about. Numbers stand for them in SQL."""
_numbers = itertools.count()


def add_functions(connection: sqlite3.Connection) -> None:
    """Let a connection evaluate what `matching` writes."""
    connection.create_function("nearfield_matches", 4, _matches, deterministic=True)
    connection.create_function("nearfield_meters", 4, _meters, deterministic=True)
    connection.execute(
        "CREATE TEMP TABLE needles (list INTEGER NOT NULL, value NOT NULL, PRIMARY KEY (list, value)) WITHOUT ROWID"
    )


@contextmanager
def matching(connection: sqlite3.Connection, wanted: Filter | None) -> Iterator[Where]:
    """Give SQL that is true of the rows of `points p` that meet `wanted`, and its values, for the length of a block.

    The block reads as of one moment: an index that the SQL uses can't go meanwhile.
    """
    own = not connection.in_transaction
    if own:
        connection.execute("BEGIN")
    writer = _Writer({})
    try:
        if wanted is None:
            yield EVERYTHING
            return
        writer.fields = {_keys(one.path): one for one in read_fields(connection) if one.ready}
        sql = writer.write(wanted)
        connection.executemany("INSERT OR IGNORE INTO temp.needles (list, value) VALUES (?, ?)", writer.needles)
        yield sql, tuple(writer.values)
    finally:
        for number in writer.numbers:
            _conditions.pop(number, None)
        if writer.needles:
            connection.execute("DELETE FROM temp.needles")
        if own:
            connection.execute("COMMIT")


def _matches(number: int, id_: str | int, payload: str, text: str) -> bool:
    return _conditions[number](id_, text, unpack_payload(payload))


def _meters(latitude: float, longitude: float, other_latitude: float, other_longitude: float) -> float:
    return meters_between(GeoPoint(latitude, longitude), GeoPoint(other_latitude, other_longitude))


@dataclass(slots=True)
class _Writer:
    """Writes SQL, and gathers its values in the order of their marks."""

    fields: dict[tuple[str, ...], IndexedField]
    values: list[Any] = field(default_factory=list)
    needles: list[tuple[int, Any]] = field(default_factory=list)
    numbers: list[int] = field(default_factory=list)
    lists: int = 0

    def write(self, one: Filter) -> str:
        if not self._reaches_index(one):
            return self._by_reference(one)
        match one:
            case And():
                return self._joined(one, And, "AND")
            case Or():
                return self._joined(one, Or, "OR")
            case Not():
                return f"NOT {self.write(one.filter)}"
            case Ids():
                return f"p.id IN {self._list(one.ids)}"
            case _:
                return self._by_index(one, self.fields[_keys(one.field)])

    def _joined(self, one: And | Or, kind: Callable[[tuple[Filter, ...]], Filter], word: str) -> str:
        """Join what indexes serve, then the rest as one question, so that a payload is parsed once."""
        parts, rest = [], []
        for part in one.filters:
            if self._reaches_index(part):
                parts.append(self.write(part))
            else:
                rest.append(part)
        if rest:
            parts.append(self._by_reference(rest[0] if len(rest) == 1 else kind(tuple(rest))))
        return _balanced(parts, word)

    def _by_reference(self, one: Filter) -> str:
        number = next(_numbers)
        _conditions[number] = matcher(one)
        self.numbers.append(number)
        self.values.append(number)
        reads_text = any(isinstance(part, Words) and not part.field for part in walk(one))
        text = "coalesce((SELECT t.text FROM texts t WHERE t.row = p.row), '')" if reads_text else "''"
        return f"nearfield_matches(?, p.id, p.payload, {text})"

    def _reaches_index(self, one: Filter) -> bool:
        return any(isinstance(part, Ids) or self._serving(part) for part in walk(one))

    def _serving(self, one: Filter) -> bool:
        """Tell whether an index answers a condition."""
        if isinstance(one, (And, Or, Not, Ids)):
            return False
        index = self.fields.get(_keys(one.field))
        if index is None:
            return False
        return index.type in _SERVING.get(type(one), ()) and not (isinstance(one, Words) and not one.words)

    def _by_index(self, one: Filter, index: IndexedField) -> str:  # noqa: PLR0911 - one for each kind
        match one:
            case Equals():
                return self._among(index, (one.value,))
            case OneOf():
                return self._among(index, one.values)
            case NumberRange():
                return self._range(index, EntryKind.NUMBER, (one.gt, one.gte, one.lt, one.lte))
            case TimeRange():
                bounds = tuple(None if x is None else microseconds(x) for x in (one.gt, one.gte, one.lt, one.lte))
                return self._range(index, EntryKind.INSTANT, bounds)
            case Prefix():
                return self._range(index, EntryKind.STRING, (None, one.prefix, _after(one.prefix), None))
            case Words():
                words = tuple(dict.fromkeys(one.words))
                self._look(index, EntryKind.WORD)
                found = f"{_HITS}e.value IN {self._list(words)} GROUP BY e.row, e.extra HAVING count(*) = ?)"
                self.values.append(len(words))
                return found
            case GeoBox():
                return self._box(index, one)
            case GeoRadius():
                return self._radius(index, one)
            case _:  # this is a bug: `_serving` says what comes here
                raise TypeError(type(one).__name__)

    def _look(self, index: IndexedField, kind: EntryKind) -> None:
        self.values += [index.field, int(kind)]

    def _among(self, index: IndexedField, wanted: Sequence[FilterValue]) -> str:
        parts = []
        for kind, values in itertools.groupby(sorted(wanted, key=_kind), key=_kind):
            self._look(index, kind)
            parts.append(f"{_HITS}e.value IN {self._list(tuple(values))})")
        return _balanced(parts, "OR")

    def _range(self, index: IndexedField, kind: EntryKind, bounds: Sequence[float | str | None]) -> str:
        """Look up values greater than, not less than, less than, not greater than `bounds`."""
        self._look(index, kind)
        parts = []
        for sign, bound in zip((">", ">=", "<", "<="), bounds, strict=True):
            if bound is not None:
                parts.append(f"e.value {sign} ?")
                self.values.append(bound)
        return f"{_HITS}{' AND '.join(parts) or '1'})"

    def _box(self, index: IndexedField, box: GeoBox) -> str:
        self._look(index, EntryKind.PLACE)
        west, east = box.north_west.longitude, box.south_east.longitude
        self.values += [box.south_east.latitude, box.north_west.latitude, west, east]
        word = "AND" if west <= east else "OR"
        return f"{_HITS}e.value >= ? AND e.value <= ? AND (e.extra >= ? {word} e.extra <= ?))"

    def _radius(self, index: IndexedField, circle: GeoRadius) -> str:
        self._look(index, EntryKind.PLACE)
        margin = math.degrees(circle.meters / _EARTH_METERS) + 1e-6
        latitude, longitude = circle.center.latitude, circle.center.longitude
        self.values += [latitude - margin, latitude + margin, latitude, longitude, circle.meters]
        return f"{_HITS}e.value BETWEEN ? AND ? AND nearfield_meters(?, ?, e.value, e.extra) <= ?)"

    def _list(self, wanted: Sequence[Any]) -> str:
        if len(wanted) <= _SHORT:
            self.values += wanted
            return f"({', '.join('?' * len(wanted))})"
        self.lists += 1
        self.needles += [(self.lists, value) for value in wanted]
        self.values.append(self.lists)
        return "(SELECT n.value FROM temp.needles n WHERE n.list = ?)"


def _balanced(parts: Sequence[str], word: str) -> str:
    """Join as a balanced tree: SQLite bounds the depth of an expression at 1,000."""
    if len(parts) == 1:
        return parts[0]
    half = len(parts) // 2
    return f"({_balanced(parts[:half], word)} {word} {_balanced(parts[half:], word)})"


def _kind(value: FilterValue) -> EntryKind:
    if isinstance(value, bool):
        return EntryKind.BOOL
    return EntryKind.STRING if isinstance(value, str) else EntryKind.NUMBER


def _keys(path: str) -> tuple[str, ...]:
    """Give the keys of a path, which may be spelt in several ways; none: the point's text."""
    return split_path(path) if path else ()


def _after(prefix: str) -> str | None:
    """Give the least string after all that begin with `prefix`, in the order of code points; None: there is none."""
    kept = prefix.rstrip(chr(sys.maxunicode))
    if not kept:
        return None
    following = ord(kept[-1]) + 1
    return kept[:-1] + chr(_SURROGATES.stop if following in _SURROGATES else following)
