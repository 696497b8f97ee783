"""From a finished spool to the output, chunk by chunk.

A row that failed is in no output: there is no such thing as a vector that stands for "none", and NaN or zeros would be
taken for one. Outputs whose rows have a number (.parquet, .jsonl) just lack it; beside a .npy output with rows missing
lies OUT.rows.npy, the input row of each vector.
"""

from __future__ import annotations

import base64
import json
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.journal import Journal, sync_file, sync_folder
from nearfield_server.cli.files.partial import Paths
from nearfield_server.cli.files.ragged import Files, Group, Kind, member_lines, read_groups
from nearfield_server.cli.files.rows import InputError, Source
from nearfield_server.cli.files.spool import npy_header, read_rows

__all__ = [
    "OUTPUTS",
    "Chunk",
    "Column",
    "Output",
    "chunks",
    "formatter",
    "groups",
    "json_line",
    "output_format",
    "publish",
]

OUTPUTS: Final = ("npy", "parquet", "jsonl")
"""Formats of outputs, by suffix."""

_CHUNK_ROWS = 4096
# Significant digits that tell any two numbers of the type apart.
_DIGITS = {"<f4": 9, "<f2": 5}


class Column(NamedTuple):
    """A column of the input that is carried over, and its name in the output."""

    source: str
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Output:
    """What to write.

    `note` is stored in the output where its format has a place for it; `vocabulary` has the terms of sparse vectors.
    """

    columns: tuple[Column, ...] = ()
    encoding: str = "floats"
    kind: Kind = "dense"
    note: Mapping[str, Any] | None = None
    vocabulary: Mapping[int, str] | None = None


class Chunk(NamedTuple):
    """Some rows of the output: their numbers in the input, the columns carried over, and the vectors [rows, width]."""

    numbers: list[int]
    fields: list[Mapping[str, Any]]
    vectors: npt.NDArray[Any]


def output_format(out: Path) -> str:
    """Give the format that the suffix of `out` names.

    Raises:
        CliError: it names none.
    """
    kind = out.suffix.lower().removeprefix(".")
    if kind not in OUTPUTS:
        known = ", ".join(f".{name}" for name in OUTPUTS)
        raise CliError(
            f"{out}: can't tell the format from the suffix; known are {known}, and - for JSON lines to stdout"
        )
    return kind


def publish(paths: Paths, journal: Journal, output: Output, source: Source) -> None:
    """Turn the spool into the output, and put that in its place with one rename. `source` is read for `columns`."""
    kind = output_format(paths.out)
    made = paths.spool
    if kind != "npy":
        made = paths.converted
        try:
            _convert(kind, made, (paths, journal, output, source))
            sync_file(made)
        except BaseException:
            made.unlink(missing_ok=True)
            raise
    if kind == "npy" and (journal.counts.failed or output.kind != "dense"):
        _write_row_numbers(paths, journal, output, source)
    else:
        # Of an earlier, overwritten output: they would be taken for this one's.
        paths.row_numbers.unlink(missing_ok=True)
    if journal.counts.failed:
        # A copy: killed before the last rename, the run is gone on with and needs its own.
        shutil.copyfile(paths.spooled_errors, paths.errors)
    else:
        paths.errors.unlink(missing_ok=True)
    made.replace(paths.out)
    sync_folder(paths.out.parent)
    paths.drop_partial()


def chunks(paths: Paths, journal: Journal, output: Output, source: Source) -> Iterator[Chunk]:
    """Yield the output's rows in the order of the input."""
    carried = carried_fields(paths, journal, output, source)
    for vectors in read_rows(
        paths.spool, rows=journal.counts.vectors, dtype=journal.dtype, width=journal.width, chunk_rows=_CHUNK_ROWS
    ):
        yield Chunk(*_taken(carried, len(vectors), source), vectors)


def groups(
    paths: Paths, journal: Journal, output: Output, source: Source
) -> Iterator[tuple[list[int], list[Mapping[str, Any]], Group]]:
    """Yield the output's rows, numbers and fields of each, where a row has several vectors."""
    carried = carried_fields(paths, journal, output, source)
    files = Files(paths.spool, paths.spooled_counts, paths.spooled_marks)
    for group in read_groups(
        files, rows=journal.counts.vectors, dtype=journal.dtype, width=journal.width, mark_width=journal.mark_width
    ):
        yield *_taken(carried, len(group.counts), source), group


def _taken(
    carried: Iterator[tuple[int, Mapping[str, Any]]], count: int, source: Source
) -> tuple[list[int], list[Mapping[str, Any]]]:
    pairs = list(islice(carried, count))
    if len(pairs) != count:
        raise InputError(f"{source.name} has become shorter since it was embedded; run again with --overwrite")
    return [number for number, _ in pairs], [fields for _, fields in pairs]


