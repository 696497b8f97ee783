"""What is told of clusters: their examples, names and figures; and how far items are from them, for drift."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from nearfield_server.core.clustering.fit import centres
from nearfield_server.core.clustering.fit.centres import Centres
from nearfield_server.core.clustering.nouns import ClusterInfo, FloatColumn, IntColumn, ItemRef, Keyword
from nearfield_server.types import FloatRows

__all__ = ["Described", "Members", "Names", "deciles_of", "describe"]

_DECILES = np.arange(0.1, 0.95, 0.1)
_NAME_KEYWORDS = 3
_EXAMPLE_CHARACTERS = 500
_RADIUS_SAMPLE = 20_000


class Members:
    """The rows of each place, in order; found for all at once."""

    def __init__(self, labels: IntColumn, count: int) -> None:
        """Group the rows by `labels`, of which `count` are told and -1 is none."""
        self._rows = np.argsort(labels, kind="stable")
        self._starts = np.searchsorted(labels[self._rows], np.arange(count + 1))

    def of(self, place: int) -> npt.NDArray[np.int64]:
        """Give those of one place."""
        return self._rows[self._starts[place] : self._starts[place + 1]]


@dataclass(frozen=True, slots=True)
class Names:
    """What clusters are called by: their words, or those of some names that are nearest to them."""

    words: Sequence[tuple[Keyword, ...]]
    names: Sequence[str]
    vectors: FloatRows | None

    def of(self, place: int, centroid: FloatColumn) -> tuple[str, float | None]:
        """Give what to call a cluster, and how near the name is."""
        if self.vectors is not None and len(self.vectors):
            similarities = self.vectors @ centroid
            best = int(similarities.argmax())
            return self.names[best], float(np.clip(similarities[best], -1.0, 1.0))
        return ", ".join(word.term for word in self.words[place][:_NAME_KEYWORDS]), None


@dataclass(frozen=True, slots=True)
class Described:
    """Rows and texts in the order that they were fitted in, and where each was in the input."""

    rows: FloatRows
    texts: Sequence[str]
    order: npt.NDArray[np.int64]
    examples: int

    def examples_of(self, members: npt.NDArray[np.int64], similarities: FloatColumn) -> tuple[ItemRef, ...]:
        """Give what stands for a cluster."""
        chosen = centres.examples(members, similarities, self.texts, self.examples)
        return tuple(ItemRef(int(self.order[one.row]), min(one.similarity, 1.0), self._text(one.row)) for one in chosen)

    def _text(self, row: int) -> str:
        return self.texts[row][:_EXAMPLE_CHARACTERS] if self.texts else ""


def describe(
    items: Described, labels: IntColumn, centroids: FloatRows, names: Names, silhouettes: dict[int, float]
) -> list[ClusterInfo]:
    """Give what is to be known of each place; its id is the place."""
    grouped = Members(labels, len(centroids))
    result = []
    for place, centroid in enumerate(centroids):
        members = grouped.of(place)
        ours = items.rows[members]
        similarities = ours @ centroid
        examples = items.examples_of(members, similarities)
        name, nearness = names.of(place, centroid)
        part = ours if len(ours) <= _RADIUS_SAMPLE else ours[:: len(ours) // _RADIUS_SAMPLE + 1]
        result.append(
            ClusterInfo(
                id=place,
                size=len(members),
                name=name,
                name_similarity=nearness,
                keywords=names.words[place],
                medoid=examples[0],
                nearest=examples,
                cohesion=float(similarities.mean()),
                radius=centres.radius_of(centres.left_out_distances(part, centroid)),
                silhouette=silhouettes.get(place),
            )
        )
    return result


def deciles_of(rows: FloatRows, labels: IntColumn, seen: Centres | None, centroids: FloatRows) -> FloatColumn:
    """Give the deciles of the distances to the nearest centroid, each row left out of its own."""
    if seen is None:
        return np.zeros(len(_DECILES), np.float32)
    distances = seen.distances.copy()
    grouped = Members(np.where(labels == seen.nearest, labels, np.int32(-1)), len(centroids))
    for place, centroid in enumerate(centroids):
        if len(members := grouped.of(place)):
            distances[members] = centres.left_out_distances(rows[members], centroid)
    return np.asarray(np.quantile(distances, _DECILES), np.float32)
