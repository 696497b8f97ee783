"""The items of one clustering, gathered where a worker can read them without a copy.

Rows, texts and keys lie in memory files (memfd), which belong to no folder and vanish with the server, however it ends.
A worker opens them by /proc. Texts and keys are UTF-8 one after the other, with their lengths.
"""

from __future__ import annotations

import os
from array import array
from collections.abc import Sequence
from typing import Any

import numpy as np

from nearfield_server.types import FloatRows, PointId

__all__ = ["Matter", "Strings", "read_rows", "read_strings"]


class Strings:
    """Texts, or keys, in a memory file. Calls may block: they belong in threads where there is much."""

    def __init__(self, name: str) -> None:
        """Make it; empty."""
        self._file = os.memfd_create(f"nearfield-{name}")
        self._lengths = array("I")
        self.bytes = 0

    def __len__(self) -> int:
        """How many there are."""
        return len(self._lengths)

    def add(self, texts: Sequence[str]) -> None:
        """Add some."""
        encoded = [text.encode() for text in texts]
        _write(self._file, b"".join(encoded))
        self._lengths.extend(map(len, encoded))
        self.bytes += sum(map(len, encoded))

    def place(self) -> dict[str, Any]:
        """Tell a worker where they are. None can be added then."""
        _write(self._file, np.array(self._lengths, "<u4").tobytes())
        return {"file": _path(self._file), "count": len(self._lengths), "bytes": self.bytes}

    def close(self) -> None:
        """Give the memory back."""
        os.close(self._file)


class Matter:
    """Unit rows, and what belongs to each: a text, an id."""

    def __init__(self, dimensions: int) -> None:
        """Make it for rows of that width; empty."""
        self.dimensions = dimensions
        self._rows = os.memfd_create("nearfield-rows")
        self._count = 0
        self.texts = Strings("texts")
        self.ids: list[PointId] = []
        self._keys = Strings("keys")
        self._closed = False

    def __len__(self) -> int:
        """How many items there are."""
        return self._count

    def add(self, rows: FloatRows, texts: Sequence[str], ids: Sequence[PointId]) -> None:
        """Add some. `texts` may be empty strings; `ids` is one each, or empty."""
        _write(self._rows, np.ascontiguousarray(rows, "<f4").data)
        self._count += len(rows)
        self.texts.add(texts)
        self.ids.extend(ids)

    def place(self) -> dict[str, Any]:
        """Tell a worker where it is. Nothing can be added then."""
        has_texts = self.texts.bytes > 0
        self._keys.add([_key(one) for one in self.ids])
        return {
            "rows": {"file": _path(self._rows), "count": self._count, "dimensions": self.dimensions},
            "texts": self.texts.place() if has_texts else None,
            "keys": self._keys.place() if self.ids else None,
        }

    def close(self) -> None:
        """Give the memory back."""
        if self._closed:
            return
        self._closed = True
        os.close(self._rows)
        self.texts.close()
        self._keys.close()


def _key(id_: PointId) -> str:
    """Give what orders ids: numbers first, by their value."""
    return f"0{id_ + 2**63:020d}" if isinstance(id_, int) else f"1{id_}"


def _path(file: int) -> str:
    return f"/proc/{os.getpid()}/fd/{file}"


def _write(file: int, data: bytes | memoryview[Any]) -> None:
    left = memoryview(data).cast("B") if len(data) else memoryview(b"")
    while left:
        left = left[os.write(file, left) :]


def read_rows(place: dict[str, Any]) -> FloatRows:
    """Give the rows, in a worker; they are read as they are needed."""
    if not place["count"]:
        return np.empty((0, place["dimensions"]), np.float32)
    mapped = np.memmap(place["file"], "<f4", "r", shape=(place["count"], place["dimensions"]))
    return np.asarray(mapped)


def read_strings(place: dict[str, Any] | None) -> list[str]:
    """Give texts or keys, in a worker."""
    if place is None:
        return []
    with open(place["file"], "rb") as file:  # noqa: PTH123 - a path of /proc
        data = file.read()
    lengths = np.frombuffer(data, "<u4", offset=place["bytes"])
    ends = np.cumsum(lengths, dtype=np.int64)
    view = memoryview(data)
    return [str(view[end - length : end], "utf-8") for end, length in zip(ends.tolist(), lengths.tolist(), strict=True)]
