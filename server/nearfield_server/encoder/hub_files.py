"""Which files of a repository are taken: by name, and nothing that can hold code.

Weights of other libraries (.bin, .safetensors), pickles and Python are never asked for.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable

__all__ = ["small_files", "with_data"]

_NAMES = {
    "README.md",
    "LICENSE",
    "LICENSE.md",
    "LICENSE.txt",
    "NOTICE",
    "artifact.metadata",  # of ColBERT; JSON
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "nearfield.yaml",
    "onnx_config.json",
    "preprocessor_config.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
}
_OF_A_MODULE = re.compile(r"\d_[A-Za-z]+/config\.json")
_HARMLESS = (".json", ".md", ".txt", ".yaml")


def small_files(paths: Iterable[str], stated: Collection[str] = ()) -> list[str]:
    """Give those of `paths` that say how a model is used; of those `stated` in a manifest, also other texts."""
    return sorted(
        path
        for path in paths
        if path in _NAMES or _OF_A_MODULE.fullmatch(path) or (path in stated and path.endswith(_HARMLESS))
    )


def with_data(paths: Collection[str], graphs: Iterable[str]) -> list[str]:
    """Give `graphs` with their external data: files beside one whose names begin with its own."""
    return [path for graph in graphs for path in sorted(paths) if path == graph or _is_data(path, graph)]


def _is_data(path: str, graph: str) -> bool:
    # model.onnx_data, model.onnx.data, model.onnx_data_1 beside model.onnx
    return re.fullmatch(re.escape(graph) + r"[._]data(_\d+)?", path) is not None
