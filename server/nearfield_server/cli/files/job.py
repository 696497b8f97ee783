"""The run itself: rows from a source through a stream of embeddings into a sink, in order and in constant memory.

Rules:
- Rows are settled in the order of the input, each exactly once: with a vector, or as skipped.
- The client reads the source from a thread of its own and ahead of the answers; `_Feed` remembers, in order, which rows
  were read and not yet settled. How far it reads ahead is bounded by the client's window.
- What is settled is made safe every `checkpoint_seconds`, and at the end, whatever ends the run.
- Only what is wrong with one row skips that row. A server that is away, full or stopping ends the run instead.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy as np
import numpy.typing as npt

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.journal import Counts
from nearfield_server.cli.files.rows import Row, Source

if TYPE_CHECKING:
    from nearfield import NearfieldError, StreamOptions, StreamResult

__all__ = ["BadRow", "Embedder", "Job", "Sink", "is_fault_of_a_row", "run"]

_FAULTS_OF_A_ROW = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "INTERNAL", "RESOURCE_EXHAUSTED"})


class BadRow(CliError):
    """One row can't be embedded, and rows aren't to be skipped: `--on-error skip` would go on."""


class Embedder(Protocol):
    """What a run needs of `nearfield.Client`."""

    def embed_stream(self, inputs: Iterable[Any], /, **options: Unpack[StreamOptions]) -> Iterator[StreamResult]:
        """Yield one result per input; in their order with `ordered=True`."""
        ...


class Sink(Protocol):
    """Where settled rows go."""

    @property
    def counts(self) -> Counts:
        """How far it is."""
        ...

    def add(
        self,
        row: Row,
        vector: npt.NDArray[Any],
        *,
        tokens: int,
        truncated: bool,
        marks: npt.NDArray[Any] | None = None,
    ) -> None:
        """Settle the next row with its vector; or with several, [n, width], and their marks, as in `ragged`."""
        ...

    def skip(self, row: Row, code: str, message: str) -> None:
        """Settle the next row without one."""
        ...

    def checkpoint(self) -> None:
        """Make safe what is settled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do.

    `on_progress` is told the rows settled after each of them; `limit` counts rows of the whole input; `as_input` makes of
    a row's text what the client is given.
    """

    source: Source
    sink: Sink
    options: StreamOptions
    fields: Sequence[str] = ()
    skip_bad_rows: bool = False
    limit: int | None = None
    checkpoint_seconds: float = 2.0
    on_progress: Callable[[int], None] = lambda _rows: None
    as_input: Callable[[str], Any] = str
    clock: Callable[[], float] = field(default=time.monotonic)


def run(job: Job, embedder: Embedder) -> None:
    """Settle all rows behind those that the sink has already.

    Raises:
        InputError: the input is damaged.
        BadRow: a row is bad, or the server refused it, and `skip_bad_rows` is off.
        nearfield.NearfieldError: the server can't go on. In each case the rows before it are settled and safe.
    """
    feed = _Feed(job)
    options: Any = {**job.options, "ordered": True}
    stream = embedder.embed_stream(feed, **options)
    safe_at = job.clock()
    try:
        for result in stream:
            with feed.lock:
                _settle(job, feed.answered(), result)
                if job.clock() - safe_at >= job.checkpoint_seconds:
                    job.sink.checkpoint()
                    safe_at = job.clock()
            job.on_progress(job.sink.counts.rows)
        with feed.lock:
            feed.settle_bad_rows()
        if feed.failure is not None:
            raise feed.failure
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()
        feed.close()
        with feed.lock:
            job.sink.checkpoint()


class _Feed:
    """The texts of a source, for the client to iterate over; keeps the rows until they are settled.

    `lock` guards the sink and the rows: bad rows are settled by whichever thread finds nothing before them, so that a
    million of them in a row don't pile up.
    """

    def __init__(self, job: Job) -> None:
        self.failure: Exception | None = None
        self.lock = threading.Lock()
        self._stopped = False
        self._rows: Generator[Row, None, None] | None = None
        self._job = job
        self._unsettled: deque[Row] = deque()

    def __iter__(self) -> Iterator[Any]:
        job = self._job
        done = job.sink.counts.rows
        self._rows = job.source.rows(skip=done, fields=job.fields)
        try:
            for row in islice(self._rows, None if job.limit is None else max(0, job.limit - done)):
                self._take(row)
                if row.text is not None:
                    yield job.as_input(row.text)
        except Exception as error:  # noqa: BLE001  kept for `run`: the rows before it are to be settled first
            self.failure = error

    def _take(self, row: Row) -> None:
        """Remember a row that was read; a bad one is settled at once if nothing stands before it."""
        if row.text is None and not self._job.skip_bad_rows:
            raise BadRow(f"{self._job.source.name}: {row.problem}")
        with self.lock:
            self._unsettled.append(row)
            if row.text is None and not self._stopped:
                self.settle_bad_rows()

    def close(self) -> None:
        """Settle nothing more, and close the input."""
        with self.lock:
            self._stopped = True
        if self._rows is not None:
            # While the client's thread waits for a line, it can't be closed; that thread is left to end by itself.
            with suppress(ValueError):
                self._rows.close()

    def answered(self) -> Row:
        """Give the row that the next answer is for, once the bad rows before it are settled. With the lock held."""
        self.settle_bad_rows()
        return self._unsettled.popleft()

    def settle_bad_rows(self) -> None:
        """Settle the bad rows that nothing stands before. With the lock held."""
        while self._unsettled and self._unsettled[0].text is None:
            row = self._unsettled.popleft()
            self._job.sink.skip(row, "INVALID_INPUT", row.problem or "")


def _settle(job: Job, row: Row, result: StreamResult) -> None:
    error = result.error
    if error is None:
        vectors, marks = _vectors_of(result)
        job.sink.add(row, vectors, tokens=result.token_count, truncated=result.truncated, marks=marks)
        return
    if not is_fault_of_a_row(error):
        raise error
    reason = _reason(error)
    if not job.skip_bad_rows:
        place = f" ({row.place})" if row.place else ""
        raise BadRow(f"{job.source.name}: row {row.number}{place}: {error.code.name}: {reason}")
    job.sink.skip(row, error.code.name, reason)


def is_fault_of_a_row(error: NearfieldError) -> bool:
    """Tell whether an error blames what was sent, and not the server's state."""
    return error.code.name in _FAULTS_OF_A_ROW and error.retry_delay is None


def _vectors_of(result: StreamResult) -> tuple[npt.NDArray[Any], npt.NDArray[Any] | None]:
    """Give a result's vector, or its vectors with the marks of each, as in `ragged`."""
    if result.sparse is not None:
        return result.sparse.values[:, None], result.sparse.indices[:, None]
    if result.multi is not None:
        return result.multi.vectors, result.multi.token_ids[:, None]
    if result.embedding is None:
        raise AssertionError("this is a bug: a result without vector and error")
    if result.embedding.ndim == 1:
        return result.embedding, None
    return result.embedding, np.array([(one.start, one.end, one.token_count) for one in result.chunks], np.int32)


def _reason(error: NearfieldError) -> str:
    """Give the message without the field's path: it counts inputs of the stream, not rows of the file."""
    if len(error.field_violations) == 1:
        return error.field_violations[0][1]
    return error.message
