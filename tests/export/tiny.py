"""A BERT-like encoder small enough to build in milliseconds, with outlier channels as trained ones have."""

import json
import tempfile
from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from nearfield_server.export.weights import load_encoder

SIZES = {
    "model_type": "bert",
    "hidden_act": "gelu",
    "num_hidden_layers": 2,
    "hidden_size": 48,
    "num_attention_heads": 3,
    "intermediate_size": 96,
    "vocab_size": 96,
    "max_position_embeddings": 32,
    "layer_norm_eps": 1e-12,
}


def tiny_tensors(seed=0):
    random = np.random.default_rng(seed)
    hidden, inner = SIZES["hidden_size"], SIZES["intermediate_size"]
    tensors = {}

    def linear(name, inputs, outputs):
        tensors[f"{name}.weight"] = random.normal(0, inputs**-0.5, (outputs, inputs)).astype(np.float32)
        tensors[f"{name}.bias"] = random.normal(0, 0.1, outputs).astype(np.float32)

    def norm(name):
        scale = random.normal(1, 0.1, hidden).astype(np.float32)
        scale[:2] *= 8  # outliers, which smoothing is for
        tensors[f"{name}.weight"] = scale
        tensors[f"{name}.bias"] = random.normal(0, 0.1, hidden).astype(np.float32)

    for table, rows in (("word", 96), ("position", 32), ("token_type", 2)):
        tensors[f"embeddings.{table}_embeddings.weight"] = random.normal(0, 1, (rows, hidden)).astype(np.float32)
    norm("embeddings.LayerNorm")
    for index in range(SIZES["num_hidden_layers"]):
        prefix = f"encoder.layer.{index}"
        for part in ("query", "key", "value"):
            linear(f"{prefix}.attention.self.{part}", hidden, hidden)
        linear(f"{prefix}.attention.output.dense", hidden, hidden)
        norm(f"{prefix}.attention.output.LayerNorm")
        linear(f"{prefix}.intermediate.dense", hidden, inner)
        linear(f"{prefix}.output.dense", inner, hidden)
        norm(f"{prefix}.output.LayerNorm")
    return tensors


def write_tiny(folder, tensors=None, **changes):
    """Writes model.safetensors and config.json; returns the folder."""
    save_file(tensors or tiny_tensors(), folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps(SIZES | changes))
    return folder


def tiny_weights(seed=0):
    with tempfile.TemporaryDirectory() as folder:
        return load_encoder(write_tiny(Path(folder), tiny_tensors(seed)))
