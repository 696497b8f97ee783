"""The folder that is exported: what it holds, what it is for, and what must be refused.

Facts come from the files that state them (config.json, modules.json, 1_Pooling/config.json, sentence_bert_config.json,
config_sentence_transformers.json, README.md), as sentence-transformers reads them.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield_server.export.errors import SourceError
from nearfield_server.export.heads import POOLINGS
from nearfield_server.export.tasks import Task

__all__ = ["Source", "open_source", "read_json"]

_ONNX_FILES = ("onnx/model.onnx", "model.onnx")
_PICKLES = ("pytorch_model.bin", "model.bin", "pytorch_model.bin.index.json", "tf_model.h5", "flax_model.msgpack")
_WEIGHTS = ("model.safetensors", "model.safetensors.index.json")
_LEGACY_POOLING = {
    "pooling_mode_cls_token": "cls",
    "pooling_mode_max_tokens": "max",
    "pooling_mode_mean_tokens": "mean",
    "pooling_mode_mean_sqrt_len_tokens": "mean_sqrt_len_tokens",
    "pooling_mode_weightedmean_tokens": "weightedmean",
    "pooling_mode_lasttoken": "lasttoken",
}
_MODULES = {
    "Transformer",
    "MLMTransformer",
    "Pooling",
    "Normalize",
    "Dense",
    "SpladePooling",
    "CLIPModel",
    "MultiVectorMask",
}
_TWO_TOWERS = {"clip", "siglip", "chinese_clip"}


@dataclass(frozen=True, kw_only=True)
class Source:
    """A model folder, its small files read.

    Args:
        path: the folder that the user named.
        weights: the folder of config.json and model.safetensors, `path` or one within it.
        onnx_file: the graph of an ONNX folder; None when the weights are to be exported.
        modules: kind and folder of each module of a sentence-transformers pipeline, in order; empty without one.
    """

    path: Path
    weights: Path
    onnx_file: Path | None
    config: Mapping[str, Any]
    modules: tuple[tuple[str, Path], ...]
    task: Task
    hub_id: str = ""

    @property
    def two_towers(self) -> bool:
        """Whether texts and images share a space."""
        return self.config.get("model_type") in _TWO_TOWERS

    @property
    def poolings(self) -> tuple[str, ...]:
        """Keys of `heads.POOLINGS` that the pipeline states; none when it states none. Raises SourceError."""
        for kind, folder in self.modules:
            if kind == "Pooling":
                return _poolings(folder / "config.json")
        return ()

    @property
    def normalize(self) -> bool:
        """Whether the pipeline ends in a Normalize module."""
        return any(kind == "Normalize" for kind, _ in self.modules)

    def settings(self, name: str) -> dict[str, Any]:
        """A JSON file of the folder, or of that of the weights; empty when neither has it."""
        return read_json(self.path / name) or read_json(self.weights / name)


def open_source(path: Path, task: str | None = None) -> Source:
    """Reads the folder `path`.

    Raises:
        SourceError: it is no model folder, needs code of its own or pickled weights, or its task is in doubt.
    """
    if not path.is_dir():
        raise SourceError(f"{path} is no folder; give one with config.json and model.safetensors, or an ONNX file")
    modules = _modules(path)
    weights = next((folder for kind, folder in modules if kind in ("Transformer", "MLMTransformer", "CLIPModel")), path)
    if not (weights / "config.json").is_file():
        weights = path
    onnx_file = _onnx_file(path)
    config = read_json(weights / "config.json")
    if not config and onnx_file is None:
        raise SourceError(f"{path / 'config.json'} does not exist: this is no folder as transformers writes it")
    _refuse_code(weights, config)
    if onnx_file is None:
        _require_safetensors(weights)
    found = Task(task) if task else _task(path, config, modules)
    return Source(path=path, weights=weights, onnx_file=onnx_file, config=config, modules=modules, task=found)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a JSON file, empty when there is no such file. Raises SourceError."""
    if not path.is_file():
        return {}
    try:
        value = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SourceError(f"{path} can't be read as JSON: {error}") from error
    if not isinstance(value, dict):
        raise SourceError(f"{path} holds {type(value).__name__} where an object belongs")
    return value