def carried_fields(
    paths: Paths, journal: Journal, output: Output, source: Source
) -> Iterator[tuple[int, Mapping[str, Any]]]:
    """Yield number and fields of each row that has a vector; the source is read again only if fields are wanted."""
    skipped = _skipped(paths)
    next_skipped = next(skipped, None)
    if output.columns:
        wanted = list(dict.fromkeys(column.source for column in output.columns))
        every = (
            (row.number, {column.name: row.fields.get(column.source) for column in output.columns})
            for row in source.rows(fields=wanted)
        )
    else:
        nothing: dict[str, Any] = {}
        every = ((number, nothing) for number in range(journal.counts.rows))
    for number, fields in every:
        if number == next_skipped:
            next_skipped = next(skipped, None)
        else:
            yield number, fields


def _skipped(paths: Paths) -> Iterator[int]:
    if paths.spooled_errors.exists():
        with paths.spooled_errors.open(encoding="utf-8") as lines:
            for line in lines:
                yield json.loads(line)["row"]


def _write_row_numbers(paths: Paths, journal: Journal, output: Output, source: Source) -> None:
    """Write OUT.rows.npy: int64 [vectors]."""
    if output.kind == "dense":
        count = journal.counts.vectors
        numbers = (number for number, _ in carried_fields(paths, journal, Output(), source))
    else:
        count = journal.counts.spooled
        rows = groups(paths, journal, Output(), source)
        numbers = (int(one) for of_rows, _, group in rows for one in np.repeat(of_rows, group.counts))
    with paths.row_numbers.open("wb") as file:
        file.write(npy_header("<i8", count, None))
        while part := list(islice(numbers, 1 << 16)):
            file.write(np.asarray(part, dtype="<i8").tobytes())


def _convert(kind: str, path: Path, run: tuple[Paths, Journal, Output, Source]) -> None:
    _, journal, output, source = run
    if kind == "parquet":
        if output.kind == "dense":
            from nearfield_server.cli.files.parquet_out import write_parquet  # noqa: PLC0415  loads pyarrow

            write_parquet(path, chunks(*run), journal, output, source)
        else:
            from nearfield_server.cli.files.ragged_parquet import write_ragged_parquet  # noqa: PLC0415  loads pyarrow

            write_ragged_parquet(path, groups(*run), journal, output, source)
        return
    lines = member_lines(output.kind, output.encoding, formatter(journal.dtype, output.encoding), output.vocabulary)
    with path.open("w", encoding="utf-8", newline="\n") as file:
        for number, fields, vectors, marks in _rows(run):
            for members in lines(vectors, marks):
                file.write(json_line(number, fields, members))


def _rows(
    run: tuple[Paths, Journal, Output, Source],
) -> Iterator[tuple[int, Mapping[str, Any], npt.NDArray[Any], npt.NDArray[Any] | None]]:
    if run[2].kind == "dense":
        for part in chunks(*run):
            for number, fields, vector in zip(part.numbers, part.fields, part.vectors, strict=True):
                yield number, fields, vector, None
        return
    for numbers, all_fields, group in groups(*run):
        for number, fields, (vectors, marks) in zip(numbers, all_fields, group.rows(), strict=True):
            yield number, fields, vectors, marks


def json_line(number: int, fields: Mapping[str, Any], embedding: str) -> str:
    """Give one line of a .jsonl output; `embedding` is JSON already."""
    carried = "".join(f", {json.dumps(name)}: {_json(value)}" for name, value in fields.items())
    return f'{{"row": {number}{carried}, {embedding}}}\n'


def formatter(dtype: str, encoding: str) -> Callable[[npt.NDArray[Any]], str]:
    """Give the function that writes a vector as JSON members: exactly, and in as few digits as that takes."""
    if encoding == "base64":
        name = np.dtype(dtype or "<f4").name
        return lambda vector: f'"embedding": "{base64.b64encode(vector.tobytes()).decode("ascii")}", "dtype": "{name}"'
    one = f"%.{_DIGITS[dtype]}g" if dtype in _DIGITS else "%d"

    def as_numbers(vector: npt.NDArray[Any]) -> str:
        return f'"embedding": [{", ".join([one] * vector.size) % tuple(vector.tolist())}]'

    return as_numbers


def _json(value: object) -> str:
    """Write a value that came from JSON or from Parquet; what JSON has no word for (dates, bytes) becomes a string."""
    return json.dumps(value, ensure_ascii=False, default=str)
