"""Rows of several vectors: how many each row has, and whole numbers beside every vector.

    sparse   a "vector" is one weight, its mark the vocabulary id
    multi    a vector per token, its mark the vocabulary id
    chunks   a vector per chunk, its marks where the chunk starts and ends and its tokens

The vectors themselves are in the spool, as those of plain rows are; counts and marks lie in spools of their own.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import IO, Any, Literal, NamedTuple, TypeAlias

import numpy as np
import numpy.typing as npt

from nearfield_server.cli.files.spool import HEADER_BYTES, Spool, read_rows

__all__ = ["Group", "Kind", "Marks", "member_lines", "read_groups", "reserved_names"]

Kind: TypeAlias = Literal["dense", "sparse", "multi", "chunks"]
Vectors: TypeAlias = npt.NDArray[Any]
Formatted: TypeAlias = Callable[[Vectors], str]

# A row may have hundreds of vectors: fewer rows at a time than of plain ones.
_GROUP_ROWS = 256
_COUNT = "<i4"
_NAMES: dict[Kind, tuple[str, ...]] = {
    "dense": ("row", "embedding"),
    "sparse": ("row", "indices", "values", "terms"),
    "multi": ("row", "token_ids", "embeddings"),
    "chunks": ("row", "chunk", "start", "end", "token_count", "embedding"),
}


def reserved_names(kind: Kind) -> tuple[str, ...]:
    """Give the names of an output's own columns."""
    return _NAMES[kind]


class Marks:
    """Counts, int32 [rows], and marks, int32 [vectors, width], appended to two spools."""

    def __init__(self, counts: Path, marks: Path) -> None:
        """Open or create and lock both; nothing is changed before `begin`."""
        self._counts, self._marks = Spool(counts), Spool(marks)

    def begin(self, *, rows: int = 0, vectors: int = 0, width: int = 0) -> bool:
        """Go on after `rows` rows of `vectors` vectors in all; false, and nothing is changed, if there are fewer."""
        return self._counts.begin(
            rows=rows, dtype=_COUNT if rows else "", width=1 if rows else 0
        ) and self._marks.begin(rows=vectors, dtype=_COUNT if width else "", width=width)

    @property
    def width(self) -> int:
        """Marks of a vector."""
        return self._marks.width

    def append(self, marks: npt.NDArray[Any]) -> None:
        """Write the marks of one row, [vectors, width]."""
        self._counts.append(np.array([len(marks)], _COUNT))
        self._marks.append(marks.astype(_COUNT, copy=False))

    def flush(self) -> None:
        """Return when all is on the disk."""
        self._counts.flush()
        self._marks.flush()

    def close(self) -> None:
        """Close the files."""
        self._counts.close()
        self._marks.close()


class Group(NamedTuple):
    """Some rows: the vectors of each, int32 [rows], all vectors [sum, width], their marks [sum, marks]."""

    counts: npt.NDArray[np.int32]
    vectors: npt.NDArray[Any]
    marks: npt.NDArray[np.int32]

    def rows(self) -> Iterator[tuple[npt.NDArray[Any], npt.NDArray[np.int32]]]:
        """Give vectors and marks of each row."""
        ends = np.cumsum(self.counts)
        for start, end in zip(ends - self.counts, ends, strict=True):
            yield self.vectors[start:end], self.marks[start:end]


class Files(NamedTuple):
    """Where a finished run of such rows lies."""

    vectors: Path
    counts: Path
    marks: Path


def read_groups(files: Files, *, rows: int, dtype: str, width: int, mark_width: int) -> Iterator[Group]:
    """Yield all rows, some at a time."""
    with files.vectors.open("rb") as vectors, files.marks.open("rb") as marks:
        vectors.seek(HEADER_BYTES)
        marks.seek(HEADER_BYTES)
        for counts in read_rows(files.counts, rows=rows, dtype=_COUNT, width=1, chunk_rows=_GROUP_ROWS):
            total = int(counts.sum())
            yield Group(
                counts.reshape(-1),
                _block(vectors, total, dtype or "<f4", width),
                _block(marks, total, _COUNT, mark_width),
            )


def _block(file: IO[bytes], rows: int, dtype: str, width: int) -> npt.NDArray[Any]:
    return np.fromfile(file, dtype, rows * width).reshape(rows, width)


def member_lines(
    kind: Kind, encoding: str, formatted: Formatted, vocabulary: Mapping[int, str] | None = None
) -> Callable[[Vectors, Vectors | None], Iterator[str]]:
    """Give the function that writes a row, its vectors and marks, as JSON members, one string per line of the output.

    `formatted` writes the member `"embedding"` of one vector in `encoding`; `vocabulary` has the terms of sparse ones.
    """

    def lines(vectors: Vectors, marks: Vectors | None) -> Iterator[str]:
        if kind == "dense" or marks is None:
            yield formatted(vectors)
        elif kind == "chunks":
            for number, (vector, (start, end, tokens)) in enumerate(zip(vectors, marks.tolist(), strict=True)):
                yield f'"chunk": {number}, "start": {start}, "end": {end}, "token_count": {tokens}, {formatted(vector)}'
        elif kind == "sparse":
            weights = ", ".join("%.9g" % value for value in vectors[:, 0].tolist())  # noqa: UP031 - as `formatter` does
            ids = marks[:, 0].tolist()
            terms = [vocabulary[number] for number in ids] if vocabulary is not None else None
            written = f', "terms": {json.dumps(terms, ensure_ascii=False)}' if terms is not None else ""
            yield f'"indices": {ids}, "values": [{weights}]{written}'
        elif encoding == "base64":
            whole = formatted(vectors.reshape(-1)).replace("embedding", "embeddings", 1)
            yield f'"token_ids": {marks[:, 0].tolist()}, {whole}, "shape": {list(vectors.shape)}'
        else:
            rows = (formatted(vector).removeprefix('"embedding": ') for vector in vectors)
            yield f'"token_ids": {marks[:, 0].tolist()}, "embeddings": [{", ".join(rows)}]'

    return lines
