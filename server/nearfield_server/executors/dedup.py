"""Duplicates over shards: the same text first, by digests, then near ones, by vectors. The first of a group is kept.

Near duplicates are looked for in cells: k-means of a sample. Each row goes to its nearest three cells, and is compared
with all rows of these. The groups are stars: rows are taken in order, and a row goes to the first kept one that is
similar enough. So each is similar to the kept one of its group, and nothing chains.

A run keeps what it scattered in a folder beside its parts, and drops it at the end.
"""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from nearfield_server.core.clustering.fit.kmeans import fit_kmeans
from nearfield_server.executors import held
from nearfield_server.executors.base import Executor
from nearfield_server.executors.cells import Comparison, Pairs, Scatter, Task, compare, digests
from nearfield_server.executors.shards import Parts, Shard, read_shard
from nearfield_server.types import FloatRows

__all__ = ["Dedup", "Duplicates", "dedup_shards", "stars"]

_SAMPLE_PER_CELL = 20
_MOST_CELLS = 4096
_ROWS_PER_BUCKET = 200_000
"""Copies of rows that one worker compares at a time: with 384 components about 300 MB."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Dedup:
    """What to do.

    Attributes:
        threshold: cosine from which on rows are near duplicates; above 1: only the same text counts.
        text_column: of what is compared exactly; empty: the vectors are.
        column: of vectors.
        id_column: carried into the parts; empty: none.
        seed: of the cells.
    """

    threshold: float
    text_column: str = ""
    column: str = "embedding"
    id_column: str = ""
    seed: int = 0


@dataclass(frozen=True, slots=True)
class Duplicates:
    """What was found, in rows."""

    rows: int
    exact: int
    near: int

    @property
    def kept(self) -> int:
        """Rows that are no duplicate of an earlier one."""
        return self.rows - self.exact - self.near


@dataclass(frozen=True, slots=True)
class _Marks:
    """For each row of all shards: the row that it is a duplicate of (itself, if it is kept), and how similar."""

    firsts: npt.NDArray[np.int64]
    similarities: npt.NDArray[np.float32]
    exact: npt.NDArray[np.bool_]


def dedup_shards(executor: Executor, job: Dedup, shards: Sequence[Shard], parts: Parts) -> Duplicates:
    """Find duplicates, and write a part for each shard: `row`, the `id`, `duplicate_of`, `similarity`, `exact`."""
    firsts = _same(executor, job, shards)
    everyone = np.arange(len(firsts))
    exact = firsts != everyone
    similarities = np.ones(len(firsts), np.float32)
    if job.threshold <= 1.0:
        pairs = _near(executor, job, _kept_of(shards, ~exact), parts.folder / ".cells")
        for row, first, similarity in stars(pairs):
            firsts[row], similarities[row] = first, similarity
        # A row of the same text as one that went to another goes there too.
        firsts[exact], similarities[exact] = firsts[firsts[exact]], similarities[firsts[exact]]
    marks = _Marks(firsts, similarities, exact)
    tasks = [Task(shard, _of(shard, marks)) for shard in shards]
    for _ in executor.map(partial(_write, job.id_column, parts), tasks):
        pass
    return Duplicates(len(firsts), int(exact.sum()), int(((firsts != everyone) & ~exact).sum()))


def stars(pairs: Pairs) -> list[tuple[int, int, float]]:
    """Give each row that isn't kept, with the kept one and their similarity."""
    order = np.lexsort((pairs.earlier, pairs.later))
    taken: dict[int, int] = {}
    found: list[tuple[int, int, float]] = []
    for later, earlier, similarity in zip(
        pairs.later[order].tolist(), pairs.earlier[order].tolist(), pairs.similarities[order].tolist(), strict=True
    ):
        # All pairs of earlier rows came before: whether `earlier` is kept is known.
        if later not in taken and earlier not in taken:
            taken[later] = earlier
            found.append((later, earlier, similarity))
    return found


def _same(executor: Executor, job: Dedup, shards: Sequence[Shard]) -> npt.NDArray[np.int64]:
    """Give the first row of the same text for each; rows without one are their own."""
    columns = [np.empty((0, 2), np.uint64)] * len(shards)
    for place, found in executor.map(partial(digests, job.text_column, job.column), shards):
        columns[place] = found
    both = np.concatenate(columns)
    rows = np.arange(len(both))
    order = np.lexsort((rows, both[:, 1], both[:, 0]))
    ordered = both[order]
    begins = np.concatenate(([True], (ordered[1:] != ordered[:-1]).any(axis=1) | ~ordered[1:].any(axis=1)))
    firsts = np.empty(len(both), np.int64)
    firsts[order] = order[np.flatnonzero(begins)][np.cumsum(begins) - 1]
    return firsts


def _kept_of(shards: Sequence[Shard], kept: npt.NDArray[np.bool_]) -> list[Task[npt.NDArray[np.bool_]]]:
    return [Task(shard, kept[shard.first_row : shard.first_row + shard.rows]) for shard in shards]


def _near(executor: Executor, job: Dedup, tasks: Sequence[Task[npt.NDArray[np.bool_]]], folder: Path) -> Pairs:
    """Give the pairs among the rows that are kept so far."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    try:
        centroids = _cells(executor, job, [task.shard for task in tasks])
        if centroids is None:
            return Pairs.none()
        rows = sum(int(task.matter.sum()) for task in tasks)
        buckets = max(1, min(len(centroids), 3 * rows // _ROWS_PER_BUCKET))
        for _ in executor.map(Scatter(folder, job.column, centroids, buckets), tasks):
            pass
        comparing = Comparison(folder, job.threshold, [task.shard.place for task in tasks])
        return Pairs.joined([found for _, found in executor.map(partial(compare, comparing), range(buckets))])
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _cells(executor: Executor, job: Dedup, shards: Sequence[Shard]) -> FloatRows | None:
    """Give the centres of about as many cells as the root of the number of rows; `None`: there are no vectors."""
    rows = sum(shard.rows for shard in shards)
    cells = min(_MOST_CELLS, max(1, int(np.sqrt(rows))))
    wanted = held.Wanted(min(1.0, _SAMPLE_PER_CELL * cells / rows), job.seed)
    samples = dict(executor.map(partial(_sampled, job.column, wanted), shards))
    filled = [samples[place] for place in range(len(shards)) if len(samples[place])]
    if not filled:
        return None
    sample = np.concatenate(filled)
    return fit_kmeans(sample, min(cells, len(np.unique(sample, axis=0))), job.seed)


def _sampled(column: str, wanted: held.Wanted, shard: Shard) -> FloatRows:
    ((_, rows),) = held.gather(held.opened(column)(shard), wanted)
    return rows


def _of(shard: Shard, marks: _Marks) -> _Marks:
    part = slice(shard.first_row, shard.first_row + shard.rows)
    return _Marks(marks.firsts[part], marks.similarities[part], marks.exact[part])


def _write(id_column: str, parts: Parts, task: Task[_Marks]) -> None:
    shard, marks = task.shard, task.matter
    rows = shard.first_row + np.arange(shard.rows)
    kept = marks.firsts == rows
    columns = {"row": pa.array(rows)}
    if id_column:
        columns["id"] = read_shard(shard, [id_column]).column(id_column)
    columns["duplicate_of"] = pa.array(marks.firsts, mask=kept)
    columns["similarity"] = pa.array(marks.similarities, mask=kept)
    columns["exact"] = pa.array(marks.exact)
    parts.write(shard, pa.table(columns))
