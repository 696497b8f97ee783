"""Reads a safetensors folder into the typed weights of a BERT-like encoder.

Nothing here is specific to one model: sizes come from ``config.json``, tensor names are those that
``transformers.BertModel`` saves. Linear weights are transposed to ``[in, out]`` so that a row of activations
multiplies them from the left, as ONNX MatMul does.
"""

import hashlib
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt
from safetensors.numpy import load_file

from nearfield_server.export.errors import SourceError

__all__ = [
    "EncoderConfig",
    "EncoderWeights",
    "Floats",
    "Layer",
    "Linear",
    "Norm",
    "load_encoder",
    "read_config",
    "sha256_of",
]

Floats: TypeAlias = npt.NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class EncoderConfig:
    """Sizes of the encoder, as ``config.json`` states them."""

    layers: int
    hidden: int
    heads: int
    intermediate: int
    vocabulary: int
    positions: int
    epsilon: float
    token_types: int = 2


@dataclass(frozen=True)
class Linear:
    """``y = x @ weight + bias`` with weight [in, out] and bias [out]."""

    weight: Floats
    bias: Floats


@dataclass(frozen=True)
class Norm:
    """Layer normalisation over the last axis: scale [hidden] and shift [hidden]."""

    scale: Floats
    shift: Floats


@dataclass(frozen=True, kw_only=True)
class Layer:
    """One post-norm transformer layer, in the order of computation."""

    query: Linear
    key: Linear
    value: Linear
    attention_out: Linear
    attention_norm: Norm
    ffn_in: Linear
    ffn_out: Linear
    ffn_norm: Norm


@dataclass(frozen=True, kw_only=True)
class EncoderWeights:
    """All that the forward pass needs.

    ``words`` is [vocabulary, hidden]. ``positions`` is [positions, hidden] and already holds the embedding of token
    type 0, the only type a text encoder ever sees.
    """

    config: EncoderConfig
    words: Floats
    positions: Floats
    embedding_norm: Norm
    layers: tuple[Layer, ...]


def sha256_of(path: Path) -> str:
    """Hex SHA-256 of a file."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def read_config(folder: Path) -> EncoderConfig:
    """Sizes from ``folder/config.json``; SourceError when it is absent or describes another architecture."""
    path = folder / "config.json"
    if not path.is_file():
        raise SourceError(f"{path} does not exist: --source must be the folder that holds model.safetensors")
    raw: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    _require_bert(raw)
    try:
        return EncoderConfig(
            layers=int(raw["num_hidden_layers"]),
            hidden=int(raw["hidden_size"]),
            heads=int(raw["num_attention_heads"]),
            intermediate=int(raw["intermediate_size"]),
            vocabulary=int(raw["vocab_size"]),
            positions=int(raw["max_position_embeddings"]),
            epsilon=float(raw["layer_norm_eps"]),
            token_types=int(raw.get("type_vocab_size", 2)),
        )
    except KeyError as missing:
        raise SourceError(f"{path} has no {missing}") from missing


def _require_bert(raw: Mapping[str, Any]) -> None:
    # Each of these changes the arithmetic of the graph; an unknown value must stop the export, not bend the vectors.
    expected = {"model_type": "bert", "hidden_act": "gelu", "position_embedding_type": "absolute"}
    for key, value in expected.items():
        if raw.get(key, value) != value:
            raise SourceError(f"config.json: {key} is {raw[key]!r}, this exporter knows only {value!r}")


def load_encoder(folder: Path, expected_sha256: str | None = None) -> EncoderWeights:
    """Weights from ``folder/model.safetensors`` with the sizes of ``folder/config.json``, as float32.

    Raises SourceError when a file is absent, the digest differs from ``expected_sha256`` (a prefix will do),
    or a tensor is absent or of another shape than config.json implies.
    """
    path = folder / "model.safetensors"
    if not path.is_file():
        raise SourceError(f"{path} does not exist")
    if expected_sha256 is not None:
        found = sha256_of(path)
        if not found.startswith(expected_sha256):
            raise SourceError(f"{path} has SHA-256 {found}, the recipe expects {expected_sha256}")
    return _assemble(read_config(folder), _Tensors(load_file(path)))


class _Tensors:
    """Named tensors with a shape check on every read."""

    def __init__(self, tensors: Mapping[str, npt.NDArray[Any]]) -> None:
        # Some checkpoints carry the prefix of the task model that they were cut from.
        self._tensors = {name.removeprefix("bert."): value for name, value in tensors.items()}

    def read(self, name: str, *shape: int) -> Floats:
        if name not in self._tensors:
            raise SourceError(f"model.safetensors has no tensor {name!r}")
        tensor = self._tensors[name]
        if tensor.shape != shape:
            raise SourceError(f"tensor {name!r} has shape {list(tensor.shape)}, config.json implies {list(shape)}")
        return np.ascontiguousarray(tensor, dtype=np.float32)

    def linear(self, name: str, inputs: int, outputs: int) -> Linear:
        weight = self.read(f"{name}.weight", outputs, inputs)
        return Linear(np.ascontiguousarray(weight.T), self.read(f"{name}.bias", outputs))

    def norm(self, name: str, width: int) -> Norm:
        return Norm(self.read(f"{name}.weight", width), self.read(f"{name}.bias", width))


def _assemble(config: EncoderConfig, tensors: _Tensors) -> EncoderWeights:
    hidden = config.hidden
    positions = tensors.read("embeddings.position_embeddings.weight", config.positions, hidden)
    types = tensors.read("embeddings.token_type_embeddings.weight", config.token_types, hidden)
    return EncoderWeights(
        config=config,
        words=tensors.read("embeddings.word_embeddings.weight", config.vocabulary, hidden),
        positions=positions + types[0],
        embedding_norm=tensors.norm("embeddings.LayerNorm", hidden),
        layers=tuple(_layer(config, tensors, index) for index in range(config.layers)),
    )


def _layer(config: EncoderConfig, tensors: _Tensors, index: int) -> Layer:
    hidden, prefix = config.hidden, f"encoder.layer.{index}"
    return Layer(
        query=tensors.linear(f"{prefix}.attention.self.query", hidden, hidden),
        key=tensors.linear(f"{prefix}.attention.self.key", hidden, hidden),
        value=tensors.linear(f"{prefix}.attention.self.value", hidden, hidden),
        attention_out=tensors.linear(f"{prefix}.attention.output.dense", hidden, hidden),
        attention_norm=tensors.norm(f"{prefix}.attention.output.LayerNorm", hidden),
        ffn_in=tensors.linear(f"{prefix}.intermediate.dense", hidden, config.intermediate),
        ffn_out=tensors.linear(f"{prefix}.output.dense", config.intermediate, hidden),
        ffn_norm=tensors.norm(f"{prefix}.output.LayerNorm", hidden),
    )
