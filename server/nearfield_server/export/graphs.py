"""The files of one export: each precision from the float32 graph, and which way of writing float32 runs fastest.

- Small batches on one thread, as the server runs them, decide between the ways.
- BERT-like sentence encoders (`weights`, `graph`) are also written straight from their weights: a little faster still.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import onnx

from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.errors import ExportError
from nearfield_server.export.files import MOST_INLINE_BYTES, graph_bytes, load_graph, save_graph, weight_bytes
from nearfield_server.export.forward import channel_peaks
from nearfield_server.export.graph import DirectPooling, Float32, build_graph
from nearfield_server.export.heads import Head
from nearfield_server.export.measure import Graph, fastest
from nearfield_server.export.precisions import write_half, write_weight_blocks
from nearfield_server.export.rowwise import RowwiseInt8, smoothing_factors
from nearfield_server.export.runtime import save_rewritten
from nearfield_server.export.samples import Encoded
from nearfield_server.export.smoothing import smooth_and_quantize
from nearfield_server.export.source import Source
from nearfield_server.export.tasks import Task
from nearfield_server.export.weights import EncoderWeights, load_encoder

__all__ = ["Writer", "Written", "direct_weights", "prepare"]

# A faster way counts only beyond what timing alone makes of equal graphs; ways are listed from plain to special.
_TIE = 1.03


@dataclass(frozen=True)
class Written:
    """How a file came about: whether ONNX Runtime may rewrite it as it loads, and the facts for the recipe."""

    optimize: bool
    facts: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Writer:
    """Writes the precisions of one graph.

    Args:
        base: the float32 graph without its head, prepared by `prepare`.
        head: what to append; None when the graph has it already.
        calibration: texts for row-wise int8; none for a graph that takes no texts.
        work: an empty folder for what isn't kept.
        direct: the weights of a BERT-like encoder, whose graph can be laid out without torch.
    """

    base: Path
    head: Head | None
    source: Source
    calibration: Sequence[Encoded]
    work: Path
    direct: EncoderWeights | None = None

    def write(self, precision: str, target: Path, sample: Sequence[Encoded]) -> Written:
        """Writes one precision to `target`; `sample` is what float32 is timed on. Raises ExportError."""
        target.parent.mkdir(parents=True, exist_ok=True)
        if precision == "fp32":
            return self._write_float(target, sample)
        if precision == "int8":
            return self._write_int8(target)
        made = self.work / f"{precision}.onnx"
        if precision == "fp16":
            fused = write_half(_unfolded(self.base), made, self.source.config)
            self._with_head(made, target)
            return Written(optimize=True, facts={"fused": fused or "nothing"})
        write_weight_blocks(self.base, made)
        self._with_head(made, target)
        return Written(optimize=False, facts={"bits": 8, "block": 32, "accuracy_level": 4})

    def _with_head(self, file: Path, target: Path) -> None:
        model = load_graph(file)
        save_graph(self.head.append(model) if self.head else model, target)

    def _write_float(self, target: Path, sample: Sequence[Encoded]) -> Written:
        plain = self.work / "plain.onnx"
        self._with_head(self.base, plain)
        ways = {"plain operators": (plain, False), "rewritten as it loads": (plain, True)}
        if graph_bytes(plain) < MOST_INLINE_BYTES and sample:
            fused, lean = self.work / "fused.onnx", self.work / "lean.onnx"
            save_rewritten(self.base, fused, fused=True)
            self._with_head(fused, lean)
            ways["attention fused"] = (lean, False)
            if self.direct is not None:
                direct = self.work / "direct.onnx"
                save_graph(build_graph(self.direct, Float32(), self._direct_pooling()), direct)
                ways["straight from the weights"] = (direct, False)
        rates: dict[str, float] = {}
        chosen = "plain operators"
        if sample:
            task = self.source.task
            opened = {name: Graph(file, task, optimize=optimize) for name, (file, optimize) in ways.items()}
            best, rates = fastest(opened, sample)
            chosen = next(name for name in ways if rates[name] * _TIE >= rates[best])
        file, optimize = ways[chosen]
        save_graph(load_graph(file), target)
        return Written(optimize, {"written": chosen, "texts_per_second": {k: round(v, 1) for k, v in rates.items()}})

    def _write_int8(self, target: Path) -> Written:
        if self.direct is not None:
            peaks = channel_peaks(self.direct, [text.ids for text in self.calibration])
            arithmetic = RowwiseInt8(smoothing_factors(self.direct, peaks))
            save_graph(build_graph(self.direct, arithmetic, self._direct_pooling()), target)
            return Written(optimize=False, facts={"written": "straight from the weights", "smoothing": "strong"})
        made = self.work / "int8.onnx"
        scores = smooth_and_quantize(self.base, self.calibration, made)
        self._with_head(made, target)
        tried = {name: round(score, 5) for name, score in scores.items()}
        return Written(optimize=False, facts={"smoothing": next(iter(tried), "none"), "tried": tried})

    def _direct_pooling(self) -> DirectPooling:
        if self.head is None:
            raise AssertionError("this is a bug: the direct route is for sources whose pooling is known")
        return cast("DirectPooling", self.head.pooling[0])


def prepare(raw: Path, output: str, target: Path) -> None:
    """Writes `raw` with `output` as its only output and everything folded that is constant. Raises ExportError."""
    editor = GraphEditor(load_graph(raw))
    chosen = [one for one in editor.graph.output if one.name == output]
    if not chosen:
        raise ExportError(f"{raw}: the graph has no output {output}; it has {', '.join(editor.output_names)}")
    del editor.graph.output[:]
    editor.graph.output.extend(chosen)
    model = editor.finish()
    save_graph(model, _unfolded(target))
    if weight_bytes(model) < MOST_INLINE_BYTES:
        save_rewritten(_unfolded(target), target, fused=_needs_fusion(model))
    else:
        save_graph(model, target)


def _unfolded(base: Path) -> Path:
    """The graph as it was exported: the fusion rules for a GPU know those patterns, and not the folded ones."""
    return base.with_name(f"unfolded-{base.name}")


def direct_weights(source: Source, head: Head) -> EncoderWeights | None:
    """Weights of an encoder that `graph` can lay out; None for any other."""
    simple = source.task is Task.EMBED and head.pooling in (("mean",), ("cls",)) and not head.dense
    if source.onnx_file is not None or source.config.get("model_type") != "bert" or not simple:
        return None
    try:
        return load_encoder(source.weights)
    except Exception:  # noqa: BLE001 - another activation, several files, or numbers that numpy doesn't know
        return None


def _needs_fusion(model: onnx.ModelProto) -> bool:
    """Whether layer norms lie in pieces, as exports below opset 17 leave them."""
    kinds = {node.op_type for node in model.graph.node}
    return "LayerNormalization" not in kinds and bool({"ReduceMean", "Sqrt"} <= kinds)
