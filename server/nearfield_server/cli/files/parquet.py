"""Rows of a Parquet file, a batch at a time. Only imported when a Parquet file is named: it loads pyarrow."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfield_server.cli.files.rows import InputError, Row
from nearfield_server.cli.files.text import require_columns, text_of

__all__ = ["ParquetSource"]

_BATCH_ROWS = 2048


class ParquetSource:
    """The rows of a Parquet file; only the columns asked for are read."""

    def __init__(self, path: Path, text_field: str | None, vector_field: str = "") -> None:
        """Open the file and check that `text_field`, if any, is a column of strings.

        Raises:
            InputError: it isn't a Parquet file, or has no such column.
        """
        self.name = str(path)
        self._path = path
        self._text_field = text_field
        self._vector_field = vector_field
        self._read = 0
        with self._open() as file:
            self._rows = int(file.metadata.num_rows)
            self._schema = file.schema_arrow
        self._check()

    @property
    def total_rows(self) -> int | None:
        """From the file's footer."""
        return self._rows

    def fraction(self) -> float | None:
        """Rows read by rows there are."""
        return self._read / self._rows if self._rows else None

    def columns(self) -> Sequence[str] | None:
        """All columns."""
        return list(self._schema.names)

    def schema(self) -> Mapping[str, Any] | None:
        """Arrow types by column."""
        return {column.name: column.type for column in self._schema}

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:
        """Yield the rows; whole row groups are passed over unread."""
        require_columns(self.name, fields, self._schema.names)
        try:
            with self._open() as file:
                yield from self._batches(file, skip, fields)
        except pa.ArrowException as error:
            raise InputError(f"{self.name}: damaged after row {self._read:,}: {error}") from error

    def _batches(self, file: pq.ParquetFile, skip: int, fields: Sequence[str]) -> Generator[Row, None, None]:
        groups, first = _groups_from(file, skip)
        columns = list(dict.fromkeys((*self._wanted(), *fields)))
        number = first
        for batch in file.iter_batches(_BATCH_ROWS, row_groups=groups, columns=columns, use_threads=False):
            kept = {name: batch.column(name) for name in fields}
            texts = None if self._text_field is None else batch.column(self._text_field)
            for index in range(batch.num_rows):
                if number >= skip:
                    fields_of_row = {
                        name: _vector(column[index]) if name == self._vector_field else column[index].as_py()
                        for name, column in kept.items()
                    }
                    if texts is None:
                        yield Row(number, "", fields=fields_of_row)
                    else:
                        yield self._row(number, texts[index], fields_of_row)
                number += 1
                self._read = number

    def _row(self, number: int, value: pa.Scalar, fields: Mapping[str, Any]) -> Row:
        try:
            text, problem = text_of(value.as_py(), str(self._text_field), f"row {number}")
        except UnicodeDecodeError:
            text, problem = None, f"row {number}: column {self._text_field!r} is not UTF-8"
        return Row(number, text, problem or None, "", fields)

    def _open(self) -> pq.ParquetFile:
        try:
            return pq.ParquetFile(self._path, memory_map=False, pre_buffer=False)
        except pa.ArrowInvalid as error:
            raise InputError(f"{self.name} is not a Parquet file, or is cut: {error}") from error
        except OSError as error:
            raise InputError(f"{self.name}: {error.strerror or error}") from error

    def _wanted(self) -> tuple[str, ...]:
        return () if self._text_field is None else (self._text_field,)

    def _check(self) -> None:
        require_columns(self.name, self._wanted(), self._schema.names)
        doubled = [name for name in self._schema.names if self._schema.names.count(name) > 1]
        if doubled:
            raise InputError(f"{self.name} has two columns {doubled[0]!r}: which is meant can't be said")
        if self._text_field is None:
            return
        kind = self._schema.field(self._text_field).type
        if not _is_text(kind):
            usable = ", ".join(column.name for column in self._schema if _is_text(column.type)) or "none"
            raise InputError(
                f"{self.name}: column {self._text_field!r} holds {kind}, not strings; columns of strings: {usable}"
            )


def _vector(value: pa.Scalar) -> Any:
    """Give an array, without an object for each number, of what is a vector; else what it is."""
    if isinstance(value, pa.FixedSizeListScalar | pa.ListScalar) and value.is_valid:
        numbers = value.values
        if pa.types.is_floating(numbers.type) and not numbers.null_count:
            return numbers.to_numpy(zero_copy_only=False)
    return value.as_py()


def _is_text(kind: pa.DataType) -> bool:
    if pa.types.is_dictionary(kind):
        return _is_text(kind.value_type)
    return bool(pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind))


def _groups_from(file: pq.ParquetFile, skip: int) -> tuple[list[int], int]:
    """Give the row groups that hold rows from `skip` on, and the number of the first row of the first of them."""
    start = 0
    for group in range(file.num_row_groups):
        rows = file.metadata.row_group(group).num_rows
        if start + rows > skip:
            return list(range(group, file.num_row_groups)), start
        start += rows
    return [], start
