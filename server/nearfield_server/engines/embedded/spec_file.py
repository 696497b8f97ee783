"""A copy of a collection's spec beside its database, to list it by where the database can't be read."""

from __future__ import annotations

import os
from pathlib import Path

from nearfield_server.engines.embedded.codec import pack_spec, unpack_spec
from nearfield_server.types import CollectionSpec

__all__ = ["read_spec_file", "write_spec_file"]

_FILE = "spec.json"


def write_spec_file(folder: Path, spec: CollectionSpec) -> None:
    """Write the copy, whole or not at all."""
    made = folder / f".{_FILE}"
    with made.open("w", encoding="utf-8") as file:
        file.write(pack_spec(spec))
        file.flush()
        os.fsync(file.fileno())
    made.replace(folder / _FILE)


def read_spec_file(folder: Path) -> CollectionSpec | None:
    """Give the copy; None where it can't be read either."""
    try:
        return unpack_spec((folder / _FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None
