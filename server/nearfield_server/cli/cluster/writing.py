"""Outputs: a row for each input, with its cluster. The suffix says which format; the file appears when it is whole."""

from __future__ import annotations

import csv
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from nearfield_server.cli.failures import CliError

__all__ = ["check_output", "write_rows"]

_FORMATS = (".parquet", ".jsonl", ".csv")


def check_output(path: Path) -> None:
    """Refuse an output that can't be written. Raises CliError."""
    if path.suffix.lower() not in _FORMATS:
        raise CliError(f"--out {path}: can't tell the format from the suffix; known are {', '.join(_FORMATS)}")
    if path.is_dir():
        raise CliError(f"--out {path} is a folder, not a file")
    if not path.parent.is_dir():
        raise CliError(f"--out {path}: there is no folder {path.parent}")


def write_rows(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    """Write columns of the same length."""
    partial = path.with_name(f"{path.name}.partial")
    try:
        match path.suffix.lower():
            case ".parquet":
                _write_parquet(partial, columns)
            case ".jsonl":
                _write_jsonl(partial, columns)
            case _:
                _write_csv(partial, columns)
        os.replace(partial, path)  # noqa: PTH105 - the same as Path.replace
    finally:
        partial.unlink(missing_ok=True)


def _write_parquet(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    import pyarrow as pa  # noqa: PLC0415  quick start
    import pyarrow.parquet as pq  # noqa: PLC0415

    plain = {name: list(values) for name, values in columns.items()}
    for name, values in plain.items():
        # Ids of both kinds in one column are all written as text.
        if len({type(one) for one in values if one is not None} & {str, int}) > 1:
            plain[name] = [None if one is None else str(one) for one in values]
    pq.write_table(pa.table(plain), path)


def _write_jsonl(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8") as file:
        for row in zip(*columns.values(), strict=True):
            file.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _write_csv(path: Path, columns: Mapping[str, Iterable[Any]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))
