"""Points as an Arrow table or a pandas data frame. Both libraries are imported only where they are asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, is_dataclass
from typing import Any

from nearfield._search_types import Point

__all__ = ["arrow_of", "pandas_of"]


def arrow_of(points: Sequence[Point]) -> Any:
    """Give a pyarrow.Table with `id`, `text`, a column for each key of the payload, and `vector` where there is one.

    Raises:
        TypeError: values of one column don't have one type, which Arrow can't hold.
        ImportError: pyarrow isn't installed.
    """
    import pyarrow as pa  # noqa: PLC0415  not a dependency

    columns = {}
    for name, values in _columns(points).items():
        try:
            columns[name] = pa.array(values)
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            raise TypeError(f"the values of {name!r} aren't all of one type: leave it out, or use scroll") from None
    return pa.table(columns)


def pandas_of(points: Sequence[Point]) -> Any:
    """Give a pandas.DataFrame with the columns of `arrow_of`. Raises ImportError where pandas isn't installed."""
    import pandas as pd  # type: ignore[import-untyped]  # noqa: PLC0415  not a dependency

    return pd.DataFrame(_columns(points))


def _columns(points: Sequence[Point]) -> dict[str, list[Any]]:
    columns: dict[str, list[Any]] = {"id": [one.id for one in points], "text": [one.text for one in points]}
    for key in dict.fromkeys(key for one in points for key in one.payload):
        if key in {"id", "text", "vector"}:
            raise TypeError(
                f"the payload has a key {key!r}, which is a column of its own: leave it out with but_fields"
            )
        columns[key] = [_plain(one.payload.get(key)) for one in points]
    if any(one.vector is not None for one in points):
        columns["vector"] = [one.vector for one in points]
    return columns


def _plain(value: Any) -> Any:
    return asdict(value) if is_dataclass(value) and not isinstance(value, type) else value
