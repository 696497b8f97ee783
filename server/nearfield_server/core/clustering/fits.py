"""A fit by a worker: the message to it, and what comes back. `fit.operation` is the other end."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from nearfield_server.core.clustering.codec import pack_options, unpack_arrays, unpack_fitted
from nearfield_server.core.clustering.nouns import Arrays, FitOptions, Fitted, IntColumn
from nearfield_server.core.computing.matter import Matter
from nearfield_server.core.computing.pool import ComputePool, Told
from nearfield_server.processes.frames import Frame
from nearfield_server.types import FloatRows

__all__ = ["LIBRARIES", "Known", "Task", "run_fit"]

LIBRARIES = ("evoc", "faiss", "numba", "scipy", "sklearn", "stopwordsiso")


@dataclass(frozen=True, slots=True, kw_only=True)
class Known:
    """The clustering whose ids live on; see `fit.fitting.Previous`."""

    ids: list[int]
    next_id: int
    centroids: FloatRows
    clusters: IntColumn


@dataclass(frozen=True, slots=True, kw_only=True)
class Task:
    """One fit. `names`: vectors of the names to choose from."""

    matter: Matter
    options: FitOptions
    names: FloatRows | None = None
    previous: Known | None = None


async def run_fit(pool: ComputePool, task: Task, told: Told) -> tuple[Fitted, Arrays]:
    """Fit, in a `turn` of the pool. Raises as `ComputePool.run`."""
    answer, body = await pool.run(*_message(task), told)
    fitted = await asyncio.to_thread(unpack_fitted, answer["fitted"])
    return fitted, unpack_arrays(answer["arrays"], body)


def _message(task: Task) -> Frame:
    parts = []
    previous = None
    if task.names is not None:
        parts.append(task.names.astype("<f4").tobytes())
    if (known := task.previous) is not None:
        previous = {"ids": known.ids, "next_id": known.next_id}
        parts += [known.centroids.astype("<f4").tobytes(), known.clusters.astype("<i4").tobytes()]
    header = {
        "op": "fit",
        **task.matter.place(),
        "options": pack_options(task.options),
        "names": 0 if task.names is None else len(task.names),
        "previous": previous,
    }
    return header, b"".join(parts)
