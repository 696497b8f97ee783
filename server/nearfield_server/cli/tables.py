"""Tables: on a pipe nobody sees a width, so they are never cut there."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

__all__ = ["print_cut_table", "print_table"]

_ANY_WIDTH = 10_000


def print_table(table: Table) -> None:
    """Print `table` to stdout in its full width; on a narrow terminal its lines go on in the next."""
    console = Console(highlight=False)
    needed = console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum
    Console(highlight=False, width=max(console.width, needed)).print(table, soft_wrap=True)


def print_cut_table(table: Table) -> None:
    """Print `table` to stdout; on a terminal, columns that may be cut are cut to its width."""
    console = Console(highlight=False)
    if console.is_terminal:
        console.print(table)
    else:
        print_table(table)
