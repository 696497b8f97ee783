"""Rows out, in the format that the suffix says; a file is there whole, or as it was before."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.journal import sync_file, sync_folder

if TYPE_CHECKING:
    import pyarrow as pa

__all__ = ["format_of", "whole", "write_rows"]

_FORMATS = {
    "jsonl": "jsonl",
    "ndjson": "jsonl",
    "parquet": "parquet",
    "pq": "parquet",
    "csv": "csv",
    "tsv": "tsv",
    "txt": "txt",
}
_CHUNK_ROWS = 2000

Records = Callable[[], Iterable[dict[str, Any]]]
"""Rows, from the first on each time."""


def format_of(path: Path, known: Iterable[str] = ("jsonl", "parquet", "csv", "tsv", "txt")) -> str:
    """Give the format that a suffix names. Raises `CliError`."""
    kind = _FORMATS.get(path.suffix.lower().removeprefix("."), "")
    if kind not in known:
        raise CliError(
            f"{path}: can't tell the format from the suffix; known are {', '.join(f'.{one}' for one in known)}"
        )
    return kind


@contextmanager
def whole(path: Path) -> Iterator[Path]:
    """Give a path to write to, whose file takes the place of `path` when the block is over, and goes if it fails."""
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        yield partial
        sync_file(partial)
        partial.replace(path)
        sync_folder(path.parent)
    finally:
        partial.unlink(missing_ok=True)


def write_rows(path: Path, kind: str, records: Records, schema: Any = None) -> None:
    """Write rows; `schema` are Arrow types by column, where they are known. Raises `CliError` for a row that can't be."""
    if kind == "parquet":
        _write_parquet(path, records, schema)
        return
    with path.open("w", encoding="utf-8", newline="") as out:
        if kind == "jsonl":
            out.writelines(json.dumps(one, ensure_ascii=False, default=_plain) + "\n" for one in records())
        elif kind == "txt":
            out.writelines(_line(one) for one in records())
        else:
            names = list(dict.fromkeys(name for one in records() for name in one))
            writer = csv.DictWriter(out, names, delimiter="\t" if kind == "tsv" else ",", lineterminator="\n")
            writer.writeheader()
            writer.writerows({name: _cell(value) for name, value in one.items()} for one in records())


def _write_parquet(path: Path, records: Records, schema: Any) -> None:
    import pyarrow as pa  # noqa: PLC0415  quick start
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        known = pa.schema(list(schema.items())) if schema else _schema(records)
        with pq.ParquetWriter(path, known) as writer:
            for rows in _chunks(records()):
                writer.write_table(pa.Table.from_pylist(rows, schema=known))
    except (pa.ArrowInvalid, pa.ArrowTypeError) as error:
        raise CliError(f"{path}: rows don't fit the columns of Parquet ({error}): choose .jsonl") from error


def _schema(records: Records) -> pa.Schema:
    """Read everything once to learn the types."""
    import pyarrow as pa  # noqa: PLC0415  quick start

    schemas = [pa.Table.from_pylist(rows).schema for rows in _chunks(records())]
    merged = pa.unify_schemas(schemas, promote_options="permissive") if schemas else pa.schema([])
    return pa.schema([one.with_type(pa.string()) if pa.types.is_null(one.type) else one for one in merged])


def _chunks(records: Iterable[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    rows = iter(records)
    while chunk := list(islice(rows, _CHUNK_ROWS)):
        # A chunk may lack a column that others have: from_pylist takes columns from the first row.
        names = dict.fromkeys(name for one in chunk for name in one)
        yield [{name: one.get(name) for name in names} for one in chunk]


def _line(record: dict[str, Any]) -> str:
    text = str(next(iter(record.values()), ""))
    if "\n" in text or "\r" in text:
        raise CliError("a text has line ends, which .txt can't hold: choose .jsonl")
    return f"{text}\n"


def _cell(value: object) -> object:
    return (
        json.dumps(value, ensure_ascii=False, default=_plain) if isinstance(value, (list, dict, np.ndarray)) else value
    )


def _plain(value: object) -> object:
    return value.tolist() if isinstance(value, np.ndarray) else str(value)
