"""Which source reads a file: decided by its suffix, or by `--format`."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from nearfield_server.cli.files.rows import InputError, Source
from nearfield_server.cli.files.text import CsvSource, JsonlSource, TxtSource

__all__ = ["FORMATS", "open_source"]

FORMATS: Final = ("txt", "jsonl", "csv", "tsv", "parquet")
"""Formats of inputs; all but parquet also gzipped (.gz)."""


def open_source(
    path: Path | None, text_field: str | None, named_format: str | None = None, vector_field: str = ""
) -> Source:
    """Give the source for `path` (stdin for `None`), of `named_format` or what the suffix says.

    `text_field` of `None` gives rows of empty texts, for rows that bring their vectors. A txt file is all text. Where
    the file has arrays, the column `vector_field` comes as arrays, which is far cheaper than lists.

    Raises:
        InputError: no such file, or a suffix that isn't known.
    """
    if path is not None and not path.exists():
        raise InputError(f"{path}: no such file")
    if path is not None and path.is_dir():
        raise InputError(f"{path} is a folder, not a file")
    kind = named_format or _format_of(path)
    if kind == "txt":
        return TxtSource(path)
    if kind == "jsonl":
        return JsonlSource(path, text_field)
    if kind in {"csv", "tsv"}:
        return CsvSource(path, text_field, "\t" if kind == "tsv" else ",")
    return _parquet(path, text_field, vector_field)


def _format_of(path: Path | None) -> str:
    if path is None:
        return "txt"
    suffixes = path.suffixes[-2:]
    gzipped = bool(suffixes) and suffixes[-1].lower() == ".gz"
    relevant = suffixes[:-1] if gzipped else suffixes[-1:]
    kind = relevant[0].lower().removeprefix(".") if relevant else ""
    kind = {"ndjson": "jsonl", "pq": "parquet"}.get(kind, kind)
    if kind not in FORMATS or (gzipped and kind == "parquet"):
        known = ", ".join(f".{name}" for name in FORMATS)
        raise InputError(
            f"{path}: can't tell the format from the suffix; known are {known}, and .gz after all but .parquet"
            " (or name it with --format)"
        )
    return kind


def _parquet(path: Path | None, text_field: str | None, vector_field: str) -> Source:
    if path is None:
        raise InputError("Parquet can't be read from stdin; give the file's name")
    try:
        from nearfield_server.cli.files.parquet import ParquetSource  # noqa: PLC0415  loads pyarrow
    except ModuleNotFoundError as error:
        raise InputError(f'{path}: reading Parquet needs pyarrow; pip install "nearfield[cpu]"') from error
    return ParquetSource(path, text_field, vector_field)
