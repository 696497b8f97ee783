"""Inputs of any length to bounded messages of items, without I/O.

Rules:
- The first input says what all are: rows of numbers with a decimal point are vectors; all else is what `embed` takes.
- An input that can't be sent is noted as a failure and left out; the others go. The server's positions count what was
  sent, and are translated back.
- A message is full at the server's `Limits.max_inputs`, or so many bytes.
"""

from __future__ import annotations

from array import array
from collections.abc import Generator, Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield._cluster_requests import placed, renamed
from nearfield._errors import NearfieldError, invalid
from nearfield._inputs import is_single, make_item, one_or_many
from nearfield._model import Limits
from nearfield._payload import id_message
from nearfield.v1 import cluster_pb2, search_pb2, types_pb2

__all__ = ["ItemPacker", "elements"]

_MOST_ITEMS, _MOST_BYTES = 512, 4 * 2**20
_ENVELOPE_BYTES = 2_048
_NUMBERS = "fiubc"
_END = object()


def elements(inputs: Any) -> Iterable[object]:
    """Give the inputs one by one. Raises TypeError for what is no collection of inputs."""
    if isinstance(inputs, np.ndarray) and inputs.dtype.kind in _NUMBERS and inputs.ndim != 2:  # noqa: PLR2004
        raise TypeError(
            f"an array of shape {inputs.shape} and {inputs.dtype}; give vectors as a float array [n, width]"
        )
    return one_or_many(inputs)


