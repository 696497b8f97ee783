"""What a model folder says, file by file, as sentence-transformers and optimum write it. Nothing is guessed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield_server.encoder.files import find_files, within
from nearfield_server.encoder.manifest import MANIFEST_FILE, Manifest, read_manifest
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import Pooling

__all__ = ["ModelFolder", "file_sha256", "open_folder"]

_POOLING_KEYS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST_TOKEN,
    "pooling_mode_max_tokens": Pooling.MAX,
}
# What tokenizer_config.json holds when nobody knew the limit is a number beyond all texts.
_SANE_LENGTH = 1_000_000
_MOST_POSITIONS = 1 << 24
# Position ids of these start after the padding id, so that many positions are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl"}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of a model, read but for the graph and the tokenizer."""

    path: Path
    manifest: Manifest
    model_file: Path
    precision: str
    """Of `model_file`; empty: no file says it."""
    vision_file: Path | None
    """Graph of the images; `None`: there is none, or it is `model_file`."""
    tokenizer_file: Path
    config: dict[str, Any]
    modules: list[dict[str, Any]]
    pooling_config: dict[str, Any]
    st_config: dict[str, Any]
    sentence_bert_config: dict[str, Any]
    tokenizer_config: dict[str, Any]
    choice: str = ""
    """Why this graph."""

    @property
    def pooling(self) -> Pooling | None:
        """As the manifest or 1_Pooling/config.json says; `None`: neither does."""
        if self.manifest.pooling is not None:
            return self.manifest.pooling
        if mode := self.pooling_config.get("pooling_mode"):
            names = {"mean": Pooling.MEAN, "cls": Pooling.CLS, "lasttoken": Pooling.LAST_TOKEN, "max": Pooling.MAX}
            chosen = mode if isinstance(mode, list) else [mode]
            if len(chosen) == 1 and isinstance(chosen[0], str) and chosen[0] in names:
                return names[chosen[0]]
            raise self.failure("1_Pooling/config.json", f"pooling {mode} isn't offered; known: {', '.join(names)}")
        switched_on = [
            key for key, value in self.pooling_config.items() if key.startswith("pooling_mode_") and value is True
        ]
        if len(switched_on) == 1 and switched_on[0] in _POOLING_KEYS:
            return _POOLING_KEYS[switched_on[0]]
        if switched_on:
            raise self.failure(
                "1_Pooling/config.json",
                f"{' with '.join(switched_on)} isn't offered; known: {', '.join(_POOLING_KEYS)}",
            )
        return None

    @property
    def normalize(self) -> bool:
        """Whether the pipeline ends in a Normalize module, or the manifest says so."""
        if self.manifest.normalize is not None:
            return self.manifest.normalize
        # Two-tower models are trained on cosines, and their graphs give unit vectors.
        return "vision_config" in self.config or any(self._kind(module) == "Normalize" for module in self.modules)

    @property
    def other_modules(self) -> list[str]:
        """Kinds of module that change vectors and that only the graph itself can hold, such as Dense."""
        known = {"Transformer", "Pooling", "Normalize", "MLMTransformer", "SpladePooling", "CLIPModel"}
        return [kind for module in self.modules if (kind := self._kind(module)) not in known]

    @property
    def max_tokens(self) -> int:
        """Longest input, special tokens included."""
        if self.manifest.max_tokens is not None:
            return self.manifest.max_tokens
        positions = self.positions
        candidates = (self.sentence_bert_config.get("max_seq_length"), self.tokenizer_config.get("model_max_length"))
        for value in candidates:
            if isinstance(value, (int, float)) and 0 < value < _SANE_LENGTH:
                return int(value) if positions is None else min(int(value), positions)
        if positions is not None:
            return positions
        raise self.failure("nearfield.yaml", "no file tells the longest input: add `max_tokens: N`")

    @property
    def positions(self) -> int | None:
        """Positions that the model has for tokens; `None`: no file says it."""
        config = self.text_config
        positions = config.get("max_position_embeddings")
        if not isinstance(positions, int) or not 0 < positions <= _MOST_POSITIONS:
            return None
        padding = config.get("pad_token_id")
        offset = (padding if isinstance(padding, int) else 1) + 1
        return positions - (offset if config.get("model_type") in _OFFSET_POSITIONS else 0)

    @property
    def text_config(self) -> dict[str, Any]:
        """The part of config.json about the texts' encoder: all of it, but for models of two towers."""
        nested = self.config.get("text_config")
        return nested if isinstance(nested, dict) else self.config

    @property
    def architecture(self) -> str:
        """The model's class, as config.json names it, such as BertModel; empty: it doesn't."""
        named = self.config.get("architectures")
        return str(named[0]) if isinstance(named, list) and named else ""

    @property
    def module_kinds(self) -> list[str]:
        """Class names of the modules of sentence-transformers' pipeline."""
        return [self._kind(module) for module in self.modules]

    def json(self, name: str) -> dict[str, Any]:
        """Read a further JSON file of the folder; nothing in it when there is none. Raises `ModelLoadFailure`."""
        content = _json(self.path, name, dict)
        return dict(content)

    def verify(self) -> str:
        """Check the manifest's hashes of what is loaded; give the SHA-256 of the model file.

        Graphs of other precisions are not read: they may be large, or left out of this copy.

        Raises:
            ModelLoadFailure: a file is missing, or isn't the one that the manifest was written for.
        """
        hashes = {self.model_file: file_sha256(self.model_file)}
        loaded = {self.model_file, self.vision_file}
        for name, expected in self.manifest.sha256.items():
            path = self.path / name
            if path not in loaded and name.endswith((".onnx", ".onnx_data", ".onnx.data")) and not self._beside(name):
                continue
            if not path.is_file():
                raise self.failure(name, "the manifest gives its SHA-256, but the file is missing")
            found = hashes.get(path) or file_sha256(path)
            if found != expected:
                raise self.failure(
                    name, f"SHA-256 is {found[:12]}…, the manifest says {expected[:12]}…: damaged or replaced"
                )
        return hashes[self.model_file]

    @property
    def trusted(self) -> bool:
        """The manifest states the SHA-256 of all graphs that are loaded."""
        graphs = [one for one in (self.model_file, self.vision_file) if one is not None]
        return all(one.relative_to(self.path).as_posix() in self.manifest.sha256 for one in graphs)

    def _beside(self, name: str) -> bool:
        """Whether `name` is external data of a graph that is loaded."""
        return any(
            one is not None and Path(name).name.startswith(one.name) for one in (self.model_file, self.vision_file)
        )

    def failure(self, file: str, problem: str) -> ModelLoadFailure:
        """Make the error that blames `file`."""
        return ModelLoadFailure(f"{self.path / file}: {problem}")

    @staticmethod
    def _kind(module: dict[str, Any]) -> str:
        return str(module.get("type", "")).rpartition(".")[2]


