"""A map's data as JSON of short strings, and its texts apart from it; page/data.js unpacks both.

Coordinates are 16-bit integers over the longer side, finer than a pixel until far in; clusters are places in the list
of clusters, the largest number being noise; texts are cut, and gzip makes a fifth of them. JSON can't close the script
element that it stands in, as every `<` is escaped.
"""

from __future__ import annotations

import base64
import gzip
import json

import numpy as np
import numpy.typing as npt

from nearfield_server.cli.maps.data import NOISE, Cluster, MapData
from nearfield_server.cli.maps.palette import DARK, LIGHT, NOISE_DARK, NOISE_LIGHT, choose

__all__ = ["MAX_CHARACTERS", "encode", "encode_items", "squared"]

MAX_CHARACTERS = 300
"""Of a text; longer ones are cut."""

_STEPS = 65535


def encode(data: MapData, clusters: list[Cluster]) -> str:
    """Write JSON that is safe inside a script element."""
    wide = len(clusters) >= _STEPS
    whole = {
        "version": 1,
        "count": len(data.coordinates),
        "title": data.title,
        "subtitle": data.subtitle,
        "coordinates": _base64(_quantised(squared(data.coordinates))),
        "clusterBytes": 4 if wide else 2,
        "clusters": _packed(_places(data.clusters, clusters).astype("<u4" if wide else "<u2").tobytes()),
        "names": [one.name for one in clusters],
        "colours": choose([one.centre for one in clusters]),
        "light": [*LIGHT, NOISE_LIGHT],
        "dark": [*DARK, NOISE_DARK],
    }
    return json.dumps(whole, separators=(",", ":")).replace("<", "\\u003c")


def encode_items(data: MapData) -> str:
    """Write texts and ids, by far the most of a page, as base64."""
    return _packed(json.dumps({"texts": [_cut(text) for text in data.texts], "ids": list(data.ids)}).encode())


def squared(coordinates: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Move and scale coordinates into -1 to 1, the longer side filling that; float64 [items, 2]."""
    exact = coordinates.astype(np.float64)
    low, high = exact.min(axis=0), exact.max(axis=0)
    half: float = (high - low).max() / 2 or 1.0
    places: npt.NDArray[np.float64] = (exact - (low + high) / 2) / half
    return places


def _quantised(coordinates: npt.NDArray[np.float64]) -> bytes:
    """All x, then all y: little-endian 16 bits each."""
    steps = np.rint((coordinates + 1) / 2 * _STEPS).astype("<u2")
    return steps.T.tobytes()


def _places(ids: npt.NDArray[np.int32], clusters: list[Cluster]) -> npt.NDArray[np.int64]:
    """Place of each item's cluster; noise is -1, which an unsigned type turns into its largest number."""
    known = np.array([NOISE, *(one.id for one in clusters)], dtype=np.int64)
    order = np.argsort(known)
    return order[np.searchsorted(known[order], ids)] - 1


def _cut(text: str) -> str:
    return text if len(text) <= MAX_CHARACTERS else text[: MAX_CHARACTERS - 1].rstrip() + "…"


def _packed(content: bytes) -> str:
    # Without a time: the same map is the same file.
    return _base64(gzip.compress(content, 9, mtime=0))


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode("ascii")
