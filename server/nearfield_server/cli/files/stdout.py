"""`--out -`: JSON lines to stdout as answers come in."""

from __future__ import annotations

import json
from typing import IO, Any

import numpy.typing as npt

from nearfield_server.cli.files.journal import Counts
from nearfield_server.cli.files.ragged import member_lines
from nearfield_server.cli.files.rows import Row
from nearfield_server.cli.files.writers import Column, Output, formatter, json_line

__all__ = ["StdoutSink"]


class StdoutSink:
    """Writes a line per row; a skipped row gets a line with `error` in place of `embedding`."""

    def __init__(self, stream: IO[str], output: Output) -> None:
        """Write to `stream`."""
        self.counts = Counts()
        self._stream = stream
        self._output = output

    @property
    def columns(self) -> tuple[Column, ...]:
        """What is carried over from the input."""
        return self._output.columns

    def add(
        self,
        row: Row,
        vector: npt.NDArray[Any],
        *,
        tokens: int,
        truncated: bool,
        marks: npt.NDArray[Any] | None = None,
    ) -> None:
        """Write the row; a line per chunk where it is divided."""
        stored = vector.astype(vector.dtype.newbyteorder("<"), copy=False)
        lines = member_lines(
            self._output.kind,
            self._output.encoding,
            formatter(stored.dtype.str, self._output.encoding),
            self._output.vocabulary,
        )
        for members in lines(stored, marks):
            self._line(row, members)
        counts = self.counts
        self.counts = counts._replace(
            rows=counts.rows + 1, truncated=counts.truncated + truncated, tokens=counts.tokens + tokens
        )

    def skip(self, row: Row, code: str, message: str) -> None:
        """Write why there is no vector."""
        self._line(row, f'"error": {json.dumps({"code": code, "message": message}, ensure_ascii=False)}')
        self.counts = self.counts._replace(rows=self.counts.rows + 1, failed=self.counts.failed + 1)

    def checkpoint(self) -> None:
        """Nothing to make safe: every line is out already."""

    def _line(self, row: Row, outcome: str) -> None:
        fields = {column.name: row.fields.get(column.source) for column in self._output.columns}
        self._stream.write(json_line(row.number, fields, outcome))
        self._stream.flush()
