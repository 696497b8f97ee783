"""How much memory a map takes, and how many items a method takes, told before it begins. Pure.

The figures were measured as peaks of workers (docs/maps.md), with a third on top.
"""

from __future__ import annotations

from nearfield_server.core.projection.nouns import ProjectOptions, Way
from nearfield_server.errors import InvalidInput, TooLarge

__all__ = ["DEFAULT_NEIGHBORS", "MAX_ITEMS", "check_size", "estimated_bytes", "neighbors_of"]

DEFAULT_NEIGHBORS = {Way.PCA: 0, Way.PACMAP: 10, Way.UMAP: 15, Way.TSNE: 90}
MAX_ITEMS = {Way.PACMAP: 1_000_000, Way.UMAP: 500_000, Way.TSNE: 200_000}
"""More would take hours."""
_BASE = {Way.PCA: 350 << 20, Way.PACMAP: 500 << 20, Way.UMAP: 600 << 20, Way.TSNE: 400 << 20}
_COPIES = {Way.PCA: 3.2, Way.PACMAP: 4.2, Way.UMAP: 4.2, Way.TSNE: 3.2}
"""Of the matrix: what was gathered, what was put in order, and what the method itself makes."""
_NEIGHBOR = 60
"""Bytes for each neighbour of an item: the lists, and the graphs that are made of them."""
_MORE_NEIGHBORS = 50
"""PaCMAP chooses its neighbours from so many more."""
_ITEM = 1200


def neighbors_of(options: ProjectOptions) -> int:
    """Give how many neighbours of an item are kept near it; 0: the method knows none."""
    return options.neighbors or DEFAULT_NEIGHBORS[options.method]


def estimated_bytes(options: ProjectOptions, items: int, dimensions: int) -> int:
    """Give the memory that it will take, gathered items included."""
    method = options.method
    neighbors = neighbors_of(options) + (_MORE_NEIGHBORS if method is Way.PACMAP else 0)
    matrix = items * dimensions * 4
    return int(_BASE[method] + _COPIES[method] * matrix + items * (_NEIGHBOR * neighbors + _ITEM))


def check_size(options: ProjectOptions, limit: int, field: str, items: int, dimensions: int, _text_bytes: int) -> None:
    """Refuse what can't be projected.

    Raises:
        InvalidInput: too many items for the method.
        TooLarge: it would take more than `limit` bytes.
    """
    name = options.method.name
    if (most := MAX_ITEMS.get(options.method)) is not None and items > most:
        faster = "PCA" if options.method is Way.PACMAP else "PACMAP or PCA"
        text = (
            f"{items} items; {name} takes at most {most}: use {faster}, or project a sample and put the others into it"
        )
        raise InvalidInput(field, text, limit=most)
    needed = estimated_bytes(options, items, dimensions)
    if needed > limit:
        text = (
            f"{items} items of {dimensions} dimensions would take {name} about {needed >> 20} MiB, over "
            f"{limit >> 20} MiB (cluster.memory_bytes): project a sample, and put the others into it"
        )
        raise TooLarge(text, limit=limit, estimate=needed)
