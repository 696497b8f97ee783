"""Row-wise int8: linear layers that multiply 8-bit integers, with one activation scale per token.

ONNX Runtime's own dynamic quantisation takes one scale per tensor, so a vector depends on its batch neighbours. Here
each token has a scale of its own and each output channel of a weight has one, so the integer sums are exact and belong
to one text alone. Embedding tables hold int8 rows with one scale per row.

A few channels of a layer norm's output are ten times as large as the rest and would spend the 8 bits of their row on
themselves. Smoothing divides each channel by a constant and multiplies the weight's row by it, which changes nothing in
exact arithmetic (Xiao et al., SmoothQuant, 2023). `smoothing_factors` derives the constants from measured peaks.

Activations are unsigned with a zero point, weights signed: the only pairing for which ONNX Runtime has a VNNI kernel
(unsigned weights ran at a third of its speed, signed activations at a seventeenth).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt

from nearfield_server.export.builder import GraphBuilder
from nearfield_server.export.graph import Place, Site
from nearfield_server.export.weights import EncoderWeights, Floats, Layer

__all__ = ["NO_SMOOTHING", "RowwiseInt8", "RowwiseOperand", "quantize_columns", "quantize_rows", "smoothing_factors"]

_LIMIT = 127
_ZERO = 128
# Gelu never falls below this.
_GELU_MINIMUM = -0.17005
# Zero point after a Gelu: 16 of 255 steps serve its short negative tail, the rest its positive side.
_GELU_ZERO = 16

# Share of a channel's spread that moves from the activation into the weight, measured on all-MiniLM-L6-v2. At the other
# two places smoothing gained nothing: attention evens its context out, and Gelu's bound would be lost.
_SMOOTHING: Mapping[Place, float] = MappingProxyType({"qkv": 1.0, "ffn_in": 0.6})

NO_SMOOTHING: Mapping[Site, Floats] = MappingProxyType({})


def quantize_columns(weight: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Int8 values [inputs, outputs] and float32 scales [outputs], symmetric; a column of zeros stays one."""
    peaks = np.maximum(np.abs(weight).max(axis=0), np.finfo(np.float32).tiny * _LIMIT)
    scales = (peaks / _LIMIT).astype(np.float32)
    return np.rint(weight / scales).clip(-_LIMIT, _LIMIT).astype(np.int8), scales


def quantize_rows(table: Floats) -> tuple[npt.NDArray[np.int8], Floats]:
    """Int8 values [rows, width] and float32 scales [rows] of an embedding table."""
    values, scales = quantize_columns(np.ascontiguousarray(table.T))
    return np.ascontiguousarray(values.T), scales


def smoothing_factors(weights: EncoderWeights, peaks: Mapping[Site, Floats]) -> dict[Site, Floats]:
    """Divisors [inputs] of the activations at each site worth smoothing, scaled to a geometric mean of 1.

    `peaks` holds the largest absolute activation of each channel [inputs] at each site.
    """
    factors = {}
    for index, layer in enumerate(weights.layers):
        for place, share in _SMOOTHING.items():
            site = Site(index, place)
            activation = np.maximum(peaks[site].astype(np.float64), 1e-5)
            weight = np.maximum(_weight_peaks(layer, place), 1e-5)
            exponents = np.log2(activation) * share - np.log2(weight) * (1 - share)
            factors[site] = _powers(exponents - exponents.mean())
    return factors


def _powers(exponents: npt.NDArray[np.float64]) -> Floats:
    # In steps of 2^(1/16), so that the bytes of an export don't hang on the last bits of a matrix product.
    return np.asarray(np.exp2(np.rint(exponents * 16) / 16), np.float32)


def _weight_peaks(layer: Layer, place: Place) -> npt.NDArray[np.float64]:
    linears = [layer.query, layer.key, layer.value] if place == "qkv" else [layer.ffn_in]
    joined = np.concatenate([linear.weight for linear in linears], axis=1).astype(np.float64)
    return np.asarray(np.abs(joined).max(axis=1))


@dataclass(frozen=True)
class RowwiseOperand:
    """Names of quantised rows [tokens, inputs] uint8 and their scales [tokens, 1], and what undoes the smoothing."""

    rows: str
    scales: str
    zero: int
    smoothing: Floats | None = None


class RowwiseInt8:
    """The row-wise `Arithmetic`; one object per graph, because its layers share the tensors of zero points."""

    def __init__(self, smoothing: Mapping[Site, Floats] = NO_SMOOTHING) -> None:
        """`smoothing` holds the divisors [inputs] of the activations, at the sites that have any."""
        self._smoothing = smoothing
        self._zeros: dict[int, str] = {}

    def gather(self, graph: GraphBuilder, table: Floats, indices: str) -> str:
        """See Arithmetic."""
        values, scales = quantize_rows(table)
        rows = graph.add("Gather", graph.constant(values, np.int8), indices, axis=0)
        scale = graph.add("Gather", graph.constant(scales, np.float32), indices, axis=0)
        return graph.add("DequantizeLinear", rows, scale, axis=0)

    def operand(self, graph: GraphBuilder, rows: str, site: Site) -> RowwiseOperand:
        """See Arithmetic."""
        if site.place == "ffn_out":
            steps = graph.constant(1 / (255 - _GELU_ZERO), np.float32)
            scales = graph.add("Mul", _peak(graph, rows), steps)
            least = graph.constant(-_GELU_MINIMUM / _GELU_ZERO, np.float32)
            return self._quantize(graph, rows, graph.add("Max", scales, least), _GELU_ZERO)
        smoothing = self._smoothing.get(site)
        if smoothing is not None:
            rows = graph.add("Mul", rows, graph.constant(1 / smoothing, np.float32))
        peak = _peak(graph, graph.add("Abs", rows))
        scales = graph.add("Mul", peak, graph.constant(1 / _LIMIT, np.float32))
        return self._quantize(graph, rows, scales, _ZERO, smoothing)

    def multiply(self, graph: GraphBuilder, operand: RowwiseOperand, weight: Floats) -> str:
        """See Arithmetic."""
        if operand.smoothing is not None:
            weight = weight * operand.smoothing[:, None]
        values, scales = quantize_columns(weight)
        product = graph.contrib(
            "MatMulIntegerToFloat",
            operand.rows,
            graph.constant(values, np.int8),
            graph.constant(1, np.float32),
            graph.constant(scales, np.float32),
            graph.constant(operand.zero, np.uint8),
        )
        return graph.add("Mul", product, operand.scales)

    def _quantize(
        self, graph: GraphBuilder, rows: str, scales: str, zero: int, smoothing: Floats | None = None
    ) -> RowwiseOperand:
        flat = graph.add("Squeeze", scales, graph.constant([1], np.int64))
        if zero not in self._zeros:
            tokens = graph.add("Shape", flat)
            self._zeros[zero] = graph.add("Expand", graph.constant([zero], np.uint8), tokens)
        values = graph.add("QuantizeLinear", rows, flat, self._zeros[zero], axis=0)
        return RowwiseOperand(values, scales, zero, smoothing)


def _peak(graph: GraphBuilder, rows: str) -> str:
    """Largest value of each row: [tokens, width] → [tokens, 1]."""
    return graph.add("ReduceMax", rows, graph.constant([1], np.int64), keepdims=1)
