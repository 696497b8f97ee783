"""Commands over many shards, on this machine or on a Ray cluster: what `--engine` stands for.

`run_embed`, `run_cluster` and `run_dedup` take a request each, and give what the command is to tell.
"""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nearfield_server.cli.failures import CliError, Exit
from nearfield_server.executors.base import Executor, JobFailure

if TYPE_CHECKING:
    from nearfield_server.executors.dedup import Duplicates
    from nearfield_server.executors.embedding import Done
    from nearfield_server.executors.encoding import Embedder
    from nearfield_server.executors.kmeans import Clusters

__all__ = ["ClusterRequest", "DedupRequest", "EmbedRequest", "Engine", "run_cluster", "run_dedup", "run_embed"]

_SHARD_ROWS = 50_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """What a job runs on.

    Attributes:
        name: `local` or `ray`.
        ray_address: of a cluster, `auto` for the one that this machine is in; empty: one is started for the job.
        workers: of `local`; 0: as many as there are CPUs.
        ray_settings: more for `ray.init`.
    """

    name: str = "local"
    ray_address: str = ""
    workers: int = 0
    ray_settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Shards:
    """What the three have in common: Parquet files or folders of them in, a folder of parts out.

    Attributes:
        files: the input.
        out: the folder.
        engine: what it runs on.
        overwrite: drop what is in the folder instead of refusing it, or going on with it.
        shard_rows: about as many rows make a shard, but never less than a row group.
        id_column: carried over as `id`.
    """

    files: tuple[Path, ...]
    out: Path
    engine: Engine = Engine()
    overwrite: bool = False
    shard_rows: int = _SHARD_ROWS
    id_column: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedRequest(_Shards):
    """Embed `text_column`.

    Attributes:
        open_embedder: pickled, and called in the workers; see `embedders`.
        about: what makes a difference to the vectors: an earlier run's parts must have the same.
        keep: columns carried over under their own names.
        told: hears how far it is.
    """

    open_embedder: Callable[[], Embedder]
    about: dict[str, Any]
    text_column: str = "text"
    keep: tuple[str, ...] = ()
    skip_bad_rows: bool = False
    told: Callable[[Done], None] = lambda _done: None


@dataclass(frozen=True, slots=True, kw_only=True)
class ClusterRequest(_Shards):
    """Find `k` clusters of the vectors in `column`. Besides parts, `out` gets centroids.npy."""

    k: int
    column: str = "embedding"
    seed: int = 0
    iterations: int = 25
    told: Callable[[int, float], None] = lambda _iteration, _objective: None


@dataclass(frozen=True, slots=True, kw_only=True)
class DedupRequest(_Shards):
    """Find rows of the same text (where `text_column` is given), or with vectors as similar as `threshold`."""

    threshold: float
    text_column: str = ""
    column: str = "embedding"
    seed: int = 0


def run_embed(request: EmbedRequest) -> Done:
    """Embed all shards that have no part yet.

    Raises:
        CliError: the input, the output folder or a row is wrong, or there is no cluster.
    """
    from nearfield_server.executors.embedding import Embedding, embed_shards  # noqa: PLC0415  loads pyarrow
    from nearfield_server.executors.shards import Parts, shards_of  # noqa: PLC0415

    columns = {name: name for name in request.keep} | ({"id": request.id_column} if request.id_column else {})
    about = {"job": "embed", "text_column": request.text_column, "columns": columns, **request.about}
    with _failing():
        shards = shards_of(request.files, request.shard_rows, [request.text_column, *columns.values()])
        work = Embedding(
            open_embedder=request.open_embedder,
            parts=Parts(request.out, about),
            text_column=request.text_column,
            columns=columns,
            skip_bad_rows=request.skip_bad_rows,
        )
        with _started(request.engine) as executor:
            return embed_shards(executor, work, shards, overwrite=request.overwrite, told=request.told)


