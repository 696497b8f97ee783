"""`nearfield collections export`: the points of a tenant as a file that other tools, and `nearfield index`, read.

Parquet needs the type of each column before the first row: the payload is read once for that, then everything is
written. Nothing is ever held whole.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from dataclasses import asdict, is_dataclass
from datetime import datetime
from itertools import islice
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, TargetOption, connected
from nearfield_server.cli.failures import CliError, Exit, reporting
from nearfield_server.cli.progress import Progress

if TYPE_CHECKING:
    import pyarrow as pa

    from nearfield import Collection, Point

__all__ = ["export"]

_ROWS = 2000
"""Points of a row group."""
_OWN = ("id", "text", "vector")


def export(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A collection or alias.")],
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="A .parquet or .jsonl file; - for JSONL on stdout.")],
    filter_: Annotated[str, typer.Option("--filter", help="Only points that match.")] = "",
    leave_out: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Payload field to leave out; repeat it.")
    ] = None,
    vectors: Annotated[bool, typer.Option(help="Write vectors too.")] = True,
    tenant: Annotated[str, typer.Option(help="Whose points.")] = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Write points as rows of `id`, `text`, `vector` and a column for each payload field."""
    with reporting():
        kind = "jsonl" if file == "-" else Path(file).suffix.lower().removeprefix(".")
        if kind not in {"jsonl", "ndjson", "parquet", "pq"}:
            raise CliError(f"{file}: unknown kind of file; give it the ending .parquet or .jsonl")
        with connected(target, local=False) as connection:
            source = _Source(connection.client.collection(name, tenant), filter_ or None, leave_out or [])
            total = source.collection.count(filter=source.condition)
            with closing(Progress(fraction=lambda: None, total=total, unit="points")) as progress, _whole(file) as out:
                rows = _shown(source.rows(vectors=vectors), progress)
                if kind in {"jsonl", "ndjson"}:
                    done = _write_jsonl(out, rows)
                else:
                    done = _write_parquet(out, source, rows, vectors=vectors)
        typer.echo(f"wrote {done:,} points to {'stdout' if file == '-' else file}", err=True)


class _Source:
    """The points to write."""

    def __init__(self, collection: Collection, condition: str | None, but_fields: list[str]) -> None:
        self.collection = collection
        self.condition = condition
        self._but_fields = but_fields

    def rows(self, *, vectors: bool) -> Iterator[dict[str, Any]]:
        """Give them in the order of first storing. Raises `CliError` for a payload field named as a column."""
        with closing(
            self.collection.scroll(filter=self.condition, but_fields=self._but_fields, with_vector=vectors)
        ) as points:
            for point in points:
                yield _row(point)


def _row(point: Point) -> dict[str, Any]:
    payload = {key: asdict(one) if is_dataclass(one) else one for key, one in point.payload.items()}  # type: ignore[arg-type]  # no class is a value
    for key in _OWN:
        if key in payload:
            raise CliError(f"the payload has a field {key!r}, which is a column of its own: --leave-out {key}")
    vector = {} if point.vector is None else {"vector": point.vector}
    return {"id": point.id, "text": point.text, **vector, **payload}


def _shown(rows: Iterable[dict[str, Any]], progress: Progress) -> Iterator[dict[str, Any]]:
    for done, row in enumerate(rows, 1):
        yield row
        progress.update(done)


@contextmanager
def _whole(file: str) -> Iterator[IO[bytes]]:
    """Open a file that takes the place of the old one when the block is over, and leaves that alone when it fails."""
    if file == "-":
        yield sys.stdout.buffer
        sys.stdout.buffer.flush()
        return
    path = Path(file)
    partial = path.with_name(f"{path.name}.partial-{os.getpid()}")
    try:
        with partial.open("wb") as out:
            yield out
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def _write_jsonl(out: IO[bytes], rows: Iterable[dict[str, Any]]) -> int:
    done = 0
    for row in rows:
        if (vector := row.get("vector")) is not None:
            row["vector"] = vector.tolist()
        out.write(json.dumps(row, ensure_ascii=False, default=_instant).encode() + b"\n")
        done += 1
    return done


def _instant(value: object) -> str:
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    msg = f"{type(value).__name__} can't be JSON"
    raise TypeError(msg)


def _write_parquet(out: IO[bytes], source: _Source, rows: Iterator[dict[str, Any]], *, vectors: bool) -> int:
    import pyarrow as pa  # noqa: PLC0415  quick start
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        schema = _schema(source.rows(vectors=False))
        if vectors:
            width = source.collection.info().dimensions
            schema = schema.append(pa.field("vector", pa.list_(pa.float32(), width)))
        done = 0
        with pq.ParquetWriter(out, schema, compression="zstd") as writer:
            for part in _parts(rows):
                writer.write_table(pa.table([_column(part, one.name, one.type) for one in schema], schema=schema))
                done += len(part)
    except pa.ArrowException as error:
        text = f"the points can't be rows of one type each ({error}): export to .jsonl, or leave a field out"
        raise CliError(text, Exit.FAILED) from error
    return done


def _schema(rows: Iterator[dict[str, Any]]) -> pa.Schema:
    """Give the columns that hold all rows: integers with fractions are floats, what is always missing is null."""
    import pyarrow as pa  # noqa: PLC0415  quick start

    schema = pa.schema([])
    for part in _parts(rows):
        names = list(dict.fromkeys(name for row in part for name in row))
        found = pa.schema([pa.field(name, _column(part, name, None).type) for name in names])
        schema = pa.unify_schemas([schema, found], promote_options="permissive")
    return schema if len(schema) else pa.schema({"id": pa.string(), "text": pa.string()})


def _column(part: list[dict[str, Any]], name: str, kind: pa.DataType | None) -> pa.Array:
    """Raise `ArrowException` where the values have no type in common; the message names the column."""
    import pyarrow as pa  # noqa: PLC0415  quick start

    try:
        return pa.array([row.get(name) for row in part], kind)
    except pa.ArrowException as error:
        raise type(error)(f"{name}: {error}") from error


def _parts(rows: Iterator[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    while part := list(islice(rows, _ROWS)):
        yield part
