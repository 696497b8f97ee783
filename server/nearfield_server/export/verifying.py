"""Puts one file of an export to the test, as the server would run it."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.export.files import graph_bytes, load_graph, save_graph
from nearfield_server.export.graphs import Written
from nearfield_server.export.heads import Head
from nearfield_server.export.measure import (
    Graph,
    batch_dependence,
    closeness,
    fastest,
    rank_correlation,
    similarity_score,
)
from nearfield_server.export.report import Report, Row
from nearfield_server.export.samples import Encoded, ScoredPair, Text
from nearfield_server.export.source import Source
from nearfield_server.export.tasks import Task
from nearfield_server.export.towers import ImageGraph, sample_images

__all__ = ["Verifier", "verify_images"]

Floats = npt.NDArray[np.float32]

_DEPENDENCE_TEXTS = 64
_IMAGE_ROUNDS = 3


@dataclass(kw_only=True)
class Verifier:
    """Texts, what the reference gives for them, and pairs that people judged."""

    task: Task
    texts: list[Encoded]
    judged: Sequence[ScoredPair]
    encode: Callable[[Sequence[Text]], list[Encoded]]
    reference: list[Floats] = field(default_factory=list)

    def verify(self, file: Path, written: Written) -> Row:
        """All figures of one file but its speed."""
        graph = Graph(file, self.task, optimize=written.optimize)
        return Row(
            file=f"{file.parent.name}/{file.name}",
            bytes=graph_bytes(file),
            closeness=closeness(graph.run_all(self.texts), self.reference, self.task),
            batch_dependence=batch_dependence(graph, self.texts[:_DEPENDENCE_TEXTS]),
            texts_per_second=0.0,
            written=written,
            judged=self._judge(graph),
        )

    def time(self, folder: Path, report: Report) -> None:
        """Fills in the speeds: all precisions in turn, so that whatever else the machine does hits them alike."""
        graphs = {
            name: Graph(folder / row.file, self.task, optimize=row.written.optimize)
            for name, row in report.rows.items()
        }
        _, rates = fastest(graphs, self.texts)
        for name, rate in rates.items():
            report.add(name, replace(report.rows[name], texts_per_second=rate))

    def run_alone(self, base: Path, head: Head | None, work: Path) -> list[Floats]:
        """The float32 graph's own results, each text alone: the reference where there is nothing else."""
        whole = work / "reference.onnx"
        model = load_graph(base)
        save_graph(head.append(model) if head else model, whole)
        graph = Graph(whole, self.task, optimize=True)
        return [graph.run([text])[0] for text in self.texts]

    def _judge(self, graph: Graph) -> float | None:
        if not self.judged or self.task is Task.CLASSIFY:
            return None
        gold = [one.score for one in self.judged]
        if self.task is Task.RERANK:
            scores = graph.run_all(self.encode([(one.first, one.second) for one in self.judged]))
            return 100 * rank_correlation(np.concatenate(scores)[:, 0], np.asarray(gold))
        sides: list[Any] = [[one.first for one in self.judged], [one.second for one in self.judged]]
        first, second = (graph.run_all(self.encode(side)) for side in sides)
        return similarity_score(first, second, gold, self.task)


def verify_images(source: Source, file: Path, written: Written, base: Path) -> Row:
    """All figures of an image tower, on patterns; the reference is transformers, or the float32 graph alone."""
    images = sample_images(dict(source.config))
    graph = ImageGraph(file, optimize=written.optimize)
    if source.onnx_file is None:
        from nearfield_server.export import torch_route  # noqa: PLC0415 - an ONNX folder needs no torch

        expected = torch_route.image_reference(source, images)
    else:
        plain = ImageGraph(base, optimize=True)
        expected = [plain.run(one[None])[0] for one in images]
    found = graph.run(images)
    return Row(
        file=f"{file.parent.name}/{file.name}",
        bytes=graph_bytes(file),
        closeness=closeness(found, expected, Task.EMBED),
        batch_dependence=graph.batch_dependence(images),
        texts_per_second=len(images) / min(_seconds(graph, images) for _ in range(_IMAGE_ROUNDS)),
        written=written,
    )


def _seconds(graph: ImageGraph, images: Floats) -> float:
    start = time.perf_counter()
    graph.run(images)
    return time.perf_counter() - start