def run_cluster(request: ClusterRequest) -> Clusters:
    """Cluster all shards; parts have `row`, the `id`, `cluster` and `distance`.

    Raises:
        CliError: the input or the output folder is wrong, or there is no cluster of machines.
    """
    import numpy as np  # noqa: PLC0415

    _check_installed()
    from nearfield_server.executors.kmeans import KMeans, cluster_shards  # noqa: PLC0415  loads faiss
    from nearfield_server.executors.shards import Parts, shards_of  # noqa: PLC0415

    if request.k < 1:
        raise CliError(f"k is {request.k}, and must be 1 or more")
    job = KMeans(
        k=request.k,
        column=request.column,
        id_column=request.id_column,
        iterations=request.iterations,
        seed=request.seed,
        told=request.told,
    )
    with _failing():
        shards = shards_of(request.files, request.shard_rows, _columns(request.column, request.id_column))
        parts = Parts(request.out, {"job": "cluster", "k": request.k, "seed": request.seed, "column": request.column})
        _refuse_finished(request, len(parts.prepare(shards, overwrite=request.overwrite)) < len(shards))
        with _started(request.engine) as executor:
            clusters = cluster_shards(executor, job, shards, parts)
        np.save(request.out / "centroids.npy", clusters.centroids)
        return clusters


def run_dedup(request: DedupRequest) -> Duplicates:
    """Find duplicates in all shards; parts have `row`, the `id`, `duplicate_of` (null: kept), `similarity` and `exact`.

    Raises:
        CliError: the input or the output folder is wrong, or there is no cluster of machines.
    """
    _check_installed()
    from nearfield_server.executors.dedup import Dedup, dedup_shards  # noqa: PLC0415  loads faiss
    from nearfield_server.executors.shards import Parts, shards_of  # noqa: PLC0415

    vectors = request.column if request.threshold <= 1.0 or not request.text_column else ""
    job = Dedup(
        threshold=request.threshold,
        text_column=request.text_column,
        column=request.column,
        id_column=request.id_column,
        seed=request.seed,
    )
    with _failing():
        shards = shards_of(request.files, request.shard_rows, _columns(vectors, request.text_column, request.id_column))
        about = {"job": "dedup", "threshold": request.threshold, "text_column": request.text_column}
        parts = Parts(request.out, {**about, "column": request.column, "seed": request.seed})
        _refuse_finished(request, len(parts.prepare(shards, overwrite=request.overwrite)) < len(shards))
        with _started(request.engine) as executor:
            return dedup_shards(executor, job, shards, parts)


def _refuse_finished(request: _Shards, there: bool) -> None:
    # Labels of two runs don't go together: what one calls cluster 3 another doesn't.
    if there:
        raise CliError(f"{request.out} holds parts of an earlier run; --overwrite drops them")


def _check_installed() -> None:
    missing = [one for one in ("faiss", "scipy", "sklearn") if importlib.util.find_spec(one) is None]
    if missing:
        raise CliError(f'--engine needs {", ".join(missing)}: pip install "nearfield[cluster]"')


def _columns(*names: str) -> Sequence[str]:
    return [name for name in names if name]


@contextmanager
def _failing() -> Iterator[None]:
    """Tell what ends a job as commands do."""
    try:
        yield
    except JobFailure as error:
        raise CliError(str(error), Exit.FAILED) from error


@contextmanager
def _started(engine: Engine) -> Iterator[Executor]:
    executor = _executor(engine)
    try:
        yield executor
    finally:
        executor.close()


def _executor(engine: Engine) -> Executor:
    if engine.name == "local":
        from nearfield_server.config.machine import effective_cpu_count  # noqa: PLC0415
        from nearfield_server.executors.local import LocalExecutor  # noqa: PLC0415

        return LocalExecutor(engine.workers or effective_cpu_count())
    try:
        from nearfield_server.executors.ray import RayExecutor  # noqa: PLC0415  loads ray
    except ModuleNotFoundError as error:
        raise CliError('--engine ray needs Ray: pip install "nearfield[ray]"') from error
    return RayExecutor(engine.ray_address, **engine.ray_settings)
