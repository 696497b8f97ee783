"""Parquet files in shards, and what becomes of each: a part, written whole or not at all.

A shard is some consecutive row groups of one file: the unit of work, and of what a lost worker costs. Parts are named
by the place of their shard, and say in their metadata what they were made of: a run finds by that what an earlier one
did.
Files lie where all workers can reach them by the same path.
"""

from __future__ import annotations

import json
import os
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from nearfield_server.executors.base import JobFailure
from nearfield_server.types import FloatRows

__all__ = ["Parts", "Shard", "read_shard", "shards_of", "vectors_of"]

_NOTE = b"nearfield"
_PART = re.compile(r"part-(\d+)\.(parquet|errors\.jsonl)")
_LEFT_OVER = ".part-*.new"


@dataclass(frozen=True, slots=True)
class Shard:
    """Consecutive row groups of one file.

    Attributes:
        place: among all shards.
        file: where they are.
        groups: the first row group, and the one behind the last.
        first_row: number of its first row, counted through all files.
        rows: how many there are.
        version: tells the file from what it was or will be.
    """

    place: int
    file: Path
    groups: tuple[int, int]
    first_row: int
    rows: int
    version: str


def shards_of(inputs: Sequence[Path], rows: int, columns: Sequence[str]) -> list[Shard]:
    """Divide files, and the .parquet files of folders, into shards of about `rows` rows; never a row group in two.

    Raises:
        JobFailure: there are no rows, or a file isn't Parquet or lacks one of `columns`.
    """
    shards: list[Shard] = []
    first = 0
    for file in _files(inputs):
        footer = _footer(file, columns)
        status = file.stat()
        version = f"{file.name}:{status.st_size}:{status.st_mtime_ns}"
        for start, stop, count in _divided(
            [footer.row_group(at).num_rows for at in range(footer.num_row_groups)], rows
        ):
            shards.append(Shard(len(shards), file, (start, stop), first, count, version))
            first += count
    if not shards:
        raise JobFailure(f"{', '.join(str(one) for one in inputs)}: no rows in any .parquet file")
    return shards


def read_shard(shard: Shard, columns: Sequence[str]) -> pa.Table:
    """Read some columns. Raises `JobFailure` where the file is damaged."""
    try:
        with pq.ParquetFile(shard.file) as file:
            return file.read_row_groups(range(*shard.groups), columns=list(dict.fromkeys(columns)), use_threads=False)
    except (pa.ArrowException, OSError) as error:
        raise JobFailure(f"{shard.file}: row groups {shard.groups}: {error}") from error


def vectors_of(table: pa.Table, column: str) -> tuple[npt.NDArray[np.int64], FloatRows]:
    """Give which rows have a vector of finite numbers that aren't all zero, and those as unit rows.

    Raises:
        JobFailure: the column holds no vectors of one width.
    """
    array = table.column(column).combine_chunks()
    kind = array.type
    if not (pa.types.is_fixed_size_list(kind) or pa.types.is_list(kind) or pa.types.is_large_list(kind)):
        raise JobFailure(f"column {column!r} holds {kind}, not lists of numbers")
    there = np.flatnonzero(array.is_valid().to_numpy(zero_copy_only=False))
    numbers = array.drop_null().flatten()
    if not (pa.types.is_floating(kind.value_type) or pa.types.is_integer(kind.value_type)):
        raise JobFailure(f"column {column!r} holds {kind}, not lists of numbers")
    widths = pc.min_max(pc.list_value_length(array)).as_py()
    if widths["min"] != widths["max"]:
        raise JobFailure(f"column {column!r} holds vectors of different widths")
    width = widths["max"] or 0
    rows = numbers.to_numpy(zero_copy_only=False).astype(np.float32).reshape(len(there), width)
    norms = np.sqrt(np.einsum("nw,nw->n", rows, rows, dtype=np.float64))
    good = np.isfinite(norms) & (norms > 0)
    return there[good], np.asarray(rows[good] / norms[good, None], np.float32)


