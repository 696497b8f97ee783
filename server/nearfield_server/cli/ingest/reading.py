"""How much of the input of a run has been read."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from nearfield_server.cli.files.rows import Source

__all__ = ["Reading"]


class Reading:
    """Files that are read one after the other, weighed by their bytes."""

    def __init__(self, files: Sequence[Path | None]) -> None:
        """Look at the sizes of `files`; None, stdin, has none."""
        self._sizes = {path: path.stat().st_size for path in files if path is not None}
        self._total = sum(self._sizes.values())
        self._done = 0
        self._size = 0
        self._source: Source | None = None

    def fraction(self) -> float | None:
        """Bytes read by the bytes of all files; `None` where that isn't known."""
        if not self._total:
            return None
        part = 0.0 if self._source is None else self._source.fraction() or 0.0
        return (self._done + self._size * part) / self._total

    @contextmanager
    def of(self, path: Path | None, source: Source | None = None) -> Iterator[None]:
        """While `path` is read, as a whole or through `source`; afterwards it counts as read."""
        self._size, self._source = self._sizes.get(path, 0) if path else 0, source
        try:
            yield
        finally:
            self._done += self._size
            self._size, self._source = 0, None