def _modules(path: Path) -> tuple[tuple[str, Path], ...]:
    file = path / "modules.json"
    if not file.is_file():
        return ()
    try:
        listed = json.loads(file.read_text(encoding="utf-8"))
        modules = tuple((str(one["type"]).rpartition(".")[2], path / str(one["path"])) for one in listed)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SourceError(f"{file} can't be read: {error}") from error
    for (kind, folder), one in zip(modules, listed, strict=True):
        if kind not in _MODULES:
            raise SourceError(f"{file}: module {one['type']} isn't known here; known are {', '.join(sorted(_MODULES))}")
        if not folder.resolve().is_relative_to(path.resolve()):
            raise SourceError(f"{file}: path {one['path']} leads out of the folder")
    return modules


def _onnx_file(path: Path) -> Path | None:
    for name in _ONNX_FILES:
        if (path / name).is_file():
            # A hub folder may hold both: the weights are the original.
            return None if any((path / weights).is_file() for weights in _WEIGHTS) else path / name
    found = sorted([*path.glob("*.onnx"), *path.glob("onnx/*.onnx")])
    if len(found) > 1 and not any((path / name).is_file() for name in _WEIGHTS):
        names = ", ".join(str(one.relative_to(path)) for one in found)
        raise SourceError(f"{path} holds several ONNX files ({names}): name the fp32 one model.onnx")
    return found[0] if len(found) == 1 and not any((path / name).is_file() for name in _WEIGHTS) else None


def _refuse_code(weights: Path, config: Mapping[str, Any]) -> None:
    if config.get("auto_map"):
        raise SourceError(
            f"{weights / 'config.json'}: auto_map asks to run Python code that comes with the model"
            " (trust_remote_code), which is never done here; export it to ONNX where you trust it, and give that folder"
        )


def _require_safetensors(weights: Path) -> None:
    if any((weights / name).is_file() for name in _WEIGHTS):
        return
    for name in _PICKLES:
        if (weights / name).is_file():
            raise SourceError(
                f"{weights / name}: pickled weights can run code when they are read, and are refused;"
                " save the model with safe_serialization=True and give the folder with model.safetensors"
            )
    raise SourceError(f"{weights / 'model.safetensors'} does not exist")


def _task(path: Path, config: Mapping[str, Any], modules: tuple[tuple[str, Path], ...]) -> Task:
    kinds = [kind for kind, _ in modules]
    architecture = str(next(iter(config.get("architectures") or []), ""))
    if "SpladePooling" in kinds or (not kinds and architecture.endswith("ForMaskedLM")):
        return Task.SPARSE
    if architecture.endswith("ForSequenceClassification"):
        labels = config.get("num_labels") or len(config.get("id2label") or {"0": "", "1": ""})
        return Task.RERANK if labels == 1 else Task.CLASSIFY
    if "Pooling" in kinds or config.get("model_type") in _TWO_TOWERS or "CLIPModel" in kinds:
        return Task.EMBED
    if {"Dense", "MultiVectorMask"} & set(kinds) or "ColBERT" in architecture or (path / "artifact.metadata").is_file():
        return Task.MULTI
    return Task.EMBED


def _poolings(file: Path) -> tuple[str, ...]:
    config = read_json(file)
    if config.get("include_prompt", True) is False:
        raise SourceError(f"{file}: include_prompt false (prompts left out of pooling) isn't offered")
    mode = config.get("pooling_mode") or [key for name, key in _LEGACY_POOLING.items() if config.get(name)] or "mean"
    names = (mode,) if isinstance(mode, str) else tuple(mode)
    for name in names:
        if name not in POOLINGS:
            raise SourceError(f"{file}: pooling {name} isn't known; known are {', '.join(POOLINGS)}")
    return names
