"""Generations: immutable folders that hold a built shard, and which of them counts.

    index/CURRENT               the name of the one that counts, replaced atomically
    index/gen-7/manifest.json   format, spec, sequence, version of Edge; size and checksum of each file
    index/gen-7/shard/          never opened: Edge changes what it opens, so workers take a copy; words.npy is ours
    index/live-…, making-…      copies in use, generations in the making: leftovers of another life are removed

Checksums are CRC-32, the fastest here (3 to 6 times BLAKE2b); they find accidents, not attacks.
"""

from __future__ import annotations

import dataclasses
import fcntl
import json
import os
import re
import shutil
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Any

from nearfield_server.types import CollectionSpec

__all__ = [
    "EDGE_VERSION",
    "DamagedGeneration",
    "Generation",
    "clean",
    "current",
    "fingerprint",
    "forget",
    "making_folder",
    "publish",
    "take_copy",
]

FORMAT = 2
"""1: IDF was kept by Edge."""
EDGE_VERSION = "0.9.0"
"""The version of Qdrant Edge that reads and writes the shards. Edge itself isn't imported here."""

_CURRENT, _MANIFEST, _SHARD = "CURRENT", "manifest.json", "shard"
_NAME = re.compile(r"gen-([0-9]{1,12})")
_BLOCK = 2**20
_ZEROS = bytes(_BLOCK)
_FICLONE = 0x40049409  # ioctl_ficlone(2)


class DamagedGeneration(Exception):
    """Files of a generation are missing, or aren't as they were written."""


@dataclass(frozen=True, slots=True)
class Generation:
    """A generation that fits the spec; its files weren't looked at yet."""

    folder: Path
    sequence: int
    points: int
    build_seconds: float
    files: dict[str, tuple[int, int]]
    """Size and CRC-32 by path below `shard`."""


def fingerprint(spec: CollectionSpec) -> str:
    """Give what is equal for specs whose generations are the same."""
    plain = [
        spec.dimensions,
        spec.metric.value,
        spec.keyword is not None,
        spec.quantization.value,
        dataclasses.astuple(spec.hnsw),
        sorted((path, kind.value) for path, kind in spec.payload_indexes.items()),
    ]
    return blake2b(json.dumps(plain).encode(), digest_size=16).hexdigest()


def current(folder: Path, spec: CollectionSpec) -> Generation | None:
    """Give the generation that counts; `None` if there is none of this format, spec and version."""
    try:
        name = (folder / _CURRENT).read_text("utf-8").strip()
        if not _NAME.fullmatch(name):
            return None
        found = json.loads((folder / name / _MANIFEST).read_text("utf-8"))
        if (found["format"], found["spec"], found["edge"]) != (FORMAT, fingerprint(spec), EDGE_VERSION):
            return None
        files = {path: (int(size), int(check)) for path, (size, check) in found["files"].items()}
        return Generation(
            folder / name, int(found["sequence"]), int(found["points"]), float(found["build_seconds"]), files
        )
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def forget(folder: Path) -> None:
    """Make no generation count."""
    (folder / _CURRENT).unlink(missing_ok=True)


def making_folder(folder: Path) -> Path:
    """Give where the next generation is to be made; its shard goes into `shard`."""
    return folder / f"making-{_next(folder)}"


def publish(making: Path, facts: dict[str, Any]) -> None:
    """Make what was made in `making` the generation that counts, safe from power loss."""
    folder, number = making.parent, making.name.removeprefix("making-")
    shard = making / _SHARD
    files = {}
    for path in _files(shard):
        files[str(path.relative_to(shard))] = (path.stat().st_size, _checksum(path))
        _sync(path)
    manifest = making / _MANIFEST
    manifest.write_text(json.dumps({"format": FORMAT, "edge": EDGE_VERSION, "files": files, **facts}), "utf-8")
    _sync(manifest)
    for one in sorted({path.parent for path in _files(making)} | {making}):
        _sync(one)
    final = folder / f"gen-{number}"
    making.rename(final)
    pointer = folder / f"making-{number}.current"
    pointer.write_text(final.name, "utf-8")
    _sync(pointer)
    pointer.replace(folder / _CURRENT)
    _sync(folder)


def take_copy(generation: Generation, target: Path) -> None:
    """Copy the shard of a generation to `target`, checking every byte.

    Raises:
        DamagedGeneration: a file is missing or has changed.
    """
    shutil.rmtree(target, ignore_errors=True)
    source = generation.folder / _SHARD
    try:
        for path, expected in generation.files.items():
            copy = target / path
            copy.parent.mkdir(parents=True, exist_ok=True)
            if _copy(source / path, copy) != expected:
                raise DamagedGeneration(path)
        for one in sorted(source.rglob("*")):
            if one.is_dir():
                (target / one.relative_to(source)).mkdir(parents=True, exist_ok=True)
    except FileNotFoundError as error:
        raise DamagedGeneration(str(error.filename)) from error


def clean(folder: Path, keep: frozenset[str]) -> None:
    """Remove all folders but those named and the generation that counts."""
    try:
        counts = (folder / _CURRENT).read_text("utf-8").strip()
    except (OSError, ValueError):
        counts = ""
    for one in list(folder.iterdir()) if folder.is_dir() else []:
        if one.name in keep or one.name in {_CURRENT, counts}:
            continue
        if one.is_dir():
            shutil.rmtree(one, ignore_errors=True)
        else:
            one.unlink(missing_ok=True)


def _next(folder: Path) -> int:
    names = (re.fullmatch(r"(?:gen|making)-([0-9]{1,12}).*", one.name) for one in folder.glob("*-*"))
    return 1 + max((int(found[1]) for found in names if found), default=0)


def _files(folder: Path) -> Iterator[Path]:
    return (one for one in sorted(folder.rglob("*")) if one.is_file())


def _checksum(path: Path) -> int:
    check = 0
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            check = zlib.crc32(block, check)
    return check


def _copy(source: Path, target: Path) -> tuple[int, int]:
    """Copy a file, by reference where the file system can; give size and checksum of what was read."""
    with source.open("rb") as stream, target.open("wb") as copy:
        try:
            fcntl.ioctl(copy.fileno(), _FICLONE, stream.fileno())
            cloned = True
        except OSError:
            cloned = False
        size = check = 0
        while block := stream.read(_BLOCK):
            size, check = size + len(block), zlib.crc32(block, check)
            if not cloned:
                if block == _ZEROS[: len(block)]:  # a hole stays one: Edge sets pages aside that it doesn't fill
                    copy.seek(len(block), os.SEEK_CUR)
                else:
                    copy.write(block)
        if not cloned:
            copy.truncate(size)
    return size, check


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
