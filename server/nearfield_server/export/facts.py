"""What a source states about itself beyond its graph: limits, prompts, widths, licence, layers after the model."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from nearfield_server.export.errors import SourceError
from nearfield_server.export.heads import DENSE_ACTIVATIONS, Dense, Head
from nearfield_server.export.source import Source, read_json
from nearfield_server.export.tasks import Task, output_name

__all__ = ["card", "head_of", "licence", "matryoshka", "max_tokens", "prompts"]

# What tokenizer_config.json holds when nobody knew the limit is a number beyond all texts.
_SANE_LENGTH = 1_000_000
# Position ids of these start after the padding id, so that many positions are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl"}
_LICENCES = {
    "Apache License": "Apache-2.0",
    "MIT License": "MIT",
    "GNU GENERAL PUBLIC": "GPL",
    "BSD 3-Clause": "BSD-3-Clause",
}
_SPDX = {"apache-2.0": "Apache-2.0", "mit": "MIT", "bsd-3-clause": "BSD-3-Clause", "cc-by-4.0": "CC-BY-4.0"}


def max_tokens(source: Source) -> int:
    """Longest input, special tokens included. Raises SourceError when no file tells it."""
    text = source.config.get("text_config") or {}
    limits = [
        source.settings("sentence_bert_config.json").get("max_seq_length"),
        source.settings("tokenizer_config.json").get("model_max_length"),
    ]
    positions = source.config.get("max_position_embeddings") or text.get("max_position_embeddings")
    if isinstance(positions, int) and positions > 0:
        shift = source.config.get("model_type") in _OFFSET_POSITIONS
        positions -= int(source.config.get("pad_token_id", 1)) + 1 if shift else 0
        limits = [min(one, positions) for one in limits if isinstance(one, (int, float))] or [positions]
    for limit in limits:
        if isinstance(limit, (int, float)) and 0 < limit < _SANE_LENGTH:
            return int(limit)
    raise SourceError(
        f"{source.path}: no file tells the longest input; add max_seq_length to sentence_bert_config.json"
    )


def prompts(source: Source) -> dict[str, Any]:
    """Manifest keys `prompts`, `default_prompt_name` and `similarity`, those that are stated."""
    config = source.settings("config_sentence_transformers.json")
    stated: dict[str, Any] = {"prompts": config.get("prompts") or {}}
    if config.get("default_prompt_name"):
        stated["default_prompt_name"] = config["default_prompt_name"]
    if config.get("similarity_fn_name") in ("cosine", "dot", "euclidean"):
        stated["similarity"] = config["similarity_fn_name"]
    return stated


def card(source: Source) -> dict[str, Any]:
    """The front matter of README.md, empty without one."""
    file = source.path / "README.md"
    text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
    parts = re.match(r"---\r?\n(.*?)\r?\n---", text, re.DOTALL)
    try:
        found = yaml.safe_load(parts.group(1)) if parts else {}
    except yaml.YAMLError:
        return {}
    return found if isinstance(found, dict) else {}


def licence(source: Source) -> str:
    """SPDX name where it is known, from the model card or LICENSE; "" when neither states one."""
    stated = card(source).get("license")
    if isinstance(stated, str):
        return _SPDX.get(stated.lower(), stated)
    for file in sorted(source.path.glob("LICEN[CS]E*")):
        head = file.read_text(encoding="utf-8", errors="replace")[:500]
        for words, name in _LICENCES.items():
            if words in head:
                return name
    return ""


def matryoshka(source: Source, width: int) -> list[int]:
    """Smaller widths that the model was trained for, largest first, from config.json or the model card."""
    stated: Any = source.config.get("matryoshka_dimensions") or source.config.get("matryoshka_dims")
    if stated is None:
        file = source.path / "README.md"
        text = file.read_text(encoding="utf-8", errors="replace") if file.is_file() else ""
        found = re.search(r'"matryoshka_dims"\s*:\s*(\[[\d,\s]*\])', text)
        stated = json.loads(found.group(1)) if found else []
    return sorted({int(one) for one in stated if 0 < int(one) < width}, reverse=True)


def head_of(source: Source, pooling: tuple[str, ...]) -> Head:
    """What to append to the transformer's graph. Raises SourceError for a layer that can't be put into a graph."""
    dense = [_dense(folder) for kind, folder in source.modules if kind == "Dense"]
    output = output_name(source.task)
    if source.task is Task.EMBED:
        return Head(output=output, pooling=pooling, dense=dense)
    if source.task is Task.SPARSE:
        folder = next((folder for kind, folder in source.modules if kind == "SpladePooling"), None)
        config = read_json(folder / "config.json") if folder else {}
        twice = config.get("activation_function") == "log1p_relu"
        return Head(output=output, splade=str(config.get("pooling_strategy", "max")), log_twice=twice)
    if source.task is Task.MULTI:
        return Head(output=output, dense=dense or _stanford_projection(source.weights))
    return Head(output=output)


def _dense(folder: Path) -> Dense:
    from safetensors.numpy import load_file  # noqa: PLC0415 - only these models need it

    config = read_json(folder / "config.json")
    if config.get("use_residual"):
        raise SourceError(f"{folder / 'config.json'}: use_residual isn't offered")
    if config.get("module_input_name", "sentence_embedding") not in ("sentence_embedding", "token_embeddings"):
        raise SourceError(f"{folder / 'config.json'}: module_input_name {config['module_input_name']} isn't offered")
    kind = str(config.get("activation_function", "Tanh")).rpartition(".")[2]
    if kind not in DENSE_ACTIVATIONS:
        known = ", ".join(DENSE_ACTIVATIONS)
        raise SourceError(f"{folder / 'config.json'}: activation_function {kind} isn't known; known are {known}")
    file = folder / "model.safetensors"
    if not file.is_file():
        raise SourceError(f"{file} does not exist (pickled weights are refused)")
    tensors = load_file(file)
    if "linear.weight" not in tensors:
        raise SourceError(f"{file} has no tensor 'linear.weight'")
    weight = np.ascontiguousarray(tensors["linear.weight"].T, np.float32)
    bias = tensors.get("linear.bias")
    return Dense(weight, None if bias is None else np.asarray(bias, np.float32), DENSE_ACTIVATIONS[kind])


def _stanford_projection(weights: Path) -> list[Dense]:
    """`linear.weight` [width, hidden] beside the encoder, as ColBERT's own checkpoints hold it."""
    from safetensors import safe_open  # noqa: PLC0415 - only these models need it

    file = weights / "model.safetensors"
    if not file.is_file():
        return []
    with safe_open(file, "numpy") as tensors:
        if "linear.weight" not in tensors.keys():  # noqa: SIM118 - it is no mapping
            return []
        return [Dense(np.ascontiguousarray(tensors.get_tensor("linear.weight").T, np.float32), None, "")]
