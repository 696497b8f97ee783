"""Rows of the input, twice: what is compared, and, afterwards, everything that a row has."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.lines import Lines
from nearfield_server.cli.files.rows import InputError, Row, Source
from nearfield_server.cli.files.sources import open_source
from nearfield_server.cli.files.text import JsonlSource, TxtSource

__all__ = ["Input"]


@dataclass(slots=True)
class Input:
    """A file of rows with texts, vectors or both; a field that is empty isn't read."""

    path: Path
    text_field: str
    vector_field: str
    source: Source

    @classmethod
    def open(cls, path: Path, text_field: str, vector_field: str) -> Input:
        """Open it. Raises `InputError`, or `CliError` where neither field is named."""
        if not text_field and not vector_field:
            raise CliError("rows need a text or a vector: name its field with --text-field or --vector-field")
        source = open_source(path, text_field or None, None, vector_field)
        if isinstance(source, TxtSource) and vector_field:
            raise CliError(f"{path}: a .txt file has no vectors: leave --vector-field out")
        return cls(path, text_field, vector_field, source)

    def items(self) -> Iterator[tuple[Any, int]]:
        """Give what is compared of each row, and the length of its text. Raises `InputError` for a row that is wrong."""
        fields = [self.vector_field] if self.vector_field else []
        for row in self.source.rows(fields=fields):
            if row.text is None:
                raise InputError(f"{self.path}: {row.problem or 'a row is wrong'}")
            if not self.vector_field:
                yield row.text, len(row.text)
                continue
            vector = self._vector(row)
            yield (row.text, vector) if self.text_field else vector, len(row.text)

    def records(self) -> Iterator[dict[str, Any]]:
        """Give each row with all of its fields."""
        if isinstance(self.source, JsonlSource):
            # Objects may have fields that the first one lacks.
            for _, line in Lines(self.path):
                if line.strip():
                    yield json.loads(line)
        elif isinstance(self.source, TxtSource):
            for row in self.source.rows():
                yield {"text": row.text}
        else:
            for row in self.source.rows(fields=self.source.columns() or ()):
                yield dict(row.fields)

    def text_of(self, record: dict[str, Any]) -> str:
        """Give the text of a row."""
        return str(record.get("text" if isinstance(self.source, TxtSource) else self.text_field) or "")

    def _vector(self, row: Row) -> Any:
        try:
            vector = np.asarray(row.fields[self.vector_field], np.float32)
        except (ValueError, TypeError):
            vector = np.empty((0, 0), np.float32)
        if vector.ndim != 1 or not vector.size:
            place = row.place or f"row {row.number}"
            raise InputError(f"{self.path}: {place}: field {self.vector_field!r} is no list of numbers")
        return vector
