"""Tables that are never cut: on a pipe nobody sees a width, and on a narrow terminal its lines go on in the next."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table

__all__ = ["print_table"]

_ANY_WIDTH = 10_000


def print_table(table: Table) -> None:
    """Print `table` to stdout in its full width."""
    console = Console(highlight=False)
    needed = console.measure(table, options=console.options.update(max_width=_ANY_WIDTH)).maximum
    Console(highlight=False, width=max(console.width, needed)).print(table, soft_wrap=True)
