"""How much memory a fit takes, told before it begins. Pure.

The figures were measured as peaks of workers (docs/clustering.md), with a third on top.
"""

from __future__ import annotations

from nearfield_server.core.clustering.nouns import FitOptions, Method
from nearfield_server.errors import InvalidInput, TooLarge

__all__ = ["MAX_AGGLOMERATIVE", "check_size", "estimated_bytes"]

MAX_AGGLOMERATIVE = 10_000
_BASE = 400 << 20
"""Distances of samples for the figures of quality."""
_TEXT = 12
"""Bytes for each byte of text: the texts, their words and the counts."""
_ITEM = {Method.KMEANS: 200, Method.DENSITY: 3500, Method.AGGLOMERATIVE: 200}
_COPIES = {Method.KMEANS: 2.2, Method.DENSITY: 3.5, Method.AGGLOMERATIVE: 2.2}
"""Of the matrix: what was gathered, what was put in order, and what the method itself makes."""
_PAIR = 24
"""Bytes for each pair of items of AGGLOMERATIVE."""


def estimated_bytes(options: FitOptions, items: int, dimensions: int, text_bytes: int) -> int:
    """Give the memory that it will take, gathered items included."""
    matrix = items * dimensions * 4
    total = _BASE + _COPIES[options.method] * matrix + _ITEM[options.method] * items
    if not options.labels.disabled:
        total += _TEXT * text_bytes
    if options.method is Method.AGGLOMERATIVE:
        total += _PAIR * items * items / 2
    return int(total)


def check_size(options: FitOptions, limit: int, field: str, items: int, dimensions: int, text_bytes: int) -> None:
    """Refuse what can't be fitted.

    Raises:
        InvalidInput: too many items for the method, or fewer than clusters.
        TooLarge: it would take more than `limit` bytes.
    """
    if options.method is Method.AGGLOMERATIVE and items > MAX_AGGLOMERATIVE:
        text = f"{items} items; AGGLOMERATIVE takes at most {MAX_AGGLOMERATIVE}: use KMEANS or DENSITY"
        raise InvalidInput(field, text, limit=MAX_AGGLOMERATIVE)
    needed = estimated_bytes(options, items, dimensions, text_bytes)
    if needed > limit:
        text = (
            f"{items} items of {dimensions} dimensions would take about {needed >> 20} MiB, over {limit >> 20} MiB "
            "(cluster.memory_bytes): cluster fewer, or a sample, and Assign the others"
        )
        raise TooLarge(text, limit=limit, estimate=needed)