class Parts:
    """The output: a folder with a part for each shard. `about` is what makes a difference to what is in them."""

    def __init__(self, folder: Path, about: Mapping[str, Any]) -> None:
        """Name the folder; nothing is touched yet."""
        self.folder = folder.absolute()
        self._about = dict(about)

    def prepare(self, shards: Sequence[Shard], *, overwrite: bool) -> list[Shard]:
        """Make the folder; give the shards that have no part yet.

        Raises:
            JobFailure: it holds parts of something else, and `overwrite` is off.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        for file in self.folder.glob(_LEFT_OVER):
            file.unlink()
        by_name = {self._name(shard): shard for shard in shards}
        done: set[int] = set()
        for file in sorted(self.folder.iterdir()):
            if not (match := _PART.fullmatch(file.name)):
                continue
            shard = by_name.get(f"part-{match[1]}.parquet")
            if overwrite:
                file.unlink()
            elif shard is None or (match[2] == "parquet" and _note_in(file) != self._note(shard)):
                text = f"{file} was made of another input or by other options; --overwrite drops what is there"
                raise JobFailure(text)
            elif match[2] == "parquet":
                done.add(shard.place)
        return [shard for shard in shards if shard.place not in done]

    def write(self, shard: Shard, table: pa.Table, errors: Sequence[Mapping[str, Any]] = ()) -> None:
        """Write the part of a shard, behind the list of its bad rows."""
        name = self._name(shard)
        if errors:
            lines = "".join(json.dumps(dict(one), ensure_ascii=False) + "\n" for one in errors)
            self._whole(name.replace(".parquet", ".errors.jsonl"), lambda file: file.write_text(lines, "utf-8"))
        noted = table.replace_schema_metadata({_NOTE: self._note(shard)})
        self._whole(name, lambda file: pq.write_table(noted, file))

    def _whole(self, name: str, write: Any) -> None:
        """Let a file appear with all that is in it, and on the disk."""
        new = self.folder / f".{name}.{uuid.uuid4().hex}.new"
        write(new)
        with new.open("rb") as file:
            os.fsync(file.fileno())
        new.replace(self.folder / name)

    def _note(self, shard: Shard) -> str:
        about = {**self._about, "input": shard.version, "groups": shard.groups, "first_row": shard.first_row}
        return json.dumps(about, sort_keys=True)

    @staticmethod
    def _name(shard: Shard) -> str:
        return f"part-{shard.place:05d}.parquet"


def _note_in(file: Path) -> str:
    try:
        metadata = pq.read_schema(file).metadata or {}
    except pa.ArrowInvalid:
        return ""
    return str(metadata.get(_NOTE, b"").decode())


def _files(inputs: Sequence[Path]) -> Iterator[Path]:
    for path in inputs:
        if path.is_dir():
            yield from sorted(file for file in path.absolute().glob("*.parquet") if file.name[0] not in "._")
        else:
            yield path.absolute()


def _footer(file: Path, columns: Sequence[str]) -> pq.FileMetaData:
    try:
        with pq.ParquetFile(file) as opened:
            names, metadata = opened.schema_arrow.names, opened.metadata
    except (pa.ArrowException, OSError) as error:
        raise JobFailure(f"{file} is not a Parquet file that can be read: {error}") from error
    for column in columns:
        if column not in names:
            raise JobFailure(f"{file} has no column {column!r}; its columns are: {', '.join(names)}")
    return metadata


def _divided(groups: Sequence[int], rows: int) -> Iterator[tuple[int, int, int]]:
    """Give the first row group, the one behind the last, and the rows of each shard of a file."""
    start, count = 0, 0
    for at, size in enumerate(groups):
        count += size
        if count >= rows or (at == len(groups) - 1 and count):
            yield start, at + 1, count
            start, count = at + 1, 0
