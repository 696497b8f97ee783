"""Rows from what people have: dictionaries, pandas and polars frames, Arrow tables, batches and datasets.

None of these libraries is imported: a table is known by the methods it has. All are read a slice at a time.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nearfield._errors import invalid

__all__ = ["iterate_rows"]

_SLICE_ROWS = 4_096


def iterate_rows(rows: object, vector: str | None = None) -> Iterator[Mapping[str, Any]]:
    """Yield the rows of anything that has rows. `vector` names the column of vectors, which are given as arrays.

    Raises:
        TypeError: it has no rows.
        InvalidArgument: an element is no row.
    """
    if isinstance(rows, (str, bytes, Mapping)):
        raise TypeError(f"a {type(rows).__name__} isn't rows: give a list of dicts, a data frame or an Arrow table")
    if hasattr(rows, "to_batches"):  # pyarrow.Table and Dataset
        for batch in rows.to_batches():
            yield from _of_batch(batch, vector)
    elif _is_batch(rows):
        yield from _of_batch(rows, vector)
    elif hasattr(rows, "iter_rows"):  # polars
        yield from rows.iter_rows(named=True)
    elif hasattr(rows, "iloc") and hasattr(rows, "to_dict"):
        yield from _of_pandas(rows)
    elif isinstance(rows, Iterable):
        yield from _of_iterable(rows, vector)
    else:
        raise TypeError(f"a {type(rows).__name__} has no rows: give dicts, a data frame or an Arrow table")


def _of_iterable(rows: Iterable[object], vector: str | None) -> Iterator[Mapping[str, Any]]:
    for index, row in enumerate(rows):
        if isinstance(row, Mapping):
            yield row
        elif _is_batch(row):
            yield from _of_batch(row, vector)
        else:
            raise invalid(f"rows[{index}]", f"a {type(row).__name__}, not a dict")


def _is_batch(value: object) -> bool:
    return hasattr(value, "to_pylist") and hasattr(value, "schema") and hasattr(value, "column")


def _of_batch(batch: Any, vector: str | None) -> Iterator[Mapping[str, Any]]:
    names = list(batch.schema.names)
    for start in range(0, batch.num_rows, _SLICE_ROWS):
        part = batch.slice(start, _SLICE_ROWS)
        columns = [_values(part.column(at), name == vector) for at, name in enumerate(names)]
        for values in zip(*columns, strict=True):
            yield dict(zip(names, values, strict=True))


def _values(column: Any, is_vector: bool) -> Any:
    """Give a column's values; a vector column of one width as rows of an array, without a float object for each."""
    if is_vector and hasattr(column.type, "list_size") and column.null_count == 0:
        return column.flatten().to_numpy(zero_copy_only=False).reshape(len(column), column.type.list_size)
    return column.to_pylist()


def _of_pandas(frame: Any) -> Iterator[Mapping[str, Any]]:
    """Yield dicts without what pandas calls missing: NaN, NaT and NA."""
    for start in range(0, len(frame), _SLICE_ROWS):
        for row in frame.iloc[start : start + _SLICE_ROWS].to_dict("records"):
            yield {key: value for key, value in row.items() if not _is_missing(value)}


def _is_missing(value: object) -> bool:
    if isinstance(value, float):
        return math.isnan(value)
    return value is None or type(value).__name__ in {"NAType", "NaTType"}
