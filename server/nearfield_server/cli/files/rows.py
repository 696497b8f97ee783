"""The nouns of the file commands: a row of the input, and the source that it comes from."""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from nearfield_server.cli.failures import CliError

__all__ = ["InputError", "Row", "Source"]


class InputError(CliError):
    """The input file can't be read further; the message names the file and the place."""


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the input. Exactly one of `text` and `problem` is set.

    `number` counts from 0 and is what outputs call `row`; `place` is for people, such as "line 7", and empty where the
    number says it; `fields` holds the columns that were asked for.
    """

    number: int
    text: str | None
    problem: str | None = None
    place: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict)


class Source(Protocol):
    """An input that can be read from any row on; files can be read more than once, stdin can't."""

    name: str

    def rows(self, *, skip: int = 0, fields: Sequence[str] = ()) -> Generator[Row, None, None]:
        """Yield the rows after the first `skip`; `fields` are carried along.

        Raises:
            InputError: the file itself is damaged, or lacks a column. A bad row is yielded with its `problem`.
        """
        ...

    def fraction(self) -> float | None:
        """How much of the input has been read, 0 to 1; `None` where the size isn't known."""
        ...

    @property
    def total_rows(self) -> int | None:
        """How many rows there are, where the file tells."""
        ...

    def columns(self) -> Sequence[str] | None:
        """Names of the columns: those of the first row where rows differ, `None` where looking would use it up."""
        ...

    def schema(self) -> Mapping[str, Any] | None:
        """Arrow types of the columns, where the file has types."""
        ...
