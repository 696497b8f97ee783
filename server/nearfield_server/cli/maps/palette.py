"""A colour for each cluster.

No palette has hundreds of colours that can be told apart, least of all by the colour-blind. So colours repeat, names
tell clusters apart, and neighbours on the map get colours that are unlike each other, also to eyes without the red or
the green cones. The colours are Okabe and Ito's and Tol's, with lighter ones for a dark page.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

__all__ = ["DARK", "LIGHT", "NOISE_DARK", "NOISE_LIGHT", "choose"]

LIGHT = (
    "#0072b2", "#d55e00", "#009e73", "#c2599b", "#dd9200", "#3ba3dc",
    "#882255", "#8a8a1f", "#4b3bb0", "#2fa59a", "#a344b0", "#8c5a36",
)  # fmt: skip
"""On a light page."""

DARK = (
    "#4ba6ea", "#ff7f3f", "#2fcf9f", "#f59fd0", "#ffc044", "#95d8ff",
    "#e8709f", "#cfcf62", "#9a8cf2", "#6fded0", "#d888e4", "#d3a47c",
)  # fmt: skip
"""The same hues on a dark page."""

NOISE_LIGHT, NOISE_DARK = "#b9bec7", "#565d69"

_NEAR = 0.12
"""Neighbours are nearer than about this share of the map's width."""

_CAREFUL = 2000
"""So many clusters, the largest, are compared with each other; the rest take colours in turn."""

_USED = 0.3
"""What each use of a colour so far counts, so that all get their turn."""

# Machado, Oliveira and Fernandes (2009), severity 1: what eyes without red or green cones see of linear RGB.
_EYES = (
    np.eye(3),
    np.array([[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]]),
    np.array([[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.011820, 0.042940, 0.968881]]),
)


def choose(centres: Sequence[tuple[float, float]]) -> list[int]:
    """Give each cluster a place in the palettes, in the order of their importance."""
    if not centres:
        return []
    places = np.asarray(centres[:_CAREFUL], dtype=np.float64)
    places = (places - places.min(axis=0)) / (np.ptp(places, axis=0).max() or 1.0)
    alike = _alike()
    chosen: list[int] = []
    used = np.zeros(len(LIGHT))
    for place in range(len(places)):
        distances = np.linalg.norm(places[:place] - places[place], axis=1)
        cost = np.exp(-((distances / _NEAR) ** 2)) @ alike[chosen] + _USED * used / (1 + used.sum())
        best = int(np.argmin(cost))
        chosen.append(best)
        used[best] += len(LIGHT)
    return chosen + [place % len(LIGHT) for place in range(len(chosen), len(centres))]


@functools.cache
def _alike() -> npt.NDArray[np.float64]:
    """How alike two colours are to the eye that sees them least apart: 1 is the same, [colours, colours]."""
    distances = []
    for eye in _EYES:
        colours = np.array([_oklab(np.clip(eye @ _linear(colour), 0, 1)) for colour in LIGHT])
        distances.append(np.linalg.norm(colours[:, None] - colours[None], axis=-1))
    least: npt.NDArray[np.float64] = np.exp(-np.min(distances, axis=0) / 0.1)
    return least


def _linear(colour: str) -> npt.NDArray[np.float64]:
    values = np.array([int(colour[at : at + 2], 16) for at in (1, 3, 5)]) / 255
    linear: npt.NDArray[np.float64] = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4)  # noqa: PLR2004  sRGB's own
    return linear


def _oklab(linear: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Björn Ottosson's OKLab, where distances are about what eyes see."""
    cones = np.cbrt(
        np.array(
            [
                [0.4122214708, 0.5363325363, 0.0514459929],
                [0.2119034982, 0.6806995451, 0.1073969566],
                [0.0883024619, 0.2817188376, 0.6299787005],
            ]
        )
        @ linear
    )
    lab: npt.NDArray[np.float64] = (
        np.array(
            [
                [0.2104542553, 0.7936177850, -0.0040720468],
                [1.9779984951, -2.4285922050, 0.4505937099],
                [0.0259040371, 0.7827717662, -0.8086757660],
            ]
        )
        @ cones
    )
    return lab
