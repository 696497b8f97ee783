"""The encoder in plain numpy, straight from the formulas: the independent check on the graph, and its calibration.

Slow and simple on purpose: one text at a time, no padding, no mask.
"""

from collections.abc import Callable, Iterable, Sequence

import numpy as np
import numpy.typing as npt

from nearfield_server.export.graph import Site
from nearfield_server.export.weights import EncoderWeights, Floats, Layer, Linear, Norm

__all__ = ["channel_peaks", "embed"]

Tap = Callable[[Site, Floats], None]


def embed(weights: EncoderWeights, ids: Sequence[int], tap: Tap | None = None) -> Floats:
    """Mean of the last layer [hidden], not normalised, of one text given as vocabulary ids.

    `tap` is shown the float32 input [tokens, inputs] of every linear layer.
    """
    tokens = np.asarray(ids, np.int64)
    rows = weights.words[tokens] + weights.positions[: len(tokens)]
    rows = _norm(rows, weights.embedding_norm, weights.config.epsilon)
    for index, layer in enumerate(weights.layers):
        rows = _layer(weights, index, layer, rows, tap)
    return np.asarray(rows.mean(axis=0), np.float32)


def channel_peaks(weights: EncoderWeights, texts: Iterable[Sequence[int]]) -> dict[Site, Floats]:
    """Largest absolute activation of each channel [inputs] at each site over `texts`, given as vocabulary ids."""
    peaks: dict[Site, Floats] = {}

    def tap(site: Site, rows: Floats) -> None:
        peak = np.abs(rows).max(axis=0)
        peaks[site] = np.maximum(peaks[site], peak) if site in peaks else peak

    for ids in texts:
        embed(weights, ids, tap)
    return peaks


def _ignore(site: Site, rows: Floats) -> None:
    del site, rows


def _layer(weights: EncoderWeights, index: int, layer: Layer, rows: Floats, tap: Tap | None) -> Floats:
    show = tap or _ignore
    epsilon = weights.config.epsilon
    show(Site(index, "qkv"), rows)
    context = _attention(layer, rows, weights.config.heads)
    show(Site(index, "context"), context)
    rows = _norm(rows + _linear(context, layer.attention_out), layer.attention_norm, epsilon)
    show(Site(index, "ffn_in"), rows)
    inner = _gelu(_linear(rows, layer.ffn_in))
    show(Site(index, "ffn_out"), inner)
    return _norm(rows + _linear(inner, layer.ffn_out), layer.ffn_norm, epsilon)


def _attention(layer: Layer, rows: Floats, heads: int) -> Floats:
    tokens, hidden = rows.shape
    width = hidden // heads

    def split(linear: Linear) -> Floats:
        return _linear(rows, linear).reshape(tokens, heads, width).transpose(1, 0, 2)

    scores = split(layer.query) @ split(layer.key).transpose(0, 2, 1) / np.float32(np.sqrt(width))
    shares = np.exp(scores - scores.max(axis=-1, keepdims=True))
    shares /= shares.sum(axis=-1, keepdims=True)
    mixed = shares @ split(layer.value)
    return np.asarray(mixed.transpose(1, 0, 2).reshape(tokens, hidden), np.float32)


def _linear(rows: Floats, linear: Linear) -> Floats:
    return np.asarray(rows @ linear.weight + linear.bias, np.float32)


def _norm(rows: Floats, norm: Norm, epsilon: float) -> Floats:
    centred = rows - rows.mean(axis=-1, keepdims=True)
    variance = (centred**2).mean(axis=-1, keepdims=True)
    return np.asarray(centred / np.sqrt(variance + epsilon) * norm.scale + norm.shift, np.float32)


def _gelu(rows: Floats) -> Floats:
    return np.asarray(rows * 0.5 * (1 + _erf(rows.astype(np.float64) / np.sqrt(2))), np.float32)


def _erf(x: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Error function to 1.5e-7 (Abramowitz and Stegun 7.1.26); numpy has none and scipy isn't needed elsewhere."""
    t = 1 / (1 + 0.3275911 * np.abs(x))
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    return np.asarray(np.sign(x) * (1 - series * np.exp(-(x**2))))
