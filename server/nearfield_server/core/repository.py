"""The model repository: a folder of models by name and version, `<name>/<version>/<files of a model folder>`.

Names and versions are looked up among what the folder holds; they never become a part of a path unseen.
"""

from __future__ import annotations

import os
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

__all__ = ["Repository", "natural_order"]

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")


@dataclass(frozen=True, slots=True)
class Repository:
    """The repository at `path`, which need not exist."""

    path: Path

    def names(self) -> list[str]:
        """Models that have at least one version."""
        return [name for name in _folders(self.path) if self.versions(name)]

    def versions(self, name: str) -> list[str]:
        """Versions of a model, oldest first; none for a name that isn't there."""
        if name not in _folders(self.path):
            return []
        return sorted(_folders(self.path / name), key=natural_order)

    def latest(self, name: str) -> str | None:
        """Give the greatest version of a model."""
        versions = self.versions(name)
        return versions[-1] if versions else None

    def folder(self, name: str, version: str) -> Path | None:
        """Give the folder of a version; `None`: it isn't there."""
        return self.path / name / version if version in self.versions(name) else None

    def signature(self, name: str, version: str) -> tuple[tuple[str, int, int], ...]:
        """Give names, sizes and times of a version's files: it stands still once this does."""
        found = []
        for folder, _, names in os.walk(self.path / name / version):  # unlike `Path.rglob`, minds no folder that goes
            for file in (Path(folder, one) for one in names):
                with suppress(OSError):  # it went away between the two
                    status = file.stat()
                    found.append((str(file), status.st_size, status.st_mtime_ns))
        return tuple(sorted(found))


def natural_order(version: str) -> tuple[tuple[int, int, str], ...]:
    """Key that sorts 2 before 10, and v1.9 before v1.10."""
    parts = re.findall(r"\d+|\D+", version)
    return tuple((0, int(part), "") if part.isdigit() else (1, 0, part) for part in parts)


def _folders(path: Path) -> list[str]:
    """Give the names of folders in `path` that may be models or versions; links that lead out of it are not."""
    try:
        found = sorted(path.iterdir())
    except OSError:
        return []
    root = path.resolve()
    return [one.name for one in found if _NAME.fullmatch(one.name) and one.is_dir() and one.resolve().parent == root]
