"""The journal of an unfinished run, `OUT.partial.json`: what it was made from, and how far it is safe on the disk.

It is replaced as a whole, and only after the rows that it counts are on the disk. So after `kill -9` it may know fewer
rows than the spool holds, never more; the rows that it doesn't know are cut off and embedded again.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

__all__ = ["Counts", "Identity", "Journal", "identity_of", "identity_of_files", "sync_file", "sync_folder"]

_FORMAT = 1
_HEAD_BYTES = 1 << 20


class Identity(NamedTuple):
    """Which file an input is: cheap to tell for a file of any size."""

    size_bytes: int
    modified_ns: int
    head_sha256: str


class Counts(NamedTuple):
    """How far a run is. Immutable, so that an interrupt between two rows never sees half of a row counted.

    `rows` counts rows of the input that are settled, `failed` those of them that have no vector, `spooled` the vectors of
    all rows where a row has several.
    """

    rows: int = 0
    failed: int = 0
    truncated: int = 0
    tokens: int = 0
    error_bytes: int = 0
    spooled: int = 0

    @property
    def vectors(self) -> int:
        """Rows that have a vector, or several."""
        return self.rows - self.failed


@dataclass(frozen=True, slots=True, kw_only=True)
class Journal:
    """What the next run needs to go on. `options` are those that make a difference to the vectors."""

    identity: Identity
    options: Mapping[str, Any]
    counts: Counts = field(default_factory=Counts)
    dtype: str = ""
    width: int = 0
    mark_width: int = 0

    def save(self, path: Path) -> None:
        """Replace the journal at `path`; on the disk when it returns."""
        content = {"format": _FORMAT, **dataclasses.asdict(self)}
        content["identity"] = self.identity._asdict()
        content["counts"] = self.counts._asdict()
        fresh = path.with_name(path.name + ".new")
        with fresh.open("w", encoding="utf-8") as file:
            json.dump(content, file, indent=1)
            file.flush()
            os.fsync(file.fileno())
        fresh.replace(path)
        sync_folder(path.parent)

    @classmethod
    def read(cls, path: Path) -> Journal | None:
        """Give the journal at `path`; `None` if there is none, or none that this version understands."""
        try:
            content = json.loads(path.read_text(encoding="utf-8"))
            if content.pop("format") != _FORMAT:
                return None
            content["identity"] = Identity(**content["identity"])
            content["counts"] = Counts(**content["counts"])
            return cls(**content)
        except (OSError, ValueError, TypeError, KeyError, AttributeError):
            return None


def identity_of(path: Path) -> Identity:
    """Look at a file: its size, when it was changed, and the SHA-256 of its first megabyte."""
    with path.open("rb") as file:
        state = os.fstat(file.fileno())
        return Identity(state.st_size, state.st_mtime_ns, hashlib.sha256(file.read(_HEAD_BYTES)).hexdigest())


def identity_of_files(paths: Sequence[Path]) -> Identity:
    """Look at many files, in their order: names, sizes and times of change; none is opened."""
    digest, size, modified = hashlib.sha256(), 0, 0
    for path in paths:
        state = path.stat()
        digest.update(json.dumps([str(path), state.st_size, state.st_mtime_ns]).encode())
        size, modified = size + state.st_size, max(modified, state.st_mtime_ns)
    return Identity(size, modified, digest.hexdigest())


def sync_file(path: Path) -> None:
    """Return when what was written to `path` is on the disk."""
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def sync_folder(folder: Path) -> None:
    """Return when renames in `folder` are on the disk."""
    sync_file(folder)
