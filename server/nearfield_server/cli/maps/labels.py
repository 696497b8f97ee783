"""Where names go in the picture: page/labels.js in Python, for one scale.

Names come in the order of their clusters' sizes. Each takes the first place that touches no name before it: on its
cluster if that's wide, else above or below it, and none if those are taken.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from nearfield_server.cli.maps.data import plain

__all__ = ["Box", "lines_of", "place"]

_CHARACTERS = 22
"""Of a line."""

_GAP = 4.0
"""Pixels between a name and its cluster."""


@dataclass(frozen=True, slots=True)
class Box:
    """A rectangle by its centre and half its sides, in pixels."""

    x: float
    y: float
    half_width: float
    half_height: float

    def touches(self, other: Box) -> bool:
        """Tell whether they share a place."""
        return (
            abs(self.x - other.x) < self.half_width + other.half_width
            and abs(self.y - other.y) < self.half_height + other.half_height
        )


def place(wanted: Box, spread: float, taken: Sequence[Box], *, wide: float, top: float) -> Box | None:
    """Find a free place, between 0 and `top`, for a name that is wanted on its cluster.

    The cluster's points mostly lie within `spread` of its middle; one at least `wide` high carries its name.
    """
    aside = min(spread, wide / 2) + wanted.half_height + _GAP
    for shift in (0.0, aside, -aside) if spread * 2 > wide else (aside, -aside):
        box = replace(wanted, y=wanted.y + shift)
        inside = box.half_height <= box.y <= top - box.half_height
        if inside and not any(box.touches(other) for other in taken):
            return box
    return None


def lines_of(name: str) -> list[str]:
    """Break a name into two lines at most; what is longer is cut."""
    lines = [""]
    for word in plain(name).split(" "):
        longer = f"{lines[-1]} {word}".strip()
        if len(longer) <= _CHARACTERS:
            lines[-1] = longer
        elif lines[-1] and len(lines) == 1:
            lines.append(word)
        else:
            return [*lines[:-1], _cut(longer)]
    return [_cut(line) for line in lines]


def _cut(line: str) -> str:
    return line if len(line) <= _CHARACTERS else line[: _CHARACTERS - 1].rstrip() + "…"
