"""The nearest of the unit rows seen so far, by cosine; rows are only ever added.

Few rows are compared with all: one matrix product. More lie in cells (k-means, faiss inverted lists), of which a search
looks into the nearest. Cells are made anew whenever there are four times as many rows, four times the square root of
them: a search costs little more than the square root of the rows, making cells a few thousandths of embedding. There
rows have half precision, which makes searches 45% faster and similarities wrong by less than 0.0001.

Calls are for one thread at a time, off the event loop: faiss lets other threads of Python run, and takes one core.
"""

from __future__ import annotations

import importlib.util
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.types import FloatRows

__all__ = ["EXACT_ROWS", "NearIndex", "Slots"]

EXACT_ROWS = 4096
"""Up to so many rows the search is exact."""
_GROWTH = 4
_LEAST_CAPACITY = 256
_CELLS_PER_ROOT = 4
_PROBED_SHARE = 24
_LEAST_PROBES = 32
"""With 13,000 real texts 32 of 454 cells find 99.4% of the neighbours from 0.7 on, and 16 find 98.7%."""
_LEAST_PER_CELL = 4
_SAMPLES_PER_CELL = 24
_ITERATIONS = 6
_COPIED_ROWS = 16_384

Slots = npt.NDArray[np.int64]
"""Numbers of rows, from 0 in the order of adding; -1: none."""


class NearIndex:
    """Rows of one width."""

    def __init__(self, dimensions: int, exact_rows: int = EXACT_ROWS) -> None:
        """Hold nothing yet; above `exact_rows` cells are made."""
        self._dimensions = dimensions
        self._exact_rows = exact_rows
        self._rows: FloatRows = np.empty((0, dimensions), np.float32)
        self._cells: Any = None
        self._made_for = 0
        self._count = 0

    def __len__(self) -> int:
        """How many rows there are."""
        return self._count

    def search(self, rows: FloatRows, count: int) -> tuple[FloatRows, Slots]:
        """Give similarities and slots [rows, count] of the nearest, best first; slot -1 where there are fewer."""
        if self._cells is not None:
            _one_thread()
            similarities, slots = self._cells.search(np.ascontiguousarray(rows), count)
            return similarities, slots
        similarities = np.full((len(rows), count), -2.0, np.float32)
        slots = np.full((len(rows), count), -1, np.int64)
        if most := min(count, self._count):
            everyone = rows @ self._rows[: self._count].T
            best = np.argsort(-everyone, axis=1, kind="stable")[:, :most] if most > 1 else _greatest(everyone)
            slots[:, :most] = best
            similarities[:, :most] = np.take_along_axis(everyone, best, axis=1)
        return similarities, slots

    def rows(self, slots: Slots) -> FloatRows:
        """Give rows by their slots."""
        if self._cells is None:
            return self._rows[slots]
        return np.asarray(self._cells.reconstruct_batch(slots), np.float32)

    def add(self, rows: FloatRows) -> None:
        """Add rows; they get the next slots."""
        if not len(rows):
            return
        if self._cells is not None:
            _one_thread()
            self._cells.add(np.ascontiguousarray(rows))
        else:
            self._append(rows)
        self._count += len(rows)
        if self._count > max(self._exact_rows, _GROWTH * self._made_for) and _has_cells():
            self._make_cells()

    def _append(self, rows: FloatRows) -> None:
        if (needed := self._count + len(rows)) > len(self._rows):
            wider = np.empty((max(_LEAST_CAPACITY, 2 * len(self._rows), needed), self._dimensions), np.float32)
            wider[: self._count] = self._rows[: self._count]
            self._rows = wider
        self._rows[self._count : needed] = rows

    def _make_cells(self) -> None:
        """Divide all rows anew."""
        import faiss  # noqa: PLC0415  only long streams need it

        _one_thread()
        cells = max(1, min(int(_CELLS_PER_ROOT * math.sqrt(self._count)), self._count // _LEAST_PER_CELL))
        made = faiss.IndexIVFScalarQuantizer(
            faiss.IndexFlatIP(self._dimensions),
            self._dimensions,
            cells,
            faiss.ScalarQuantizer.QT_fp16,
            faiss.METRIC_INNER_PRODUCT,
            False,
        )
        made.cp.spherical, made.cp.niter, made.cp.min_points_per_centroid = True, _ITERATIONS, 1
        sample = np.linspace(0, self._count - 1, min(self._count, _SAMPLES_PER_CELL * cells)).astype(np.int64)
        made.train(self.rows(sample))
        made.make_direct_map(new_maintain_direct_map=True)
        made.nprobe = max(_LEAST_PROBES, cells // _PROBED_SHARE)
        for start in range(0, self._count, _COPIED_ROWS):
            made.add(self.rows(np.arange(start, min(start + _COPIED_ROWS, self._count))))
        self._cells, self._made_for = made, self._count
        self._rows = np.empty((0, self._dimensions), np.float32)


def _greatest(everyone: FloatRows) -> Slots:
    return np.asarray(everyone.argmax(axis=1)[:, None], np.int64)


def _has_cells() -> bool:
    """Whether faiss is installed (the extra `cluster`); without it all rows are compared, however many."""
    return importlib.util.find_spec("faiss") is not None


def _one_thread() -> None:
    """OpenMP's setting belongs to the calling thread, so it is made with each call; it costs a microsecond."""
    import faiss  # noqa: PLC0415  loaded already

    faiss.omp_set_num_threads(1)
