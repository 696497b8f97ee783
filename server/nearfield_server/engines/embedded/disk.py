"""What a collection takes on disk."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

__all__ = ["folder_bytes"]


def folder_bytes(folder: Path) -> int:
    """Give the disk in bytes that the files below a folder take, holes left out; files may come and go meanwhile."""
    total = 0
    for place, _, names in os.walk(folder):  # `Path.rglob` fails when a folder goes between being listed and being read
        for name in names:
            with suppress(OSError):  # it went meanwhile
                total += Path(place, name).lstat().st_blocks * 512
    return total
