"""Images as rows: files named one by one, and all in a folder."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from itertools import islice
from pathlib import Path
from typing import Any, Final

from nearfield_server.cli.files.rows import InputError, Row

__all__ = ["SUFFIXES", "ImageSource", "image_files"]

SUFFIXES: Final = (".jpg", ".jpeg", ".png", ".webp")
"""Files of a folder that are taken, upper case too; a file that is named is taken whatever it is called."""


def image_files(named: Sequence[Path]) -> tuple[Path, ...]:
    """Give the image files: those named, and all in the folders named, sorted, with the folders in them.

    Raises:
        InputError: a name that isn't there, or a folder without images.
    """
    found: list[Path] = []
    for path in named:
        if not path.exists():
            raise InputError(f"{path}: no such file")
        if not path.is_dir():
            found.append(path)
            continue
        within = sorted(one for one in path.rglob("*") if one.suffix.lower() in SUFFIXES and one.is_file())
        if not within:
            raise InputError(f"{path} holds no images ({', '.join(SUFFIXES)})")
        found += within
    return tuple(found)


class ImageSource:
    """A row per file; its text is the path."""

    def __init__(self, files: Sequence[Path]) -> None:
        """Take `files` in their order."""
        self.name = str(files[0]) if len(files) == 1 else f"{len(files):,} images"
        self._files = files
        self._read = 0

    @property
    def total_rows(self) -> int | None:
        """Files."""
        return len(self._files)

    def fraction(self) -> float | None:
        """Files read by files there are."""
        return self._read / len(self._files)

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:
        """Yield a row per file."""
        for number, path in islice(enumerate(self._files), skip, None):
            self._read = number + 1
            yield Row(number, str(path), None, str(path), {name: str(path) for name in fields})

    def columns(self) -> Sequence[str] | None:
        """The path."""
        return ("path",)

    def schema(self) -> Mapping[str, Any] | None:
        """None: a path is a string."""
        return None
