"""A threshold out of the data: the valley between rows that have a near duplicate and rows that have none."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import numpy.typing as npt

__all__ = ["bars", "valley"]

_BINS = 50
_LEAST_ROWS = 100
_LEAST_THRESHOLD = 0.5
_LEAST_SHARE = 0.005
_DEPTH = 0.5
_SHOWN_FROM = 15
_WIDTH = 50

_Similarities = npt.NDArray[np.float32]


def valley(similarities: _Similarities) -> float | None:
    """Give the similarity at the bottom of the valley, `None` where there is none.

    Of a smoothed histogram in steps of 0.02 it is the step, from 0.5 on, that lies deepest below the lower of the
    highest steps at either side. It counts where it is at most half as high as that one, which must hold half a per
    cent of the rows.
    """
    if len(similarities) < _LEAST_ROWS:
        return None
    counts = _smooth(_histogram(similarities))
    best, bottoms = 0.0, [0]
    for step in range(int(_LEAST_THRESHOLD * _BINS), _BINS - 1):
        lower = min(counts[:step].max(), counts[step + 1 :].max())
        if lower < _LEAST_SHARE * len(similarities) or counts[step] > _DEPTH * lower:
            continue
        if (depth := lower - counts[step]) > best:
            best, bottoms = depth, [step]
        elif depth == best:
            bottoms.append(step)
    # The middle of a flat bottom.
    return (bottoms[len(bottoms) // 2] + 0.5) / _BINS if best else None


def bars(similarities: _Similarities, threshold: float | None) -> Iterator[str]:
    """Give the lines of a histogram; the one with the threshold is marked."""
    counts = _histogram(similarities)
    shown = np.concatenate([[counts[:_SHOWN_FROM].sum()], counts[_SHOWN_FROM:]])
    most = max(1, int(shown[1:].max()))
    for at, count in enumerate(shown.tolist()):
        start, end = (0.0 if at == 0 else (_SHOWN_FROM + at - 1) / _BINS), (_SHOWN_FROM + at) / _BINS
        mark = " <- threshold" if threshold is not None and start <= threshold < end else ""
        bar = "#" * min(_WIDTH, round(_WIDTH * count / most)) or ("." if count else "")
        yield f"{start:.2f}-{end:.2f} {int(count):>8,} {bar}{mark}"


def _histogram(similarities: _Similarities) -> npt.NDArray[np.float64]:
    return np.histogram(np.clip(similarities, 0.0, 1.0), _BINS, (0.0, 1.0))[0].astype(np.float64)


def _smooth(counts: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    padded = np.concatenate([counts[:1], counts, counts[-1:]])
    return np.asarray((padded[:-2] + 2.0 * padded[1:-1] + padded[2:]) / 4.0)
