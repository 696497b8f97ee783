"""How much memory a training takes, told before it begins. Pure.

The figures are over what was measured: 20,000 examples of 50 labels, 4,000 of 1,000 and of 1,500.
"""

from __future__ import annotations

from nearfield_server.errors import TooLarge

__all__ = ["check_size", "estimated_bytes"]

_BASE = 200 << 20
_ROWS = 6
"""Copies of the matrix: what was gathered, what was put in order, a fold's, and one in double precision for a while."""
_VALUES = 48
"""Bytes for each example and label: values of one way, of its loss, and in double precision to calibrate."""
_WEIGHTS = 160
"""Bytes for each label and dimension: what L-BFGS remembers, and a start for every fold."""
_ITEM = 300
"""Bytes for each example: its label, its place, its key."""


def estimated_bytes(examples: int, labels: int, dimensions: int, text_bytes: int) -> int:
    """Give the memory that it will take, gathered examples included."""
    matrix = examples * dimensions * 4
    total = _BASE + _ROWS * matrix + _VALUES * examples * labels + _WEIGHTS * labels * dimensions
    return int(total + _ITEM * examples + 3 * text_bytes)


def check_size(labels: int, limit: int, examples: int, dimensions: int, text_bytes: int) -> None:
    """Refuse what can't be trained. Raises `TooLarge`."""
    needed = estimated_bytes(examples, labels, dimensions, text_bytes)
    if needed > limit:
        text = (
            f"{examples} examples of {labels} labels and {dimensions} dimensions would take about {needed >> 20} MiB, "
            f"over {limit >> 20} MiB (cluster.memory_bytes): train on fewer, some thousands a label tell no more"
        )
        raise TooLarge(text, limit=limit, estimate=needed)
