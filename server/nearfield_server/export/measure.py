"""What a graph lost against its reference, whether a text's result hangs on its batch, and how fast it is.

Results are lists with one array per text: [1, width] for a vector, [tokens, width] for token vectors, [1, labels] for
scores. Vectors are compared after L2 normalisation, scores as they are.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.export.runtime import open_graph
from nearfield_server.export.samples import Encoded, batches, feeds
from nearfield_server.export.tasks import Task
from nearfield_server.export.verify import neighbours_kept

__all__ = ["Closeness", "Graph", "batch_dependence", "closeness", "fastest", "similarity_score"]

Floats = npt.NDArray[np.float32]

_MIXED_BATCH = 32
_ROUNDS = 5
_TIMED_TEXTS = 128


class Graph:
    """A graph opened as the server opens it, giving one array per text."""

    def __init__(self, file: Path, task: Task, *, optimize: bool) -> None:
        """Opens `file`; `optimize` lets ONNX Runtime rewrite it. Raises ExportError."""
        self._session = open_graph(str(file), optimize=optimize)
        self._inputs = [one.name for one in self._session.get_inputs()]
        self._output = self._session.get_outputs()[0].name
        self._task = task

    def run(self, texts: Sequence[Encoded]) -> list[Floats]:
        """Results of one batch, in order."""
        (output,) = self._session.run([self._output], feeds(texts, self._inputs))
        if self._task is Task.MULTI:
            return [unit(rows[: len(text)]) for rows, text in zip(output, texts, strict=True)]
        return [row if self._task.scores else unit(row) for row in output.reshape(len(texts), 1, -1)]

    def run_all(self, texts: Sequence[Encoded]) -> list[Floats]:
        """Results of all texts, in batches as the server makes them."""
        found: dict[int, Floats] = {}
        for batch in batches(texts):
            found.update(zip(batch, self.run([texts[index] for index in batch]), strict=True))
        return [found[index] for index in range(len(texts))]


@dataclass(frozen=True, kw_only=True)
class Closeness:
    """How close results are to their reference.

    Vectors: mean and least cosine, and the share of each text's ten nearest that stay so. Scores: their correlation
    over all texts, the largest difference, and the rank correlation (Spearman).
    """

    mean: float
    worst: float
    order: float

    def named(self, task: Task) -> dict[str, float]:
        """The figures under the names that the manifest gives them."""
        scores = ("correlation", "max_difference", "rank_correlation")
        names = scores if task.scores else ("cosine_mean", "cosine_min", "top10_kept")
        return {name: round(value, 5) for name, value in zip(names, asdict(self).values(), strict=True)}


def closeness(found: Sequence[Floats], reference: Sequence[Floats], task: Task) -> Closeness:
    """Compares results with their reference, which needn't be normalised."""
    if task.scores:
        return _scores_closeness(np.concatenate(found), np.concatenate(reference))
    expected = [unit(rows) for rows in reference]
    cosines = np.concatenate([(mine * theirs).sum(axis=1) for mine, theirs in zip(found, expected, strict=True)])
    if task is Task.MULTI:
        kept = _order_kept(_late_interaction(found), _late_interaction(expected))
    else:
        kept = neighbours_kept(np.concatenate(found), np.concatenate(expected), 10)
    return Closeness(mean=min(float(cosines.mean()), 1.0), worst=min(float(cosines.min()), 1.0), order=kept)


def batch_dependence(graph: Graph, texts: Sequence[Encoded]) -> float:
    """Largest difference between a text's result alone and in a batch of 32 texts of all lengths."""
    worst = 0.0
    for start in range(0, len(texts), _MIXED_BATCH):
        batch = texts[start : start + _MIXED_BATCH]
        for text, together in zip(batch, graph.run(batch), strict=True):
            worst = max(worst, float(np.abs(graph.run([text])[0] - together).max()))
    return worst


def fastest(graphs: Mapping[str, Graph], texts: Sequence[Encoded]) -> tuple[str, dict[str, float]]:
    """The name of the fastest graph and the texts per second of each; rounds take turns, the best of each counts."""
    sample = texts[:_TIMED_TEXTS]
    best = dict.fromkeys(graphs, float("inf"))
    for _ in range(_ROUNDS):
        for name, graph in graphs.items():
            start = time.perf_counter()
            graph.run_all(sample)
            best[name] = min(best[name], time.perf_counter() - start)
    rates = {name: len(sample) / seconds for name, seconds in best.items()}
    return max(rates, key=lambda name: rates[name]), rates


def similarity_score(first: Sequence[Floats], second: Sequence[Floats], gold: Sequence[float], task: Task) -> float:
    """100 times the Spearman correlation of the likeness of pairs with the judgement of people."""
    if task is Task.MULTI:
        found = [float((a @ b.T).max(axis=1).mean()) for a, b in zip(first, second, strict=True)]
    else:
        found = [float((a * b).sum()) for a, b in zip(first, second, strict=True)]
    return 100 * rank_correlation(np.asarray(found), np.asarray(gold, np.float64))


def rank_correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    """Spearman's rho; ties share their mean rank."""
    return _correlation(_ranks(a), _ranks(b))


def unit(rows: npt.NDArray[Any]) -> Floats:
    """Rows of length 1; rows of zeros stay."""
    return np.asarray(rows / np.maximum(np.linalg.norm(rows, axis=-1, keepdims=True), 1e-12), np.float32)


def _scores_closeness(found: Floats, expected: Floats) -> Closeness:
    columns = range(found.shape[1])
    return Closeness(
        mean=min(_correlation(found[:, one], expected[:, one]) for one in columns),
        worst=float(np.abs(found - expected).max()),
        order=min(rank_correlation(found[:, one], expected[:, one]) for one in columns),
    )


def _correlation(a: npt.NDArray[Any], b: npt.NDArray[Any]) -> float:
    a, b = a.astype(np.float64) - a.mean(), b.astype(np.float64) - b.mean()
    return float((a @ b) / max(float(np.linalg.norm(a) * np.linalg.norm(b)), 1e-30))


def _ranks(values: npt.NDArray[Any]) -> npt.NDArray[np.float64]:
    _, inverse, counts = np.unique(values, return_inverse=True, return_counts=True)
    ends = np.cumsum(counts)
    return np.asarray((ends - (counts - 1) / 2)[inverse], np.float64)


def _late_interaction(texts: Sequence[Floats]) -> Floats:
    """MaxSim of each pair of texts [texts, texts] (Khattab and Zaharia, ColBERT, 2020)."""
    every = np.concatenate(texts)
    starts = np.cumsum([0, *(len(text) for text in texts[:-1])])
    rows = [np.maximum.reduceat(every @ text.T, starts, axis=0).mean(axis=1) for text in texts]
    return np.asarray(np.stack(rows), np.float32)


def _order_kept(found: Floats, expected: Floats, count: int = 10) -> float:
    """Share of the `count` highest scores of each row [texts, texts], but for the diagonal, that stay so."""
    count = min(count, len(found) - 1)
    best = []
    for scores in (found.copy(), expected.copy()):
        np.fill_diagonal(scores, -np.inf)
        best.append(np.argsort(-scores, axis=1, kind="stable")[:, :count])
    return float(np.mean([len(set(mine) & set(theirs)) / count for mine, theirs in zip(*best, strict=True)]))
