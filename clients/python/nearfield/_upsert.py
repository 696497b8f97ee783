"""What an upsert sends and learns, without I/O.

Rules:
- Rows go out in the order given, and are stored in it: of rows with the same id the last one counts.
- A request is repeated as a whole after a lost connection. Points are named by their ids, so nothing is doubled; only
  the counts of "create" may call a point skipped that the lost reply had stored.
- A row that is refused is named by its number. With `on_error="collect"` it is taken out, and the others are sent
  again.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import numpy as np

from nearfield._convert import check_options, enum_number
from nearfield._errors import InvalidArgument, NearfieldError, invalid, remapped
from nearfield._payload import id_message, id_of, instant_message, payload_message
from nearfield._search_types import RowError, UpsertOptions, UpsertResult
from nearfield.v1 import search_pb2, types_pb2

__all__ = ["Batch", "UpsertPlan", "vector_bytes"]

_BATCH_ROWS = 128
_BATCH_BYTES = 2 * 2**20
_POINT = re.compile(r"\bpoints\[(\d+)\]")


class Batch:
    """Points that go together, and the rows that they were."""

    def __init__(self) -> None:
        """Hold nothing yet."""
        self.points: list[search_pb2.Point] = []
        self.rows: list[int] = []
        self.size_bytes = 0
        self.ids: set[bytes] = set()

    def add(self, row: int, point: search_pb2.Point) -> None:
        """Take one more."""
        self.points.append(point)
        self.rows.append(row)
        self.ids.add(point.id.SerializeToString())
        self.size_bytes += point.ByteSize() + 8


class UpsertPlan:
    """One upsert from its first to its last row."""

    def __init__(self, collection: str, tenant: str, options: UpsertOptions) -> None:
        """Check the options. Raises TypeError or ValueError."""
        check_options(options, UpsertOptions)
        self._columns = (options.get("id", "id"), options.get("text", "text"), options.get("vector"))
        payload = options.get("payload")
        if isinstance(payload, str):
            raise TypeError(f"payload is a str; give a list of columns, such as [{payload!r}]")
        self._payload = None if payload is None else tuple(payload)
        self._expires_at = options.get("expires_at")
        self._batch_rows = options.get("batch_size", _BATCH_ROWS)
        if self._batch_rows < 1:
            raise ValueError(f"batch_size is {self._batch_rows}; it must be at least 1")
        self._on_error = options.get("on_error", "raise")
        if self._on_error not in {"raise", "collect"}:
            raise ValueError(f"on_error is {self._on_error!r}; it must be 'raise' or 'collect'")
        self._progress = options.get("progress")
        self._fields: dict[str, Any] = {
            "collection": collection,
            "tenant": tenant,
            "wait": options.get("wait", True),
            "mode": enum_number(search_pb2.UpsertMode, "UPSERT_MODE_", "mode", options.get("mode", "upsert")),
            "ordering": enum_number(search_pb2.WriteOrdering, "WRITE_ORDERING_", "ordering", options.get("ordering")),
            "priority": enum_number(types_pb2.Priority, "PRIORITY_", "priority", options.get("priority", "bulk")),
        }
        self._open = Batch()
        self._added = self._done = self._stored = self._skipped = self._version = 0
        self._errors: list[RowError] = []

    def full_batches(self, rows: Iterable[Mapping[str, Any]]) -> Iterator[Batch]:
        """Cut rows into requests. Raises InvalidArgument for a row that can't be sent, unless errors are collected."""
        for row in rows:
            if (full := self.add(row)) is not None:
                yield full

    def add(self, row: Mapping[str, Any]) -> Batch | None:
        """Take a row; give the batch that is full with it."""
        number, self._added = self._added, self._added + 1
        try:
            point = self._point(row, f"rows[{number}]")
        except InvalidArgument as error:
            self._fail(number, row.get(self._columns[0]), error)
            return None
        full = None
        if self._open.points and self._open.size_bytes + point.ByteSize() > _BATCH_BYTES:
            full, self._open = self._open, Batch()
        self._open.add(number, point)
        if full is None and len(self._open.points) >= self._batch_rows:
            full, self._open = self._open, Batch()
        return full

    def last(self) -> Batch:
        """Give what is left, perhaps nothing."""
        return self._open

    def request(self, batch: Batch) -> search_pb2.UpsertRequest:
        """Make a batch's request."""
        return search_pb2.UpsertRequest(points=batch.points, **self._fields)

    def accept(self, batch: Batch, reply: search_pb2.UpsertResponse) -> None:
        """Count what was stored."""
        self._stored += reply.stored
        self._skipped += reply.skipped
        self._version = reply.version
        self._done += len(batch.points)
        batch.points.clear()
        self._tell()

    def refused(self, batch: Batch, error: InvalidArgument) -> None:
        """Take out the row that was refused. Raises `error`, renumbered, when errors aren't collected."""
        places = [found for path, _ in error.field_violations for found in _POINT.findall(path)]
        named = remapped(error, {"points": ("rows", batch.rows)})
        wrong = sorted({int(one) for one in places if int(one) < len(batch.points)}, reverse=True)
        if not wrong or self._on_error == "raise":
            raise named from error
        for at in wrong:
            self._fail(batch.rows.pop(at), id_of(batch.points.pop(at).id), named)
        if not batch.points:
            self._tell()

    def result(self) -> UpsertResult:
        """Give the counts."""
        return UpsertResult(
            stored=self._stored, skipped=self._skipped, version=self._version, errors=tuple(self._errors)
        )

    def _tell(self) -> None:
        if self._progress is not None:
            self._progress(self._done + len(self._errors))

    def _fail(self, number: int, id_: Any, error: NearfieldError) -> None:
        if self._on_error == "raise":
            raise error
        self._errors.append(RowError(row=number, id=id_ if isinstance(id_, (str, int)) else None, error=error))

    def _point(self, row: Mapping[str, Any], place: str) -> search_pb2.Point:
        id_name, text_name, vector_name = self._columns
        if id_name not in row:
            raise invalid(place, f"has no column {id_name!r}, which is to hold the id")
        point = search_pb2.Point(id=id_message(row[id_name], f"{place}.{id_name}"))
        if text_name is not None and (text := row.get(text_name)) is not None:
            if not isinstance(text, str):
                raise invalid(f"{place}.{text_name}", f"a {type(text).__name__}, not a text")
            point.text = _utf8(text, f"{place}.{text_name}")
        if vector_name is not None and row.get(vector_name) is not None:
            point.vector = vector_bytes(row[vector_name], f"{place}.{vector_name}")
        if self._expires_at is not None and (expires := row.get(self._expires_at)) is not None:
            if not isinstance(expires, datetime):
                raise invalid(f"{place}.{self._expires_at}", f"a {type(expires).__name__}, not a datetime")
            point.expires_at.CopyFrom(instant_message(expires))
        if carried := self._carried(row):
            point.payload.CopyFrom(payload_message(carried, place))
        return point

    def _carried(self, row: Mapping[str, Any]) -> dict[str, Any]:
        if self._payload is not None:
            return {name: row[name] for name in self._payload if name in row}
        taken = {*self._columns, self._expires_at}
        return {name: value for name, value in row.items() if name not in taken}


def vector_bytes(value: object, field: str) -> bytes:
    """Give a vector as the wire has it: float32, little-endian. Raises InvalidArgument."""
    try:
        vector = np.asarray(value, dtype="<f4")
    except (ValueError, TypeError, OverflowError):
        vector = np.empty((0, 0), "<f4")
    if vector.ndim != 1 or not vector.size:
        raise invalid(field, "is no vector: give one flat sequence of numbers")
    return vector.tobytes()


def _utf8(text: str, field: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError as error:
        raise invalid(field, f"character {error.start} is half of a surrogate pair: repair the text") from None
    return text