class ItemPacker:
    """One run of inputs, from the first to the last."""

    def __init__(self, limits: Limits, ids: Iterable[Any] | None = None, texts: Iterable[str] | None = None) -> None:
        """`ids` and `texts` go with the inputs, one each."""
        self.sent = array("Q")
        """Position of each item that goes to the server."""
        self.failures: dict[int, NearfieldError] = {}
        self.count = 0
        self.ids: list[Any] | None = None if ids is None else []
        if isinstance(ids, str) or isinstance(texts, str):
            raise TypeError("ids and texts are one str; give one each for the inputs")
        self._most = min(limits.max_inputs or _MOST_ITEMS, _MOST_ITEMS)
        self._most_bytes = min(limits.max_request_bytes or _MOST_BYTES, _MOST_BYTES) - _ENVELOPE_BYTES
        self._most_image_bytes = limits.max_image_bytes
        self._beside = {name: iter(one) for name, one in (("ids", ids), ("texts", texts)) if one is not None}
        self._has_vectors: bool | None = None
        self._width = self._last_count = 0
        self._clear()

    def messages(self, values: Iterable[object]) -> Generator[cluster_pb2.ClusterItems, None, None]:
        """Cut `values` into messages, the last one too."""
        for value in values:
            if (full := self.add(value)) is not None:
                yield full
        if (last := self.last()) is not None:
            yield last

    def strict_messages(self, values: Iterable[object]) -> Generator[cluster_pb2.ClusterItems, None, None]:
        """Cut `values` into messages. Raises InvalidArgument for one that can't be sent, and where there are none."""
        for items in self.messages(values):
            self._check_failures()
            yield items
        self._check_failures()
        if not self.sent:
            raise invalid("inputs", "none; at least one is needed")

    def located(self, error: NearfieldError) -> NearfieldError:
        """Give the error of the last message with the caller's own indexes."""
        indexes = self.sent[-self._last_count :]
        return placed(renamed(error), lambda row: indexes[row] if row < len(indexes) else row)

    def _check_failures(self) -> None:
        if self.failures:
            raise next(iter(self.failures.values()))

    def fill(self, values: Iterator[object]) -> cluster_pb2.ClusterItems | None:
        """Take values until a message is full; None: all were taken before."""
        for value in values:
            if (full := self.add(value)) is not None:
                return full
        return None

    def add(self, value: object) -> cluster_pb2.ClusterItems | None:
        """Take an input; give the message that is full without it.

        Raises:
            ValueError: fewer ids or texts than inputs, or texts beside texts.
        """
        index, self.count = self.count, self.count + 1
        id_, text = (self._next(name, index) for name in ("ids", "texts"))
        if self.ids is not None:
            self.ids.append(id_)
        if self._has_vectors is None and value is not None:
            self._has_vectors = _is_vector(value)
            if "texts" in self._beside and not self._has_vectors:
                raise ValueError("texts go beside vectors; inputs that are texts name the clusters themselves")
        try:
            row = self._row(value, f"inputs[{index}]") if self._has_vectors else None
            said = text if self._has_vectors else value
            is_said = not self._has_vectors or "texts" in self._beside
            message = self._input(said, f"{'texts' if self._has_vectors else 'inputs'}[{index}]") if is_said else None
            id_message_ = None if self.ids is None else id_message(id_, f"ids[{index}]")
        except NearfieldError as error:
            self.failures[index] = error
            return None
        return self._keep(index, row, message, id_message_)

    def last(self) -> cluster_pb2.ClusterItems | None:
        """Give the rest; None: there is none. Raises ValueError for more ids or texts than inputs."""
        for name, line in self._beside.items():
            if next(line, _END) is not _END:
                raise ValueError(f"more {name} than inputs, {self.count:,}: give one each")
        return self._taken() if len(self._indexes) else None

    def _next(self, name: str, index: int) -> Any:
        if name not in self._beside:
            return None
        if (found := next(self._beside[name], _END)) is _END:
            raise ValueError(f"{index:,} {name} for more inputs: give one each")
        return found

    def _input(self, value: object, field: str) -> types_pb2.Input:
        item = make_item(value, field)
        item.check_size(field, self._most_image_bytes)
        return item.loaded(field).message()

    def _row(self, value: object, field: str) -> npt.NDArray[np.float32]:
        try:
            row = np.asarray(value, "<f4")
        except (ValueError, TypeError, OverflowError):
            row = np.empty((0, 0), "<f4")
        if row.ndim != 1 or not row.size:
            raise invalid(field, "is no vector, as the first input is: give one flat sequence of numbers")
        self._width = self._width or len(row)
        if len(row) != self._width:
            raise invalid(field, f"has {len(row)} dimensions; the first vector has {self._width}")
        return row

    def _keep(
        self,
        index: int,
        row: npt.NDArray[np.float32] | None,
        message: types_pb2.Input | None,
        id_: search_pb2.PointId | None,
    ) -> cluster_pb2.ClusterItems | None:
        parts = [one.ByteSize() + 8 for one in (message, id_) if one is not None]
        size = sum(parts) + (0 if row is None else row.nbytes)
        is_full = len(self._indexes) >= self._most or self._bytes + size > self._most_bytes
        full = self._taken() if is_full and len(self._indexes) else None
        self._indexes.append(index)
        self._bytes += size
        if row is not None:
            self._rows.append(row)
        if message is not None:
            self._inputs.append(message)
        if id_ is not None:
            self._ids.append(id_)
        return full

    def _taken(self) -> cluster_pb2.ClusterItems:
        made = cluster_pb2.ClusterItems(inputs=self._inputs, ids=self._ids)
        if self._rows:
            made.vectors.dtype = types_pb2.DTYPE_FLOAT32
            made.vectors.rows, made.vectors.cols = len(self._rows), self._width
            made.vectors.data = np.concatenate(self._rows).astype("<f4", copy=False).tobytes()
        self.sent.extend(self._indexes)
        self._last_count = len(self._indexes)
        self._clear()
        return made

    def _clear(self) -> None:
        self._indexes = array("Q")
        self._bytes = 0
        self._rows: list[npt.NDArray[np.float32]] = []
        self._inputs: list[types_pb2.Input] = []
        self._ids: list[search_pb2.PointId] = []


def _is_vector(value: object) -> bool:
    if is_single(value) or isinstance(value, (bytes, bytearray)):
        return False
    try:
        return np.asarray(value).dtype.kind == "f" and bool(np.size(np.asarray(value)))
    except (ValueError, TypeError, OverflowError):
        return False
