"""Texts of shards to vectors: a part for each shard, with `row`, the columns carried over and `embedding`.

Parts that are there are passed over, so that the same run again goes on where it was. Bad rows end the job, or are left
out of their part and listed beside it, in part-NNNNN.errors.jsonl.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa

from nearfield_server.errors import NearfieldError
from nearfield_server.executors.base import Executor, JobFailure
from nearfield_server.executors.encoding import Embedder, Fault, Vector
from nearfield_server.executors.shards import Parts, Shard, read_shard

__all__ = ["Done", "Embedding", "embed_shards"]


@dataclass(frozen=True, slots=True)
class Done:
    """Rows of finished shards; `before`: finished by an earlier run, and not counted in the others."""

    vectors: int = 0
    failed: int = 0
    before: int = 0

    def __add__(self, other: Done) -> Done:
        """Give those of both."""
        return Done(self.vectors + other.vectors, self.failed + other.failed, self.before + other.before)


@dataclass(frozen=True, slots=True, kw_only=True)
class Embedding:
    """The work on one shard.

    Attributes:
        open_embedder: called in the worker, once for each shard.
        parts: where vectors go.
        text_column: of strings.
        columns: carried over: name in the output by name in the input.
        skip_bad_rows: leave them out instead of ending the job.
    """

    open_embedder: Callable[[], Embedder]
    parts: Parts
    text_column: str = "text"
    columns: Mapping[str, str]
    skip_bad_rows: bool = False

    def __call__(self, shard: Shard) -> Done:
        """Embed a shard.

        Raises:
            JobFailure: a row is bad, and bad rows aren't to be skipped.
        """
        table = read_shard(shard, [self.text_column, *self.columns.values()])
        found: dict[int, Vector] = {}
        faults: dict[int, Fault] = {}
        for at, one in self._embedded(self._texts(table)):
            if not isinstance(one, Fault):
                found[at] = one
            elif self.skip_bad_rows:
                faults[at] = one
            else:
                where = f"{shard.file}: row {shard.first_row + at:,} of all"
                raise JobFailure(f"{where}: {one.message}; --on-error skip goes on without such rows, and lists them")
        self.parts.write(shard, self._table(shard, table, found), _listed(shard, faults))
        return Done(len(found), len(faults))

    def _texts(self, table: pa.Table) -> list[str | Fault]:
        """Give the text of each row, or why there is none."""
        column = table.column(self.text_column)
        kind = column.type.value_type if pa.types.is_dictionary(column.type) else column.type
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind) or pa.types.is_string_view(kind)):
            raise JobFailure(f"column {self.text_column!r} holds {column.type}, not strings")
        texts: list[str | Fault] = []
        for value in column:
            try:
                text = value.as_py()
            except UnicodeDecodeError:
                texts.append(Fault("INVALID_INPUT", f"column {self.text_column!r} is not UTF-8"))
            else:
                texts.append(Fault("INVALID_INPUT", f"column {self.text_column!r} is null") if text is None else text)
        return texts

    def _embedded(self, texts: Sequence[str | Fault]) -> Iterator[tuple[int, Vector | Fault]]:
        """Yield what becomes of each row; those without a text first."""
        for at, text in enumerate(texts):
            if isinstance(text, Fault):
                yield at, text
        good = [(at, text) for at, text in enumerate(texts) if not isinstance(text, Fault)]
        embedder = self._opened()
        try:
            embedded = embedder.embed([text for _, text in good])
            yield from zip((at for at, _ in good), embedded, strict=True)
        finally:
            embedder.close()

    def _opened(self) -> Embedder:
        try:
            return self.open_embedder()
        except NearfieldError as error:
            # Errors of that tree can't be pickled, and so wouldn't come back from a worker.
            raise JobFailure(error.message) from None

    def _table(self, shard: Shard, table: pa.Table, found: Mapping[int, Vector]) -> pa.Table:
        good = np.array(sorted(found), np.int64)
        columns = {"row": pa.array(shard.first_row + good)}
        for name, source in self.columns.items():
            columns[name] = table.column(source).take(pa.array(good))
        columns["embedding"] = _lists([found[at] for at in good.tolist()])
        return pa.table(columns)


def embed_shards(
    executor: Executor, work: Embedding, shards: Sequence[Shard], *, overwrite: bool, told: Callable[[Done], None]
) -> Done:
    """Embed the shards that have no part yet. `told` hears how far it is, after each shard.

    Raises:
        JobFailure: the folder holds something else, or a shard can't be done. Parts that are there stay.
    """
    left = work.parts.prepare(shards, overwrite=overwrite)
    done = Done(before=sum(shard.rows for shard in shards) - sum(shard.rows for shard in left))
    for _, one in executor.map(work, left):
        done += one
        told(done)
    return done


def _listed(shard: Shard, faults: Mapping[int, Fault]) -> list[dict[str, Any]]:
    rows = sorted(faults.items())
    return [{"row": shard.first_row + at, "code": one.code, "message": one.message} for at, one in rows]


def _lists(vectors: Sequence[Vector]) -> pa.Array:
    """Give a column of vectors of one width, of their own type."""
    if not vectors:
        return pa.array([], pa.list_(pa.float32(), 0))
    matrix: Any = np.stack(vectors)
    return pa.FixedSizeListArray.from_arrays(pa.array(matrix.reshape(-1)), matrix.shape[1])
