"""What is gone from the files, out of the collection: documents, rows, whole files."""

from __future__ import annotations

import hashlib
from array import array
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfield_server.cli.ingest.documents import SUFFIXES
from nearfield_server.cli.ingest.writer import HASH

if TYPE_CHECKING:
    from nearfield import Collection

__all__ = ["Pruning"]

_AT_ONCE = 1000


class Pruning:
    """Notes what a run finds under a folder, or in one file of rows; the rest of what such runs stored is deleted.

    A point that another program stored, or whose `source` the caller set to something that isn't a file, is left alone.
    Ids are kept as 64 bits of their hash: 8 MB for a million. Two with one hash would leave a point that is gone.
    """

    def __init__(self, root: Path) -> None:
        """`root`: the folder, or the file."""
        self._root = root
        self._ids = array("Q")
        self._read: set[str] = set()
        self._spared: set[str] = set()

    def saw(self, id_: str | int) -> None:
        """Know that a point is there."""
        self._ids.append(_hash(id_))

    def read(self, source: str) -> None:
        """Know that a file was read to its end."""
        self._read.add(source)

    def spare(self, source: str) -> None:
        """Leave all points of a file: not all of it could be read."""
        self._spared.add(source)

    def delete_vanished(self, collection: Collection) -> int:
        """Delete the points that are gone; give how many. Raises what the client raises."""
        there = np.unique(np.frombuffer(self._ids, np.uint64))
        gone: list[str | int] = []
        deleted = 0
        for point in collection.scroll(filter=self._filter(), fields=["source"], with_text=False):
            source = point.payload.get("source")
            if isinstance(source, str) and self._is_gone(source, point.id, there):
                gone.append(point.id)
            if len(gone) == _AT_ONCE:
                deleted += collection.delete(gone, wait=False)
                gone = []
        return deleted + (collection.delete(gone, wait=False) if gone else 0)

    def _is_gone(self, source: str, id_: str | int, there: np.ndarray[tuple[int], np.dtype[np.uint64]]) -> bool:
        place = int(np.searchsorted(there, _hash(id_)))
        if place < len(there) and int(there[place]) == _hash(id_):
            return False
        if source in self._read:
            return source not in self._spared
        path = Path(source)
        if path.suffix.lower() not in SUFFIXES or source in self._spared:
            return False
        # one that exists is a file that this run wasn't to look at
        return not path.exists() and not (self._root == Path() and path.is_absolute())

    def _filter(self) -> str:
        if not self._root.is_dir():
            where = f"source = {_quoted(str(self._root))}"
        elif self._root == Path():
            where = "exists(source)"
        else:
            prefix = self._root.as_posix().rstrip("/") + "/"
            where = f"source startswith {_quoted(prefix)}"
        return f"{where} and exists({HASH})"  # all that a run stores has one


def _hash(id_: str | int) -> int:
    kind = "s" if isinstance(id_, str) else "i"
    return int.from_bytes(hashlib.blake2b(f"{kind}{id_}".encode(), digest_size=8).digest(), "little")


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
    return f'"{escaped}"'
