"""The run itself: rows from a source through a stream of embeddings into a sink, in order and in constant memory.

Rules:
- Rows are settled in the order of the input, each exactly once: with a vector, or as skipped.
- The client reads the source from a thread of its own and ahead of the answers; `_Feed` remembers, in order, which rows
  were read and not yet settled. How far it reads ahead is bounded by the client's window.
- What is settled is made safe every `checkpoint_seconds`, and at the end, whatever ends the run.
- Only what is wrong with one row skips that row. A server that is away, full or stopping ends the run instead.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Any, Protocol, Unpack

import numpy.typing as npt

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.files.journal import Counts
from nearfield_server.cli.files.rows import InputError, Row, Source

if TYPE_CHECKING:
    from nearfield import NearfieldError, StreamOptions, StreamResult

__all__ = ["Embedder", "Job", "RowRefused", "Sink", "run"]

_FAULTS_OF_A_ROW = frozenset({"INVALID_ARGUMENT", "OUT_OF_RANGE", "INTERNAL", "RESOURCE_EXHAUSTED"})


class RowRefused(CliError):
    """The server refused one row, and rows aren't to be skipped."""


class Embedder(Protocol):
    """What a run needs of `nearfield.Client`."""

    def embed_stream(self, inputs: Iterable[str], /, **options: Unpack[StreamOptions]) -> Iterator[StreamResult]:
        """Yield one result per input; in their order with `ordered=True`."""
        ...


class Sink(Protocol):
    """Where settled rows go."""

    @property
    def counts(self) -> Counts:
        """How far it is."""
        ...

    def add(self, row: Row, vector: npt.NDArray[Any], *, tokens: int, truncated: bool) -> None:
        """Settle the next row with its vector."""
        ...

    def skip(self, row: Row, code: str, message: str) -> None:
        """Settle the next row without one."""
        ...

    def checkpoint(self) -> None:
        """Make safe what is settled."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """What to do. `on_progress` is told the rows settled after each of them; `limit` counts rows of the whole input."""

    source: Source
    sink: Sink
    options: StreamOptions
    fields: Sequence[str] = ()
    skip_bad_rows: bool = False
    limit: int | None = None
    checkpoint_seconds: float = 2.0
    on_progress: Callable[[int], None] = lambda _rows: None
    clock: Callable[[], float] = field(default=time.monotonic)


def run(job: Job, embedder: Embedder) -> None:
    """Settle all rows behind those that the sink has already.

    Raises:
        InputError: the input is damaged, or a row of it is bad and `skip_bad_rows` is off.
        RowRefused: the server refused a row, and `skip_bad_rows` is off.
        nearfield.NearfieldError: the server can't go on. In each case the rows before it are settled and safe.
    """
    feed = _Feed(job)
    options: Any = {**job.options, "ordered": True}
    stream = embedder.embed_stream(feed, **options)
    safe_at = job.clock()
    try:
        for result in stream:
            _settle(job, feed.answered(), result)
            job.on_progress(job.sink.counts.rows)
            if job.clock() - safe_at >= job.checkpoint_seconds:
                job.sink.checkpoint()
                safe_at = job.clock()
        feed.settle_bad_rows()
        if feed.failure is not None:
            raise feed.failure
    finally:
        close = getattr(stream, "close", None)
        if close is not None:
            close()
        job.sink.checkpoint()


class _Feed:
    """The texts of a source, for the client to iterate over; keeps the rows until they are settled."""

    def __init__(self, job: Job) -> None:
        self.failure: Exception | None = None
        self._job = job
        self._unsettled: deque[Row] = deque()

    def __iter__(self) -> Iterator[str]:
        job = self._job
        done = job.sink.counts.rows
        rows = job.source.rows(skip=done, fields=job.fields)
        try:
            with closing(rows):
                for row in islice(rows, None if job.limit is None else max(0, job.limit - done)):
                    if row.text is None and not job.skip_bad_rows:
                        raise InputError(
                            f"{job.source.name}: {row.problem} (--on-error skip goes on without such rows)"
                        )
                    self._unsettled.append(row)
                    if row.text is not None:
                        yield row.text
        except Exception as error:  # noqa: BLE001  kept for `run`: the rows before it are to be settled first
            self.failure = error

    def answered(self) -> Row:
        """Give the row that the next answer is for, once the bad rows before it are settled."""
        self.settle_bad_rows()
        return self._unsettled.popleft()

    def settle_bad_rows(self) -> None:
        """Settle the bad rows that nothing stands before."""
        while self._unsettled and self._unsettled[0].text is None:
            row = self._unsettled.popleft()
            self._job.sink.skip(row, "INVALID_INPUT", row.problem or "")


def _settle(job: Job, row: Row, result: StreamResult) -> None:
    error = result.error
    if error is None:
        if result.embedding is None:
            raise AssertionError("this is a bug: a result without vector and error")
        job.sink.add(row, result.embedding, tokens=result.token_count, truncated=result.truncated)
        return
    if error.code.name not in _FAULTS_OF_A_ROW or error.retry_delay is not None:
        raise error
    reason = _reason(error)
    if not job.skip_bad_rows:
        place = f" ({row.place})" if row.place else ""
        raise RowRefused(
            f"{job.source.name}: row {row.number}{place}: {error.code.name}: {reason}"
            " (--on-error skip goes on without such rows)"
        )
    job.sink.skip(row, error.code.name, reason)


def _reason(error: NearfieldError) -> str:
    """Give the message without the field's path: it counts inputs of the stream, not rows of the file."""
    if len(error.field_violations) == 1:
        return error.field_violations[0][1]
    return error.message
