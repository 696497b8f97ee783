"""Row-wise int8 of `nearfield export` against optimum's plain export quantised the usual way.

    python benchmarks/export_int8.py MODEL [--sentences FILE --reference FILE] [--work DIR]

MODEL is a folder with the weights of a sentence encoder, such as all-MiniLM-L6-v2. The usual way is

    optimum-cli export onnx --model MODEL --task feature-extraction --library transformers plain
    optimum-cli onnxruntime quantize --avx512_vnni --onnx_model plain -o usual

Both graphs run on one thread, the usual one as ONNX Runtime opens it (optimisation on) and pooled in numpy; in small
batches of like lengths, as the server makes them, and in batches of 32 in order of arrival. `--sentences` (lines with
"text") and `--reference` (.npy, float32 [lines, width], normalised) take the place of the exporter's own sentences,
whose reference is the float32 export.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnxruntime as ort

from nearfield_server.export.measure import closeness, unit
from nearfield_server.export.samples import Encoded, batches, encode, feeds, verification_texts
from nearfield_server.export.tasks import Task

ROUNDS = 5
MIXED = 32

Rows = npt.NDArray[np.float32]
Groups = Sequence[Sequence[int]]


class Graph:
    """A graph on one thread; token vectors are pooled here, as a user of the usual export does."""

    def __init__(self, file: Path, *, optimize: bool) -> None:
        """Opens `file`; `optimize` lets ONNX Runtime rewrite it."""
        options = ort.SessionOptions()
        options.intra_op_num_threads = 1
        if not optimize:
            options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
        self.session = ort.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
        self.inputs = [one.name for one in self.session.get_inputs()]
        self.bytes = file.stat().st_size

    def run(self, texts: Sequence[Encoded]) -> Rows:
        """Unit vectors of one batch."""
        given = feeds(texts, [*self.inputs])
        (rows,) = self.session.run(None, given)
        if len(rows.shape) > len(given["input_ids"].shape):
            mask = feeds(texts, ["attention_mask"])["attention_mask"].astype(np.float32)[..., None]
            rows = (rows * mask).sum(axis=1) / mask.sum(axis=1)
        return unit(rows)

    def run_groups(self, texts: Sequence[Encoded], groups: Groups) -> Rows:
        """Unit vectors of all texts, in order, batch by batch."""
        rows: dict[int, Rows] = {}
        for group in groups:
            rows.update(zip(group, self.run([texts[index] for index in group]), strict=True))
        return np.stack([rows[index] for index in range(len(texts))])


def make(model: Path, work: Path) -> tuple[Path, Path]:
    """Both exports, unless an earlier run left them: the usual graph, and our folder."""
    scripts = Path(sys.executable).parent

    def run(*command: object) -> None:
        subprocess.run([str(one) for one in command], check=True, stdout=subprocess.DEVNULL)

    plain, usual, ours = work / "plain", work / "usual", work / "ours"
    if not plain.is_dir():
        exporting = ["export", "onnx", "--model", model, "--task", "feature-extraction", "--library", "transformers"]
        run(scripts / "optimum-cli", *exporting, plain)
    if not usual.is_dir():
        run(scripts / "optimum-cli", "onnxruntime", "quantize", "--avx512_vnni", "--onnx_model", plain, "-o", usual)
    if not ours.is_dir():
        run(scripts / "nearfield", "export", model, "--out", ours, "--precision", "fp32,int8")
    return next(usual.glob("*.onnx")), ours


def arrivals(texts: Sequence[Encoded]) -> Groups:
    """Batches of 32 in order of arrival."""
    return [list(range(start, min(start + MIXED, len(texts)))) for start in range(0, len(texts), MIXED)]


def rates(graphs: Mapping[str, Graph], texts: Sequence[Encoded], groups: Groups) -> dict[str, float]:
    """Texts per second of each; rounds take turns, the best of each counts."""
    best = dict.fromkeys(graphs, float("inf"))
    for _ in range(ROUNDS):
        for name, graph in graphs.items():
            start = time.perf_counter()
            graph.run_groups(texts, groups)
            best[name] = min(best[name], time.perf_counter() - start)
    return {name: len(texts) / seconds for name, seconds in best.items()}


def dependence(graph: Graph, texts: Sequence[Encoded]) -> tuple[float, float]:
    """Largest difference, and least cosine, between a text alone and in a batch of 32."""
    alone = np.concatenate([graph.run([text]) for text in texts])
    mixed = graph.run_groups(texts, arrivals(texts))
    return float(np.abs(alone - mixed).max()), float((alone * mixed).sum(axis=1).min())


def main() -> None:
    """Makes, measures and prints."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("model", type=Path)
    parser.add_argument("--sentences", type=Path)
    parser.add_argument("--reference", type=Path)
    parser.add_argument("--work", type=Path)
    options = parser.parse_args()
    work = options.work or Path(tempfile.mkdtemp(prefix="export-int8-"))
    work.mkdir(parents=True, exist_ok=True)
    usual, ours = make(options.model, work)
    strings = verification_texts()
    if options.sentences:
        strings = [json.loads(line)["text"] for line in options.sentences.read_text(encoding="utf-8").splitlines()]
    limit = json.loads((ours / "sentence_bert_config.json").read_text())["max_seq_length"]
    texts = encode(ours / "tokenizer.json", strings, limit)
    float32 = Graph(ours / "onnx/model.onnx", optimize=False)
    graphs = {"usual": Graph(usual, optimize=True), "row-wise": Graph(ours / "onnx/model_int8.onnx", optimize=False)}
    reference = np.load(options.reference) if options.reference else float32.run_groups(texts, list(batches(texts)))
    small = rates(graphs, texts, list(batches(texts)))
    arrived = rates(graphs, texts, arrivals(texts))
    print(f"{len(texts)} texts, median {int(np.median([len(one) for one in texts]))} tokens, one thread")
    print(
        f"{'':10}{'MB':>7}{'mean':>9}{'min':>8}{'top-10':>8}{'small':>9}{'of 32':>8}{'alone / batch':>16}{'cosine':>8}"
    )
    for name, graph in graphs.items():
        rows = graph.run_groups(texts, list(batches(texts)))
        found = closeness([row[None] for row in rows], [row[None] for row in reference], Task.EMBED)
        apart, cosine = dependence(graph, texts)
        print(
            f"{name:10}{graph.bytes / 1e6:7.1f}{found.mean:9.4f}{found.worst:8.4f}{found.order:8.3f}"
            f"{small[name]:9.1f}{arrived[name]:8.1f}{apart:16.1e}{cosine:8.4f}"
        )
    print(
        f"row-wise / usual: {small['row-wise'] / small['usual']:.2f} in small batches, "
        f"{arrived['row-wise'] / arrived['usual']:.2f} in batches of 32"
    )


if __name__ == "__main__":
    main()
