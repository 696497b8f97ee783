"""Quality of clusterings of labelled texts, against plain k-means, HDBSCAN and published figures.

    python benchmarks/cluster_quality.py [--seeds 3] [--items 2000] [--reference reference.json] FILE.jsonl.gz...

FILEs hold JSON lines with "text" and "label". As in the reference, `items` of each are drawn with NumPy's
RandomState(0); k-means is told the number of labels. V-measure and adjusted Rand index are means over the seeds.
"""

from __future__ import annotations

import argparse
import gzip
import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import numpy.typing as npt
from search_vectors import Rows, encoded
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import adjusted_rand_score, v_measure_score

from nearfield_server.core.clustering.fit.fitting import FitJob, fit
from nearfield_server.core.clustering.nouns import FitOptions, Linkage, Method

Labels = npt.NDArray[Any]
Way = Callable[[Rows, int], Labels]


def main() -> None:
    """Print a table for each file."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("files", nargs="+", type=Path)
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--items", type=int, default=2000)
    parser.add_argument("--reference", type=Path, help='figures: {"clustering/NAME": {"v_measure", "ari"}}')
    options = parser.parse_args()
    known = json.loads(options.reference.read_text()) if options.reference else {}
    for file in options.files:
        name = file.name.split(".")[0]
        truth, rows = _sample(file, options.items)
        print(f"\n{name}: {len(rows)} items, {len(set(truth))} labels\n")
        print(f"{'':32} {'V':>7} {'ARI':>7} {'clusters':>9} {'seconds':>8}")
        if reference := known.get(f"clustering/{name}"):
            print(f"{'reference':32} {reference['v_measure']:7.4f} {reference['ari']:7.4f}")
        for title, way in _ways(len(set(truth))):
            _print(title, truth, rows, way, options.seeds)


def _sample(file: Path, items: int) -> tuple[list[str], Rows]:
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().split("\n") if line]
    chosen = [lines[at] for at in np.random.RandomState(0).permutation(len(lines))[:items]]
    return [one["label"] for one in chosen], encoded([one["text"] for one in chosen])


def _ways(k: int) -> Iterator[tuple[str, Way]]:
    yield "scikit-learn KMeans, n_init=3", lambda rows, seed: KMeans(k, n_init=3, random_state=seed).fit_predict(rows)
    yield "faiss Kmeans, spherical", lambda rows, seed: _faiss(rows, k, seed)
    yield "scikit-learn HDBSCAN", lambda rows, _: HDBSCAN(min_cluster_size=5, copy=True).fit_predict(rows)
    yield "ours: KMEANS, k told", lambda rows, seed: _ours(rows, seed, k=k)
    yield "ours: KMEANS, k chosen", _ours
    yield "ours: DENSITY", lambda rows, seed: _ours(rows, seed, method=Method.DENSITY)
    yield "ours: DENSITY, target told", _density_at(k, noise=False)
    yield "ours: DENSITY, noise assigned", _density_at(k, noise=True)
    yield (
        "ours: AGGLOMERATIVE, Ward",
        lambda rows, seed: _ours(rows, seed, k=k, method=Method.AGGLOMERATIVE, linkage=Linkage.WARD),
    )


def _density_at(k: int, *, noise: bool) -> Way:
    return lambda rows, seed: _ours(rows, seed, method=Method.DENSITY, target_clusters=k, assign_noise=noise)


def _faiss(rows: Rows, k: int, seed: int) -> Labels:
    found = faiss.Kmeans(rows.shape[1], k, niter=25, spherical=True, seed=seed, max_points_per_centroid=len(rows))
    found.train(rows)
    return np.asarray(found.index.search(rows, 1)[1]).ravel()


def _ours(rows: Rows, seed: int, **options: Any) -> Labels:
    return fit(FitJob(rows=rows, options=FitOptions(seed=seed, **options)))[1].clusters


def _print(title: str, truth: list[str], rows: Rows, way: Way, seeds: int) -> None:
    started = time.perf_counter()
    found = [way(rows, seed) for seed in range(seeds)]
    seconds = (time.perf_counter() - started) / seeds
    v = np.mean([v_measure_score(truth, one) for one in found])
    ari = np.mean([adjusted_rand_score(truth, one) for one in found])
    clusters = ",".join(str(len(set(one[one >= 0].tolist()))) for one in found)
    print(f"{title:32} {v:7.4f} {ari:7.4f} {clusters:>9} {seconds:8.2f}")


if __name__ == "__main__":
    main()