def open_folder(path: Path, *, device: str = "cpu", precision: str = "") -> ModelFolder:
    """Read the small files of a model folder, and choose its graph.

    Args:
        path: the folder.
        device: kind of the device it shall run on, such as "cpu" or "cuda": the manifest may have a graph for it.
        precision: the one asked for; empty: the manifest's choice.

    Raises:
        ModelLoadFailure: names the file at fault.
    """
    if not path.is_dir():
        msg = f"{path}: no such folder; give one with config.json, tokenizer.json and an ONNX file"
        raise ModelLoadFailure(msg)
    within(path, MANIFEST_FILE)
    manifest = read_manifest(path)
    modules = _json(path, "modules.json", list)
    if not all(isinstance(one, dict) for one in modules):
        msg = f"{path / 'modules.json'}: must be a list of objects"
        raise ModelLoadFailure(msg)
    pooling_path = next((str(one.get("path", "")) for one in modules if "Pooling" in str(one.get("type"))), "1_Pooling")
    files = find_files(path, manifest, device, precision)
    folder = ModelFolder(
        path=path,
        manifest=manifest,
        model_file=files.model,
        precision=files.precision,
        vision_file=files.vision,
        tokenizer_file=path / manifest.files.tokenizer,
        config=_json(path, "config.json", dict),
        modules=modules,
        pooling_config=_json(path, f"{pooling_path}/config.json", dict),
        st_config=_json(path, "config_sentence_transformers.json", dict),
        sentence_bert_config=_json(path, "sentence_bert_config.json", dict),
        tokenizer_config=_json(path, "tokenizer_config.json", dict),
        choice=files.choice,
    )
    for file in (folder.model_file, folder.vision_file, folder.tokenizer_file):
        if file is None:
            continue
        within(path, str(file.relative_to(path)))
        if not file.is_file():
            raise folder.failure(str(file.relative_to(path)), "no such file")
    return folder


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _json(folder: Path, name: str, kind: type) -> Any:
    path = folder / within(folder, name)
    if not path.exists():
        return kind()
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path}: can't be read as JSON: {error}"
        raise ModelLoadFailure(msg) from error
    if not isinstance(value, kind):
        msg = f"{path}: holds {type(value).__name__} where {kind.__name__} belongs"
        raise ModelLoadFailure(msg)
    return value
