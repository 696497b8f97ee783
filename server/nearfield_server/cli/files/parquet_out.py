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

__all__ = ["ELEMENTS", "carried_arrays", "column_types", "schema_of", "write_parquet"]

ELEMENTS = {"<f4": pa.float32(), "<f2": pa.float16(), "|i1": pa.int8(), "|u1": pa.uint8()}
"""Arrow's name for each type of vector."""

_INT64 = range(-(2**63), 2**63)
_EXACT_IN_FLOAT64 = range(-(2**53), 2**53 + 1)


def write_parquet(path: Path, parts: Iterator[Chunk], journal: Journal, output: Output, source: Source) -> None:
    """Write all parts to `path`."""
    types = column_types(source, output.columns)
    element = ELEMENTS[journal.dtype or "<f4"]
    embedding = pa.list_(pa.field("item", element, nullable=False), journal.width)
    schema = schema_of(types, {"embedding": embedding}, output)
    with pq.ParquetWriter(path, schema, use_dictionary=list(types) or False) as writer:
        for part in parts:
            vectors = pa.FixedSizeListArray.from_arrays(
                pa.array(part.vectors.reshape(-1), element), type=schema.field("embedding").type
            )
            arrays = [pa.array(part.numbers, pa.int64()), *carried_arrays(part.fields, types), vectors]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def schema_of(carried: Mapping[str, pa.DataType], own: Mapping[str, pa.DataType], output: Output) -> pa.Schema:
    """Give the schema: the row's number, the columns carried over, the output's own."""
    fields = [
        pa.field("row", pa.int64(), nullable=False),
        *(pa.field(name, kind) for name, kind in carried.items()),
        *(pa.field(name, kind, nullable=False) for name, kind in own.items()),
    ]
    return pa.schema(fields, metadata={"nearfield": json.dumps(dict(output.note or {}))})


def carried_arrays(rows: Sequence[Mapping[str, Any]], types: Mapping[str, pa.DataType]) -> list[pa.Array]:
    """Give the columns carried over."""
    return [pa.array([_fitting(row[name], kind) for row in rows], kind) for name, kind in types.items()]


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
