"""Speed of clusterings beside their libraries called directly: what the work around the fit costs.

    python benchmarks/cluster_speed.py VECTORS.npy [--rows 100000] [--k 279] [--method kmeans density]

VECTORS.npy is made by search_vectors.py; more of them are made by jitter. Each fit runs in a process of its own, which
tells the seconds, those of the processor, and its peak of memory. On a machine with other work the ratio of the latter
with OMP_NUM_THREADS=1 OPENBLAS_NUM_THREADS=1 NUMBA_NUM_THREADS=1 is the one to trust: threads that wait count as work.
"""

from __future__ import annotations

import argparse
import multiprocessing
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np
from search_vectors import Rows, spread

from nearfield_server.core.clustering.estimate import estimated_bytes
from nearfield_server.core.clustering.fit.fitting import FitJob, fit
from nearfield_server.core.clustering.nouns import FitOptions, Method
from nearfield_server.processes.worker import peak_bytes, resident_bytes

_MOST = {"kmeans": 1.2, "density": 1.3}
"""Times that the library itself takes."""
_ITERATIONS = 25


def main() -> None:
    """Print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("vectors", type=Path)
    parser.add_argument("--rows", type=int, default=100_000)
    parser.add_argument("--k", type=int, default=279)
    parser.add_argument("--method", nargs="+", choices=sorted(_MOST), default=sorted(_MOST, reverse=True))
    options = parser.parse_args()
    rows = spread(np.load(options.vectors), options.rows)
    print(f"{len(rows)} x {rows.shape[1]}, k = {options.k}\n{'':10} {'seconds':>8} {'CPU':>8} {'peak MiB':>9}")
    for method in options.method:
        direct = _apart(_DIRECT[method], rows, options.k)
        ours = _apart(_ours, rows, options.k, method)
        given = FitOptions(method=Method(method), k=options.k)
        estimate = estimated_bytes(given, len(rows), rows.shape[1], 0) >> 20
        print(f"{method}\n{'  library':10} {direct[0]:8.1f} {direct[1]:8.1f} {direct[2]:9}")
        print(f"{'  ours':10} {ours[0]:8.1f} {ours[1]:8.1f} {ours[2]:9}   estimated {estimate} MiB; {ours[3]}")
        print(
            f"{'  ratio':10} {ours[0] / direct[0]:8.2f} {ours[1] / direct[1]:8.2f}             at most {_MOST[method]}"
        )


def _apart(work: Callable[..., str], rows: Rows, *given: Any) -> tuple[float, float, int, str]:
    """Do it in a process of its own: both seconds, the MiB at its peak beside the rows, and what it tells."""
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(target=_timed, args=(theirs, work, rows, *given))
    process.start()
    theirs.close()
    try:
        found: tuple[float, float, int, str] = ours.recv()
    finally:
        process.join()
    return found


def _timed(connection: Connection, work: Callable[..., str], rows: Rows, *given: Any) -> None:
    before = resident_bytes() - rows.nbytes
    started, working = time.perf_counter(), time.process_time()
    told = work(rows, *given)
    connection.send((time.perf_counter() - started, time.process_time() - working, (peak_bytes() - before) >> 20, told))


def _ours(rows: Rows, k: int, method: str) -> str:
    options = FitOptions(method=Method(method), k=k if method == "kmeans" else None)
    fitted, _ = fit(FitJob(rows=rows, options=options))
    return ", ".join(f"{stage} {seconds:.1f}" for stage, seconds in fitted.stage_seconds.items())


def _faiss(rows: Rows, k: int) -> str:
    import faiss  # noqa: PLC0415 - only in the process that measures it

    found = faiss.Kmeans(rows.shape[1], k, niter=_ITERATIONS, spherical=True, seed=0)
    found.train(rows)
    found.index.search(rows, 1)
    return ""


def _evoc(rows: Rows, _: int) -> str:
    import evoc  # noqa: PLC0415 - importing it compiles

    evoc.EVoC(base_min_cluster_size=5, n_neighbors=15, random_state=0).fit(rows)
    return ""


_DIRECT = {"kmeans": _faiss, "density": _evoc}

if __name__ == "__main__":
    main()
