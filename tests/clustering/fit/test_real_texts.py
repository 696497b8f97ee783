"""Clusterings of labelled titles against plain libraries, with the real encoder."""

import gzip
import json
from types import SimpleNamespace

import numpy as np
import pytest
from sklearn.cluster import HDBSCAN, KMeans
from sklearn.metrics import v_measure_score

from nearfield_server.core.clustering.nouns import Method
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.loader import load
from nearfield_server.encoder.tokenizer import TextOptions

pytestmark = pytest.mark.long

ITEMS, LABELS, BATCH = 1000, 20, 50


@pytest.fixture(scope="module")
def titles(shared_data, unit):
    file = shared_data / "clustering" / "stackoverflow_titles.jsonl.gz"
    lines = [json.loads(line) for line in gzip.decompress(file.read_bytes()).decode().split("\n") if line]
    chosen = [lines[at] for at in np.random.RandomState(0).permutation(len(lines))[:ITEMS]]
    chosen.sort(key=lambda one: len(one["text"]))
    texts, model = [one["text"] for one in chosen], load("m", builtin_folder(), device="cpu")
    parts = [model.tokenizer.encode(texts[at : at + BATCH], TextOptions()) for at in range(0, ITEMS, BATCH)]
    rows = unit([one.dense for part in parts for one in model.encoder(part)])
    return SimpleNamespace(texts=texts, truth=[one["label"] for one in chosen], rows=rows)


def test_kmeans_keeps_up_with_scikit_learn(fitted, titles):
    """Within 0.01: seeds alone change about as much."""
    ours, theirs = [], []
    for seed in range(3):
        ours.append(v_measure_score(titles.truth, fitted(titles.rows, k=LABELS, seed=seed)[1].clusters))
        plain = KMeans(LABELS, n_init=3, random_state=seed).fit_predict(titles.rows)
        theirs.append(v_measure_score(titles.truth, plain))
    assert np.mean(ours) > np.mean(theirs) - 0.01


def test_density_is_better_than_hdbscan(fitted, titles):
    ours = fitted(titles.rows, method=Method.DENSITY)[1].clusters
    theirs = HDBSCAN(min_cluster_size=5, copy=True).fit_predict(titles.rows)
    assert v_measure_score(titles.truth, ours) > v_measure_score(titles.truth, theirs) + 0.1


def test_names_say_what_titles_are_about(fitted, titles):
    told, _ = fitted(titles.rows, titles.texts, k=LABELS)
    words = " ".join(one.name for one in told.clusters)
    assert (
        sum(one in words for one in ("wordpress", "excel", "bash", "hibernate", "matlab", "qt", "svn", "haskell")) >= 6
    )


def test_the_chosen_k_is_near_the_labels(fitted, titles):
    assert 14 <= fitted(titles.rows)[0].options.k <= 26
