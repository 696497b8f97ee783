"""The rows of a file that are to be clustered or assigned, all of them in memory: a clustering needs them at once."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield_server.cli.failures import CliError

__all__ = ["Fields", "Items", "read_items"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """Columns by what they hold; an empty name: there is none."""

    text: str = "text"
    vector: str = ""
    id: str = ""


@dataclass(slots=True)
class Items:
    """Rows in order. `texts` is empty where rows are only vectors, `vectors` where the server embeds, `ids` without."""

    texts: list[str] = field(default_factory=list)
    vectors: list[Any] = field(default_factory=list)
    ids: list[str | int] = field(default_factory=list)

    def __len__(self) -> int:
        """Give how many there are."""
        return len(self.vectors or self.texts)


def read_items(path: Path | None, fields: Fields, limit: int | None = None) -> Items:
    """Read the first `limit` rows of a file, or of stdin for `None`; `limit` of `None`: all.

    Raises:
        CliError: the file can't be read, a row lacks a field, or there are no rows.
    """
    from nearfield_server.cli.files.sources import open_source  # noqa: PLC0415  quick start

    source = open_source(path, fields.text or None, vector_field=fields.vector)
    items = Items()
    with closing(source.rows(fields=[name for name in (fields.vector, fields.id) if name])) as rows:
        for row in rows:
            if limit is not None and row.number >= limit:
                break
            place = f"{source.name}: {row.place or f'row {row.number}'}"
            if row.text is None:
                raise CliError(f"{source.name}: {row.problem}")
            if fields.text:
                items.texts.append(row.text)
            if fields.vector:
                items.vectors.append(_vector(row.fields.get(fields.vector), fields.vector, place))
            if fields.id:
                items.ids.append(_id(row.fields.get(fields.id), fields.id, place))
    if not len(items):
        raise CliError(f"{source.name} has no rows: there is nothing to cluster")
    return items


def _vector(value: Any, name: str, place: str) -> Any:
    if hasattr(value, "dtype") or (isinstance(value, list) and value):
        return value
    kind = "missing" if value is None else f"a {type(value).__name__}"
    raise CliError(f"{place}: field {name!r} is {kind}; a vector is a list of numbers (.jsonl or .parquet)")


def _id(value: Any, name: str, place: str) -> str | int:
    if isinstance(value, (str, int)) and not isinstance(value, bool):
        return value
    kind = "missing" if value is None else f"a {type(value).__name__}"
    raise CliError(f"{place}: field {name!r} is {kind}; an id is a string or a whole number")
