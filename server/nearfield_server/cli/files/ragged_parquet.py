"""Parquet outputs of rows with several vectors: a row group per group. Only imported when one is asked for.

Columns after `row` (int64, from 0) and those carried over:

    sparse   indices list<int32>, values list<float>, and where they were asked for terms list<string>
    multi    token_ids list<int32>, embeddings list<fixed_size_list>
    chunks   a line per chunk: chunk, start, end, token_count int32, embedding fixed_size_list
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from nearfield_server.cli.files.journal import Journal
from nearfield_server.cli.files.parquet_out import ELEMENTS, carried_arrays, column_types, schema_of
from nearfield_server.cli.files.ragged import Group
from nearfield_server.cli.files.rows import Source

if TYPE_CHECKING:
    from nearfield_server.cli.files.writers import Output

__all__ = ["write_ragged_parquet"]

_MARKS = ("start", "end", "token_count")


def write_ragged_parquet(
    path: Path,
    parts: Iterator[tuple[list[int], list[Mapping[str, Any]], Group]],
    journal: Journal,
    output: Output,
    source: Source,
) -> None:
    """Write all parts to `path`."""
    carried = column_types(source, output.columns)
    schema = schema_of(carried, _types(journal, output), output)
    with pq.ParquetWriter(path, schema, use_dictionary=list(carried) or False) as writer:
        for numbers, fields, group in parts:
            if output.kind == "chunks":
                lines = np.repeat(np.arange(len(numbers)), group.counts).tolist()
                numbers, fields = [numbers[line] for line in lines], [fields[line] for line in lines]  # noqa: PLW2901
            arrays = [pa.array(numbers, pa.int64()), *carried_arrays(fields, carried), *_arrays(group, schema, output)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema))


def _types(journal: Journal, output: Output) -> dict[str, pa.DataType]:
    vector = pa.list_(pa.field("item", ELEMENTS[journal.dtype or "<f4"], nullable=False), journal.width)
    if output.kind == "sparse":
        terms = {} if output.vocabulary is None else {"terms": pa.list_(_item(pa.string()))}
        return {"indices": pa.list_(_item(pa.int32())), "values": pa.list_(_item(pa.float32())), **terms}
    if output.kind == "multi":
        return {"token_ids": pa.list_(_item(pa.int32())), "embeddings": pa.list_(_item(vector))}
    return {"chunk": pa.int32(), **dict.fromkeys(_MARKS, pa.int32()), "embedding": vector}


def _item(kind: pa.DataType) -> pa.Field:
    return pa.field("item", kind, nullable=False)


def _arrays(group: Group, schema: pa.Schema, output: Output) -> list[pa.Array]:
    offsets = np.concatenate([[0], np.cumsum(group.counts)]).astype(np.int32)
    flat = pa.array(group.vectors.reshape(-1))
    if output.kind == "chunks":
        numbers = np.arange(len(group.vectors)) - np.repeat(offsets[:-1], group.counts)
        marks = [pa.array(group.marks[:, at], pa.int32()) for at in range(len(_MARKS))]
        vectors = pa.FixedSizeListArray.from_arrays(flat, type=schema.field("embedding").type)
        return [pa.array(numbers, pa.int32()), *marks, vectors]
    ids, values = ("indices", "values") if output.kind == "sparse" else ("token_ids", "embeddings")
    if output.kind == "multi":
        flat = pa.FixedSizeListArray.from_arrays(flat, type=schema.field(values).type.value_type)
    marks = pa.array(group.marks[:, 0], pa.int32())
    columns = {ids: marks, values: flat}
    if output.kind == "sparse" and output.vocabulary is not None:
        vocabulary = output.vocabulary
        columns["terms"] = pa.array([vocabulary[number] for number in group.marks[:, 0].tolist()], pa.string())
    return [
        pa.ListArray.from_arrays(pa.array(offsets), column, type=schema.field(name).type)
        for name, column in columns.items()
    ]
