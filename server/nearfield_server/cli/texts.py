"""Texts for the commands that hold all of them in memory, and how they are shown: one line each."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import Annotated

import typer

from nearfield_server.cli.failures import CliError

__all__ = ["FileOption", "TextFieldOption", "one_line", "read_texts", "shortened"]

FileOption = Annotated[
    str, typer.Option("--file", metavar="FILE", help="Read texts from a file of any input format of embed; - is stdin.")
]
TextFieldOption = Annotated[str, typer.Option(help="Field or column of the file that holds the text.")]


def read_texts(file: str, text_field: str, *, at_most: int) -> list[str]:
    """Read all texts of a file, or of stdin for `-`.

    Raises:
        CliError: it can't be read, a row has no text, or there are more than `at_most`.
    """
    from nearfield_server.cli.files.sources import open_source  # noqa: PLC0415  quick start

    source = open_source(None if file == "-" else Path(file), text_field)
    texts: list[str] = []
    with closing(source.rows()) as rows:
        for row in rows:
            if row.text is None:
                raise CliError(f"{source.name}: {row.problem}")
            texts.append(row.text)
            if len(texts) > at_most:
                raise CliError(f"{source.name} has more than {at_most:,} texts; `nearfield embed` takes any number")
    return texts


def one_line(text: str) -> str:
    """Give `text` without line ends and doubled blanks."""
    return " ".join(text.split())


def shortened(text: str, characters: int) -> str:
    """Give `text` in one line of at most so many characters."""
    line = one_line(text)
    return line if len(line) <= characters else line[: characters - 1] + "…"
