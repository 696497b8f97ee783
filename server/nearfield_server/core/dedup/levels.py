"""What the levels mean for a model: where its similarities of unrelated texts end, duplicates may begin.

The scale of cosine differs from model to model: unrelated texts have about 0.05 with one and 0.75 with another. So the
99% quantile of the similarities of 201 sentences that have nothing to do with each other (`unrelated.txt`, three
quarters English, the rest in 22 other languages) is zero of a scale of the model's own, and "the same" (1) its end. A
level is a place on that scale. No quantile of unrelated pairs itself lies as high as duplicates do.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from importlib.resources import files

import numpy as np

from nearfield_server.core.computing.gatherer import Embedded
from nearfield_server.core.dedup.nouns import Level
from nearfield_server.types import FloatRows, InputType

__all__ = ["PLACES", "LevelKey", "Levels", "floor_of", "unrelated_texts"]

PLACES = {Level.STRICT: 0.9, Level.NORMAL: 0.75, Level.LOOSE: 0.6}
"""Where the levels lie between unrelated (0) and the same (1)."""
_QUANTILE = 0.99
_MOST_KEPT = 256

LevelKey = tuple[str, str, int, InputType | None]
"""Model, its version, width of the vectors, and what texts are embedded for."""
_Embed = Callable[[Sequence[str]], Awaitable[Embedded]]


class Levels:
    """Thresholds by model and version, computed when first asked for. Used on the event loop."""

    def __init__(self) -> None:
        """Know nothing yet."""
        self._floors: dict[LevelKey, float] = {}
        self._one_at_a_time = asyncio.Lock()

    async def threshold(self, level: Level, key: LevelKey, embed: _Embed) -> float:
        """Give the cosine from which on items are duplicates; `embed` makes vectors as `key` says, and may raise."""
        async with self._one_at_a_time:
            if (floor := self._floors.get(key)) is None:
                found = await embed(unrelated_texts())
                floor = await asyncio.to_thread(floor_of, found.rows)
                # Another version may have come meanwhile: then this is of that one, and is computed anew next time.
                if (found.model, found.model_version) == key[:2]:
                    self._floors[key] = floor
                while len(self._floors) > _MOST_KEPT:
                    del self._floors[next(iter(self._floors))]
        return floor + PLACES[level] * (1.0 - floor)


def unrelated_texts() -> list[str]:
    """Give sentences that have nothing to do with each other."""
    return files("nearfield_server.core.dedup").joinpath("unrelated.txt").read_text("utf-8").splitlines()


def floor_of(rows: FloatRows) -> float:
    """Give the similarity that hardly any pair of unrelated rows exceeds."""
    pairs = np.triu_indices(len(rows), 1)
    return float(np.quantile((rows @ rows.T)[pairs], _QUANTILE))
