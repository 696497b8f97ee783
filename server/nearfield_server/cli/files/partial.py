"""An output in the making: `OUT.partial` (the spool), `OUT.partial.errors.jsonl` and the journal `OUT.partial.json`.

Rules:
- The output itself appears only when it is whole, by a rename.
- A journal for the same input and the same options is gone on with; for others, the user decides.
- One process at a time writes a partial: the spool is locked.
- An input that can't be read twice (stdin) keeps no journal, and leaves nothing behind.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy.typing as npt

from nearfield_server.cli.failures import CliError, Exit
from nearfield_server.cli.files.journal import Counts, Identity, Journal
from nearfield_server.cli.files.ragged import Marks
from nearfield_server.cli.files.rows import Row
from nearfield_server.cli.files.spool import Spool
from nearfield_server.cli.files.terms import Vocabulary

__all__ = ["Partial", "Paths"]


@dataclass(frozen=True, slots=True)
class Paths:
    """The files that belong to one output."""

    out: Path

    def _beside(self, ending: str) -> Path:
        return self.out.with_name(self.out.name + ending)

    @property
    def spool(self) -> Path:
        """Vectors so far."""
        return self._beside(".partial")

    @property
    def journal(self) -> Path:
        """What they were made from, and how many are safe."""
        return self._beside(".partial.json")

    @property
    def spooled_counts(self) -> Path:
        """Of rows with several vectors: how many each has."""
        return self._beside(".partial.counts")

    @property
    def spooled_marks(self) -> Path:
        """Of rows with several vectors: the whole numbers beside each."""
        return self._beside(".partial.marks")

    @property
    def spooled_terms(self) -> Path:
        """Of sparse vectors with terms: the spelling of each vocabulary id."""
        return self._beside(".partial.terms.json")

    @property
    def spooled_errors(self) -> Path:
        """Rows skipped so far."""
        return self._beside(".partial.errors.jsonl")

    @property
    def converted(self) -> Path:
        """The output while it is written from the spool."""
        return self._beside(".partial.out")

    @property
    def errors(self) -> Path:
        """Rows skipped, one JSON object each."""
        return self._beside(".errors.jsonl")

    @property
    def row_numbers(self) -> Path:
        """Of a .npy output without its skipped rows: the input row of each vector."""
        return self._beside(".rows.npy")

    def drop_partial(self) -> None:
        """Remove what an unfinished run left."""
        several = (self.spooled_counts, self.spooled_marks, self.spooled_terms)
        others = (*several, self.spooled_errors, self.converted)
        for path in (self.journal, self.spool, *others):
            path.unlink(missing_ok=True)


class Partial:
    """Where rows go until the output is whole."""

    def __init__(
        self,
        paths: Paths,
        identity: Identity | None,
        options: Mapping[str, Any],
        *,
        ragged: bool = False,
        vocabulary: Vocabulary | None = None,
    ) -> None:
        """Prepare; `open` begins.

        `identity` is `None` for an input that can't be read again; `ragged` says that a row has several vectors, and
        `vocabulary` has the terms of them.
        """
        self.paths = paths
        self.counts = Counts()
        self.safe = Counts()
        """Of `counts`, what a run would go on after if this one were killed now."""
        self._identity = identity
        self._options = options
        self._ragged = ragged
        self._vocabulary = vocabulary
        self._marks: Marks | None = None

    @property
    def resumable(self) -> bool:
        """Whether a run that ends early can be gone on with."""
        return self._identity is not None

    def open(self, *, resume: bool, overwrite: bool) -> int:
        """Take up what is there, or start afresh; give the number of rows that are settled.

        Raises:
            CliError: another run writes it, or it belongs to another input or to other options.
        """
        self._spool = self._locked_spool()
        try:
            self._marks = Marks(self.paths.spooled_counts, self.paths.spooled_marks) if self._ragged else None
            found = self._found(overwrite=overwrite) if resume else None
            if found is None or not self._begin(found):
                found = None
                self._begin(Journal(identity=Identity(0, 0, ""), options={}))
            self.counts = self.safe = found.counts if found is not None else Counts()
            self._errors = self.paths.spooled_errors.open("ab")
            self._errors.truncate(self.counts.error_bytes)
        except BaseException:
            self._spool.close()
            if self._marks is not None:
                self._marks.close()
            raise
        return self.counts.rows

    def _begin(self, found: Journal) -> bool:
        """Go on after what `found` counts; false if less than that is there."""
        counts = found.counts
        if self._marks is None:
            return self._spool.begin(rows=counts.vectors, dtype=found.dtype, width=found.width)
        return self._marks.begin(
            rows=counts.vectors, vectors=counts.spooled, width=found.mark_width
        ) and self._spool.begin(rows=counts.spooled, dtype=found.dtype, width=found.width)

    def _locked_spool(self) -> Spool:
        try:
            return Spool(self.paths.spool)
        except BlockingIOError:
            msg = f"another run is writing {self.paths.out} at this moment"
            raise CliError(msg, Exit.FAILED) from None

    def _found(self, *, overwrite: bool) -> Journal | None:
        found = Journal.read(self.paths.journal)
        if found is None or _size(self.paths.spooled_errors) < found.counts.error_bytes:
            return None
        if self._vocabulary is not None and found.options == self._options and not self._vocabulary.read():
            return None
        difference = self._difference(found)
        if not difference:
            return found
        if overwrite:
            return None
        raise CliError(
            f"{self.paths.spool} is an unfinished run {difference};"
            " finish it with the command that began it, or add --overwrite to start over"
        )

    def _difference(self, found: Journal) -> str:
        """Say in what `found` differs from this run; nothing if it doesn't."""
        if self._identity is None or found.identity != self._identity:
            return "of another input, or of one that was changed since"
        for name in sorted({*found.options, *self._options}):
            before, now = found.options.get(name), self._options.get(name)
            if before != now:
                return f"with {name.replace('_', ' ')} {_shown(before)}, not {_shown(now)}"
        return ""

    def add(
        self,
        row: Row,
        vector: npt.NDArray[Any],
        *,
        tokens: int,
        truncated: bool,
        marks: npt.NDArray[Any] | None = None,
    ) -> None:
        """Settle `row`, which must be the next one, with its vector, or with several and the marks of each."""
        self._check_next(row)
        self._spool.append(vector)
        if self._marks is not None and marks is not None:
            self._marks.append(marks)
        rows, failed, cut, all_tokens, error_bytes, spooled = self.counts
        several = 0 if marks is None else len(marks)
        self.counts = Counts(rows + 1, failed, cut + truncated, all_tokens + tokens, error_bytes, spooled + several)

    def skip(self, row: Row, code: str, message: str) -> None:
        """Settle `row`, which must be the next one, without a vector, for the reason given."""
        self._check_next(row)
        entry = {"row": row.number, **({"place": row.place} if row.place else {}), "code": code, "message": message}
        line = json.dumps(entry, ensure_ascii=False).encode() + b"\n"
        self._errors.write(line)
        counts = self.counts
        self.counts = counts._replace(
            rows=counts.rows + 1, failed=counts.failed + 1, error_bytes=counts.error_bytes + len(line)
        )

    def _check_next(self, row: Row) -> None:
        if row.number != self.counts.rows:
            raise AssertionError(f"this is a bug: row {row.number} after {self.counts.rows} rows")

    def checkpoint(self) -> None:
        """Make all settled rows safe, then say so in the journal."""
        counts = self.counts
        if self._identity is None or not counts.rows:
            return
        self._spool.flush()
        if self._marks is not None:
            self._marks.flush()
        if self._vocabulary is not None:
            self._vocabulary.save()
        self._errors.flush()
        os.fsync(self._errors.fileno())
        self.journal(counts).save(self.paths.journal)
        self.safe = counts

    def journal(self, counts: Counts) -> Journal:
        """Give the journal for `counts`."""
        identity = self._identity or Identity(0, 0, "")
        spool, marks = self._spool, self._marks
        return Journal(
            identity=identity,
            options=self._options,
            counts=counts,
            dtype=spool.dtype,
            width=spool.width,
            mark_width=marks.width if marks is not None else 0,
        )

    def finish(self) -> Journal:
        """Complete the spool, as a .npy file; give its final journal."""
        self.checkpoint()
        self._spool.finish()
        if self._marks is not None:
            self._marks.flush()
        self._errors.flush()
        return self.journal(self.counts)

    def close(self) -> None:
        """Close the files, and with them the lock; a partial that isn't worth to go on with is removed."""
        if self._identity is None or not self.safe.rows:
            self.paths.drop_partial()
        closings = [self._spool.close, self._errors.close]
        if self._marks is not None:
            closings.append(self._marks.close)
        for close in closings:
            # What a full disk didn't take can't be written now either, and isn't counted as safe.
            with suppress(OSError):
                close()


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _shown(value: object) -> str:
    return "unset" if value is None else str(value)
