"""The map as a PNG, in the page's light colours, by matplotlib."""

from __future__ import annotations

import math
import warnings
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from nearfield_server.cli.failures import CliError
from nearfield_server.cli.maps.data import NOISE, Cluster, MapData, clusters_of, plain
from nearfield_server.cli.maps.encoding import squared
from nearfield_server.cli.maps.labels import Box, lines_of, place
from nearfield_server.cli.maps.palette import LIGHT, NOISE_LIGHT, choose

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.text import Text

__all__ = ["HEIGHT", "WIDTH", "write_picture"]

WIDTH, HEIGHT = 2000, 1500
"""Of the picture, in pixels."""

_PAPER, _INK, _SOFT = "#fbfbfa", "#1c2027", "#5d6570"
_POINTS = 0.72
"""Points (of type) in a pixel, at 100 pixels an inch."""

_HEAD, _TITLE, _MARGIN = 160, 124, 70
_MOST_LABELS = 150
_WIDE = 70
"""A cluster this many pixels high, or more, carries its name; one narrower has it above or below."""

_FONTS = ("Noto Sans", "DejaVu Sans", "Noto Sans CJK SC", "Noto Sans CJK JP", "Noto Sans Arabic", "Noto Sans Hebrew")


def write_picture(path: str | Path, data: MapData) -> None:
    """Write the picture.

    Raises:
        CliError: matplotlib isn't installed.
        OSError: the file can't be written.
    """
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg  # noqa: PLC0415  an extra, and slow to import
        from matplotlib.figure import Figure  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise CliError(f'a picture needs {error.name}, which is not installed: pip install "nearfield[maps]"') from None
    figure = Figure(figsize=(WIDTH / 100, HEIGHT / 100), dpi=100, facecolor=_PAPER)
    FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    axes.set(xlim=(0, WIDTH), ylim=(0, HEIGHT))
    axes.axis("off")
    clusters = clusters_of(data)
    pixels = _pixels(data)
    _points(axes, data, clusters, pixels)
    with warnings.catch_warnings():
        # A script that no installed font has: boxes in the picture, no reason to stop or to fill the terminal.
        warnings.filterwarnings("ignore", message=r"Glyph .* missing from")
        _names(axes, data, clusters, pixels)
        _head(axes, data)
        figure.savefig(path, format="png", facecolor=_PAPER, metadata={"Software": None})


def _pixels(data: MapData) -> npt.NDArray[np.float64]:
    """Places in the picture, from its bottom left; float64 [items, 2]."""
    places = squared(data.coordinates)
    half = np.maximum(np.abs(places).max(axis=0), 1e-9)
    free = np.array([WIDTH - 2 * _MARGIN, HEIGHT - _HEAD - _MARGIN]) / 2
    scale = (free / half).min() if len(places) > 1 else 0.0
    centre = np.array([WIDTH / 2, _MARGIN + free[1]])
    pixels: npt.NDArray[np.float64] = centre + places * scale
    return pixels


def _points(axes: Axes, data: MapData, clusters: list[Cluster], pixels: npt.NDArray[np.float64]) -> None:
    count = math.log10(len(pixels))
    diameter = min(11.0, max(2.6, 19 - 3.2 * count))
    opacity = min(0.85, max(0.45, 1.3 - 0.15 * count))
    noise = data.clusters == NOISE
    colours = np.zeros((len(pixels), 4))
    for cluster, place_ in zip(clusters, choose([one.centre for one in clusters]), strict=True):
        colours[data.clusters == cluster.id] = (*_rgb(LIGHT[place_]), opacity)
    colours[noise] = (*_rgb(NOISE_LIGHT), opacity * 0.7)
    # Noise lies below; the others in the order given, which favours no cluster.
    order = np.argsort(~noise, kind="stable")
    x, y = pixels[order].T
    axes.scatter(x, y, s=(diameter * _POINTS) ** 2, c=colours[order], linewidths=0)


def _rgb(colour: str) -> tuple[float, ...]:
    return tuple(int(colour[at : at + 2], 16) / 255 for at in (1, 3, 5))


def _names(axes: Axes, data: MapData, clusters: list[Cluster], pixels: npt.NDArray[np.float64]) -> None:
    from matplotlib import patheffects  # noqa: PLC0415

    halo = [patheffects.withStroke(linewidth=4.5, foreground=_PAPER, alpha=0.85)]
    taken: list[Box] = []
    for cluster in clusters[:_MOST_LABELS]:
        own = pixels[data.clusters == cluster.id]
        x, y = np.median(own, axis=0)
        spread = 1.5 * float(np.median(np.abs(own[:, 1] - y)))
        size = 19 + 6 * math.sqrt(cluster.size / clusters[0].size)
        text = _write(axes, (x, y), "\n".join(lines_of(cluster.name)), size)
        text.set(horizontalalignment="center", verticalalignment="center", path_effects=halo, weight="bold")
        extent = text.get_window_extent()
        half = (extent.width / 2 + 5, extent.height / 2 + 5)
        x = float(np.clip(x, half[0], WIDTH - half[0]))
        box = place(Box(x, float(y), *half), spread, taken, wide=_WIDE, top=HEIGHT - _TITLE)
        if box is None:
            text.remove()
            continue
        taken.append(box)
        text.set_position((box.x, box.y))


def _head(axes: Axes, data: MapData) -> None:
    _write(axes, (_MARGIN, HEIGHT - 62), plain(data.title), 36).set(weight="bold", verticalalignment="center")
    _write(axes, (_MARGIN, HEIGHT - 104), plain(data.subtitle), 22).set(color=_SOFT, verticalalignment="center")


def _write(axes: Axes, position: tuple[float, float], text: str, pixels: float) -> Text:
    from matplotlib import font_manager  # noqa: PLC0415

    installed = set(font_manager.get_font_names())
    return axes.text(
        *position,
        text,
        fontsize=pixels * _POINTS,
        family=[name for name in _FONTS if name in installed],
        color=_INK,
        parse_math=False,  # a dollar is a dollar
        linespacing=0.95,
    )
