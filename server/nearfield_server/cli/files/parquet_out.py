"""Parquet outputs: a row group per chunk. Only imported when one is asked for: it loads pyarrow.

Columns: `row` (int64, from 0), the columns carried over, `embedding` (fixed_size_list of the vectors' own type).
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet as pq

from nearfield_server.cli.files.journal import Journal
from nearfield_server.cli.files.rows import Source

if TYPE_CHECKING:
    from nearfield_server.cli.files.writers import Chunk, Column, Output

__all__ = ["column_types", "write_parquet"]

_ELEMENTS = {"<f4": pa.float32(), "<f2": pa.float16(), "|i1": pa.int8(), "|u1": pa.uint8()}
_INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT64 = range(-(2**53), 2**53 + 1)


def write_parquet(path: Path, parts: Iterator[Chunk], journal: Journal, output: Output, source: Source) -> None:
    """Write all parts to `path`."""
    types = column_types(source, output.columns)
    element = _ELEMENTS[journal.dtype or "<f4"]
    fields = [
        pa.field("row", pa.int64(), nullable=False),
        *(pa.field(name, kind) for name, kind in types.items()),
        pa.field("embedding", pa.list_(pa.field("item", element, nullable=False), journal.width), nullable=False),
    ]
    schema = pa.schema(fields, metadata={"nearfield": json.dumps(dict(output.note or {}))})
    with pq.ParquetWriter(path, schema, use_dictionary=list(types) or False) as writer:
        for part in parts:
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(part.vectors.reshape(-1), element), type=schema.field("embedding").type
            )
            carried = [
                pa.array([_fitting(row[name], kind) for row in part.fields], kind) for name, kind in types.items()
            ]
            arrays = [pa.array(part.numbers, pa.int64()), *carried, vectors]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def column_types(source: Source, columns: Sequence[Column]) -> Mapping[str, pa.DataType]:
    """Give the Arrow type of each column that is carried over: the file's own, or the narrowest that takes all values.

    JSON has no types of columns: it is read once more to find them.
    """
    if not columns:
        return {}
    known = source.schema()
    if known is not None:
        return {column.name: known[column.source] for column in columns}
    wanted = list(dict.fromkeys(column.source for column in columns))
    seen: dict[str, set[str]] = {name: set() for name in wanted}
    for row in source.rows(fields=wanted):
        for name, value in row.fields.items():
            seen[name].add(_kind(value))
    return {column.name: _type_of(seen[column.source] - {"null"}) for column in columns}


def _kind(value: object) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "bool"
    if isinstance(value, int):
        return "int" if value in _EXACT_IN_FLOAT64 else "long" if value in _INT64 else "other"
    return {float: "float", str: "str"}.get(type(value), "other")


def _type_of(kinds: set[str]) -> pa.DataType:
    if kinds == {"bool"}:
        return pa.bool_()
    if kinds and kinds <= {"int", "long"}:
        return pa.int64()
    if kinds and kinds <= {"int", "float"}:
        return pa.float64()
    return pa.string()


def _fitting(value: Any, kind: pa.DataType) -> Any:
    """Give `value` as `kind` takes it: among mixed values, what isn't a string is written as JSON."""
    if value is None or isinstance(value, str) or not pa.types.is_string(kind):
        return float(value) if pa.types.is_float64(kind) and isinstance(value, int) else value
    return json.dumps(value, ensure_ascii=False)
