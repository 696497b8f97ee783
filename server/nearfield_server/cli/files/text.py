"""Sources of lines: .txt (one text a line), .jsonl (one object a line) and .csv or .tsv (with a header)."""

from __future__ import annotations

import csv
import json
from collections.abc import Generator, Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from nearfield_server.cli.files.lines import MAX_LINE_BYTES, Lines, decoded
from nearfield_server.cli.files.rows import InputError, Row

__all__ = ["CsvSource", "JsonlSource", "TxtSource", "require_columns", "text_of"]

_SHOWN_NAMES = 20


class _LineSource:
    """What the three have in common: they know bytes read, but neither rows nor types."""

    def __init__(self, path: Path | None, *, keep_ends: bool = False) -> None:
        self._path = path
        self._lines = Lines(path, keep_ends=keep_ends)
        self.name = self._lines.name

    @property
    def total_rows(self) -> int | None:
        return None

    def fraction(self) -> float | None:
        return self._lines.fraction()

    def schema(self) -> Mapping[str, Any] | None:
        return None


class TxtSource(_LineSource):
    """Each line is a text, an empty line an empty text: row numbers are line numbers less one."""

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:  # noqa: ARG002 - a text has none
        """Yield a row per line; there are no `fields`."""
        for number, line in islice(self._lines, skip, None):
            text, problem = decoded(number, line)
            yield Row(number - 1, text, problem or None, f"line {number}")

    def columns(self) -> Sequence[str] | None:
        """None but the text itself."""
        return ()


class JsonlSource(_LineSource):
    """Each line is a JSON object; blank lines are passed over and don't count as rows."""

    def __init__(self, path: Path | None, text_field: str | None) -> None:
        """Take the text from `text_field` of each object; `None`: there is none."""
        super().__init__(path)
        self._text_field = text_field

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:
        """Yield a row per line that isn't blank; skipped lines aren't parsed."""
        filled = (pair for pair in self._lines if pair[1].strip())
        for number, (line_number, line) in enumerate(islice(filled, skip, None), start=skip):
            yield self._row(number, line_number, line, fields)

    def columns(self) -> Sequence[str] | None:
        """The first object's fields."""
        if self._path is None:
            return None
        for _, line in self._lines:
            if line.strip():
                try:
                    record = json.loads(line)
                except ValueError:
                    return None
                return list(record) if isinstance(record, dict) else None
        return None

    def _row(self, number: int, line_number: int, line: bytes, fields: Sequence[str]) -> Row:
        place = f"line {line_number}"
        content, problem = decoded(line_number, line)
        if content is None:
            return Row(number, None, problem, place)
        try:
            record = json.loads(content)
        except (ValueError, RecursionError) as error:
            reason = f"{error.msg} at column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
            return Row(number, None, f"{place} is not valid JSON: {reason}", place)
        if not isinstance(record, dict):
            return Row(number, None, f"{place} is not a JSON object but {_kind(record)}", place)
        # A field that is only carried along may be absent from some objects.
        kept = {name: record.get(name) for name in fields}
        if self._text_field is None:
            return Row(number, "", None, place, kept)
        if self._text_field not in record:
            return Row(number, None, f"{place} has no field {self._text_field!r}; it has: {_names(record)}", place)
        text, problem = text_of(record[self._text_field], self._text_field, place)
        return Row(number, text, problem or None, place, kept)


class CsvSource(_LineSource):
    """A header, then one record a row; quoted fields may hold line ends."""

    def __init__(self, path: Path | None, text_field: str | None, delimiter: str) -> None:
        """Take the text from column `text_field`; `None`: there is none."""
        super().__init__(path, keep_ends=True)
        self._text_field = text_field
        self._delimiter = delimiter

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:
        """Yield a row per record; every record is parsed, as only that finds where it ends."""
        csv.field_size_limit(MAX_LINE_BYTES)
        reader = csv.reader(self._text_lines(), delimiter=self._delimiter, strict=True)
        try:
            header = next(reader, None)
            if header is None:
                return
            wanted = fields if self._text_field is None else (self._text_field, *fields)
            require_columns(self.name, wanted, header)
            column = None if self._text_field is None else header.index(self._text_field)
            kept = [(name, header.index(name)) for name in fields]
            filled = (record for record in reader if record)
            for number, record in enumerate(islice(filled, skip, None), start=skip):
                place = f"line {reader.line_num}"
                if len(record) != len(header):
                    problem = f"{place} has {len(record)} fields, the header {len(header)}"
                    yield Row(number, None, problem, place)
                else:
                    text = "" if column is None else record[column]
                    yield Row(number, text, None, place, {name: record[at] for name, at in kept})
        except csv.Error as error:
            raise InputError(f"{self.name}: line {reader.line_num} is not valid CSV: {error}") from error

    def columns(self) -> Sequence[str] | None:
        """The header."""
        if self._path is None:
            return None
        return next(csv.reader(self._text_lines(), delimiter=self._delimiter), None)

    def _text_lines(self) -> Iterator[str]:
        for number, line in self._lines:
            text, problem = decoded(number, line)
            if text is None:
                raise InputError(f"{self.name}: {problem}")
            yield text


def text_of(value: object, name: str, place: str) -> tuple[str | None, str]:
    """Give `value` if it is a text that can be sent, or `None` and what is wrong with it."""
    if not isinstance(value, str):
        return None, f"{place}: field {name!r} is {_kind(value)}, not a string"
    try:
        value.encode("utf-8")
    except UnicodeEncodeError as error:
        lone = ord(value[error.start])
        return None, f"{place}: field {name!r} holds half of a surrogate pair (\\u{lone:04x}), which is no character"
    return value, ""


def require_columns(name: str, wanted: Sequence[str], there: Sequence[str]) -> None:
    """Refuse an input that lacks a column.

    Raises:
        InputError: names the columns that there are.
    """
    for column in wanted:
        if column not in there:
            has = f"its columns are: {_names(there)}" if there else "it has no columns"
            raise InputError(f"{name} has no column {column!r}; {has}")


def _names(names: Sequence[str] | Mapping[str, object]) -> str:
    listed = list(names)
    more = f" and {len(listed) - _SHOWN_NAMES} more" if len(listed) > _SHOWN_NAMES else ""
    return ", ".join(listed[:_SHOWN_NAMES]) + more


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "a boolean"
    if isinstance(value, (int, float)):
        return "a number"
    names: dict[type, str] = {dict: "an object", list: "a list", str: "a string"}
    return names.get(type(value), type(value).__name__)
