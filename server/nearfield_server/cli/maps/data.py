"""What a map shows, and what is read off it before it's drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from nearfield_server.cli.failures import CliError

__all__ = ["NOISE", "Cluster", "MapData", "clusters_of", "plain"]

NOISE = -1
"""The cluster of items that are in none."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MapData:
    """Items on a map; all but the names are one for each item.

    Attributes:
        coordinates: finite; float32 [items, 2].
        clusters: ids, `NOISE` for none; int32 [items].
        names: of the clusters, by id; one without a name is shown by its id.
        texts: of the items, may be empty strings.
        ids: of the items, which the page exports.
        title: of the page and the picture.
        subtitle: a line below it.

    Raises:
        CliError: there are no items, lengths differ, or a coordinate isn't finite.
    """

    coordinates: npt.NDArray[np.float32]
    clusters: npt.NDArray[np.int32]
    names: Mapping[int, str] = field(default_factory=dict)
    texts: Sequence[str]
    ids: Sequence[str]
    title: str = "Map"
    subtitle: str = ""

    def __post_init__(self) -> None:
        """Refuse what can't be drawn."""
        items = len(self.coordinates)
        if not items:
            raise CliError("a map needs one item or more; there are none")
        if self.coordinates.shape != (items, 2):
            raise CliError(f"coordinates: a map needs [items, 2], not {list(self.coordinates.shape)}")
        for name, column in (("clusters", self.clusters), ("texts", self.texts), ("ids", self.ids)):
            if len(column) != items:
                raise CliError(f"{name}: {len(column)} for {items} coordinates; give one for each")
        wrong = np.flatnonzero(~np.isfinite(self.coordinates).all(axis=1))
        if len(wrong):
            raise CliError(f"coordinates[{wrong[0]}]: not finite; leave out items that have no place")


@dataclass(frozen=True, slots=True)
class Cluster:
    """A cluster as it is drawn; `centre`: the medians, which outliers don't move."""

    id: int
    name: str
    size: int
    centre: tuple[float, float]


def plain(text: str) -> str:
    """One line of what can be written and seen: no control characters, no halves of surrogate pairs."""
    seen = "".join(one if one.isprintable() else " " for one in text)
    return " ".join(seen.encode("utf-8", "replace").decode("utf-8").split())


def clusters_of(data: MapData) -> list[Cluster]:
    """Give the clusters that have items, the largest first. Noise is none."""
    order = np.argsort(data.clusters, kind="stable")
    ids, starts = np.unique(data.clusters[order], return_index=True)
    found = []
    for id_, rows in zip(ids.tolist(), np.split(order, starts[1:]), strict=True):
        if id_ != NOISE:
            x, y = np.median(data.coordinates[rows].astype(np.float64), axis=0)
            found.append(Cluster(id_, _name(data.names, id_), len(rows), (float(x), float(y))))
    return sorted(found, key=lambda one: (-one.size, one.id))


def _name(names: Mapping[int, str], id_: int) -> str:
    return " ".join(names.get(id_, "").split()) or f"Cluster {id_}"
