"""Chooses how far to smooth activations before row-wise int8, by trying it on calibration texts.

SmoothQuant (Xiao et al., 2023): what a layer norm gives has a few channels far larger than the rest; dividing each
channel by a constant and multiplying the weight's row by it spends the 8 bits better and changes nothing else. How much
of the spread to move pays differently from model to model, so each strength is tried and the closest is kept.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper

from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.files import MOST_INLINE_BYTES, load_graph, save_graph, weight_bytes
from nearfield_server.export.measure import unit
from nearfield_server.export.rowwise_pass import Multiplication, multiplications, quantize_rowwise
from nearfield_server.export.runtime import open_graph
from nearfield_server.export.samples import Encoded, feeds

__all__ = ["STRENGTHS", "smooth_and_quantize"]

Floats = npt.NDArray[np.float32]

# Share of a channel's spread that moves into the weight: where rows meet several matrices (queries, keys, values), and
# elsewhere. The last pair is best on all-MiniLM-L6-v2.
STRENGTHS: dict[str, tuple[float, float] | None] = {"none": None, "half": (0.5, 0.5), "strong": (1.0, 0.6)}
_NORMS = frozenset({"LayerNormalization", "SimplifiedLayerNormalization"})
_TRIED_TEXTS = 32


def smooth_and_quantize(file: Path, texts: Sequence[Encoded], target: Path) -> dict[str, float]:
    """Writes the closest row-wise int8 graph of the float32 graph `file` to `target`.

    Returns 1 minus the relative error of the outputs on some of `texts` by strength, best first. Without texts, and for
    a graph too large to be opened from memory, nothing is smoothed.
    """
    model = load_graph(file)
    if not texts or weight_bytes(model) > MOST_INLINE_BYTES:
        save_graph(quantize_rowwise(model, in_place=True), target)
        return {}
    sites = _sites(model)
    peaks = _channel_peaks(model, sorted(sites), texts)
    expected = _outputs(str(file), texts[:_TRIED_TEXTS])
    scores: dict[str, float] = {}
    for name, shares in STRENGTHS.items():
        if shares is not None and not sites:
            continue
        quantized = quantize_rowwise(model, _factors(sites, peaks, shares) if shares else {})
        data = quantized.SerializeToString(deterministic=True)
        found = _outputs(data, texts[:_TRIED_TEXTS])
        error = np.linalg.norm(found - expected) / max(float(np.linalg.norm(expected)), 1e-30)
        scores[name] = 1 - float(error)
        if scores[name] == max(scores.values()):
            target.write_bytes(data)
    return dict(sorted(scores.items(), key=lambda one: -one[1]))


def _sites(model: onnx.ModelProto) -> dict[str, list[Floats]]:
    """Matrices [inputs, outputs] by the name of the layer norm's rows that they multiply."""
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    editor = GraphEditor(copy)
    found: dict[str, list[Floats]] = {}
    every: list[Multiplication] = [one for one in multiplications(editor) if one.from_op in _NORMS]
    for one in every:
        found.setdefault(one.rows, []).append(one.matrix(editor))
    return found


def _channel_peaks(model: onnx.ModelProto, names: Sequence[str], texts: Sequence[Encoded]) -> dict[str, Floats]:
    """Largest absolute value of each channel [inputs] of the named tensors; each text runs alone, without padding."""
    if not names:
        return {}
    tapped = onnx.ModelProto()
    tapped.CopyFrom(model)
    del tapped.graph.output[:]
    tapped.graph.output.extend(helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in names)
    session = open_graph(tapped.SerializeToString(), optimize=False)
    wanted = [one.name for one in session.get_inputs()]
    peaks: dict[str, Floats] = {}
    for text in texts:
        for name, rows in zip(names, session.run(list(names), feeds([text], wanted)), strict=True):
            peak = np.abs(rows).reshape(-1, rows.shape[-1]).max(axis=0)
            peaks[name] = np.maximum(peaks[name], peak) if name in peaks else peak
    return peaks


def _factors(
    sites: Mapping[str, Sequence[Floats]], peaks: Mapping[str, Floats], shares: tuple[float, float]
) -> dict[str, Floats]:
    factors = {}
    for name, matrices in sites.items():
        share = shares[0] if len(matrices) > 1 else shares[1]
        activation = np.maximum(peaks[name].astype(np.float64), 1e-5)
        weight = np.maximum(np.max([np.abs(one).max(axis=1) for one in matrices], axis=0).astype(np.float64), 1e-5)
        exponents = np.log2(activation) * share - np.log2(weight) * (1 - share)
        # In steps of 2^(1/16), so that the bytes of an export don't hang on the last bits of a matrix product.
        rounded = np.rint((exponents - exponents.mean()) * 16) / 16
        factors[name] = np.asarray(np.exp2(rounded), np.float32)
    return factors


def _outputs(model: str | bytes, texts: Sequence[Encoded]) -> Floats:
    """All outputs in one row; each text runs alone, and its part is scaled to length 1 unless it is a single number."""
    session = open_graph(model, optimize=False)
    wanted = [one.name for one in session.get_inputs()]
    rows = [session.run(None, feeds([text], wanted))[0] for text in texts]
    return np.concatenate([(unit(one) if one.shape[-1] > 1 else one).ravel() for one in rows])
