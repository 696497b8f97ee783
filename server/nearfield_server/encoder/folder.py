"""What a model folder says, file by file, as sentence-transformers and optimum write it. Nothing is guessed."""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield_server.encoder.manifest import MANIFEST_FILE, Manifest, read_manifest
from nearfield_server.errors import ModelLoadFailure
from nearfield_server.types import Pooling

__all__ = ["ModelFolder", "file_sha256", "open_folder"]

_MODEL_FILES = ("onnx/model.onnx", "model.onnx")
_POOLING_KEYS = {
    "pooling_mode_mean_tokens": Pooling.MEAN,
    "pooling_mode_cls_token": Pooling.CLS,
    "pooling_mode_lasttoken": Pooling.LAST_TOKEN,
    "pooling_mode_max_tokens": Pooling.MAX,
}
# What tokenizer_config.json holds when nobody knew the limit is a number beyond all texts.
_SANE_LENGTH = 1_000_000
# Position ids of these start after the padding id, so that many positions are never used.
_OFFSET_POSITIONS = {"roberta", "xlm-roberta", "camembert", "mpnet", "longformer", "xlm-roberta-xl"}


@dataclass(frozen=True, slots=True)
class ModelFolder:
    """The files of a model, read but for the graph and the tokenizer."""

    path: Path
    manifest: Manifest
    model_file: Path
    tokenizer_file: Path
    config: dict[str, Any]
    modules: list[dict[str, Any]]
    pooling_config: dict[str, Any]
    st_config: dict[str, Any]
    sentence_bert_config: dict[str, Any]
    tokenizer_config: dict[str, Any]

    @property
    def pooling(self) -> Pooling | None:
        """As the manifest or 1_Pooling/config.json says; `None`: neither does."""
        if self.manifest.pooling is not None:
            return self.manifest.pooling
        if mode := self.pooling_config.get("pooling_mode"):
            names = {"mean": Pooling.MEAN, "cls": Pooling.CLS, "lasttoken": Pooling.LAST_TOKEN, "max": Pooling.MAX}
            chosen = [mode] if isinstance(mode, str) else list(mode)
            if len(chosen) == 1 and chosen[0] in names:
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
        return any(self._kind(module) == "Normalize" for module in self.modules)

    @property
    def other_modules(self) -> list[str]:
        """Kinds of module that change vectors and that only the graph itself can hold, such as Dense."""
        known = {"Transformer", "Pooling", "Normalize"}
        return [kind for module in self.modules if (kind := self._kind(module)) not in known]

    @property
    def max_tokens(self) -> int:
        """Longest input, special tokens included."""
        if self.manifest.max_tokens is not None:
            return self.manifest.max_tokens
        candidates = (self.sentence_bert_config.get("max_seq_length"), self.tokenizer_config.get("model_max_length"))
        for value in candidates:
            if isinstance(value, (int, float)) and 0 < value < _SANE_LENGTH:
                return int(value)
        positions = self.config.get("max_position_embeddings")
        if isinstance(positions, int) and positions > 0:
            offset = self.config.get("pad_token_id", 1) + 1 if self.config.get("model_type") in _OFFSET_POSITIONS else 0
            return positions - int(offset)
        raise self.failure("nearfield.yaml", "no file tells the longest input: add `max_tokens: N`")

    def verify(self) -> str:
        """Check every hash of the manifest; give the SHA-256 of the model file. Raises `ModelLoadFailure`."""
        hashes = {self.model_file: file_sha256(self.model_file)}
        for name, expected in self.manifest.sha256.items():
            path = self.path / name
            if not path.is_file():
                raise self.failure(name, "the manifest gives its SHA-256, but the file is missing")
            found = hashes.get(path) or file_sha256(path)
            if found != expected:
                raise self.failure(
                    name, f"SHA-256 is {found[:12]}…, the manifest says {expected[:12]}…: damaged or replaced"
                )
        return hashes[self.model_file]

    def failure(self, file: str, problem: str) -> ModelLoadFailure:
        """Make the error that blames `file`."""
        return ModelLoadFailure(f"{self.path / file}: {problem}")

    @staticmethod
    def _kind(module: dict[str, Any]) -> str:
        return str(module.get("type", "")).rpartition(".")[2]


def open_folder(path: Path) -> ModelFolder:
    """Read the small files of a model folder. Raises `ModelLoadFailure` that names the file at fault."""
    if not path.is_dir():
        msg = f"{path}: no such folder; give one with config.json, tokenizer.json and an ONNX file"
        raise ModelLoadFailure(msg)
    _within(path, MANIFEST_FILE)
    manifest = read_manifest(path)
    modules = _json(path, "modules.json", list)
    pooling_path = next((str(one.get("path", "")) for one in modules if "Pooling" in str(one.get("type"))), "1_Pooling")
    folder = ModelFolder(
        path=path,
        manifest=manifest,
        model_file=_model_file(path, manifest),
        tokenizer_file=path / manifest.files.tokenizer,
        config=_json(path, "config.json", dict),
        modules=modules,
        pooling_config=_json(path, f"{pooling_path}/config.json", dict),
        st_config=_json(path, "config_sentence_transformers.json", dict),
        sentence_bert_config=_json(path, "sentence_bert_config.json", dict),
        tokenizer_config=_json(path, "tokenizer_config.json", dict),
    )
    for file in (folder.model_file, folder.tokenizer_file):
        _within(path, str(file.relative_to(path)))
        if not file.is_file():
            raise folder.failure(str(file.relative_to(path)), "no such file")
    return folder


def file_sha256(path: Path) -> str:
    """Give the SHA-256 of a file, 64 hexadecimal digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _within(folder: Path, name: str) -> str:
    """Refuse a `name` that leads out of `folder`, by `..` or by a symbolic link to a file of somebody else."""
    if not (folder / name).resolve().is_relative_to(folder.resolve()) and not _is_cache_link(folder, name):
        msg = f"{folder / name}: leads out of the model's folder"
        raise ModelLoadFailure(msg)
    return name


def _is_cache_link(folder: Path, name: str) -> bool:
    # The hub's cache keeps snapshots/REVISION/FILE as a link to ../../blobs/HASH of the same repository.
    blobs = folder.resolve().parent.parent / "blobs"
    return folder.resolve().parent.name == "snapshots" and (folder / name).resolve().is_relative_to(blobs)


def _model_file(folder: Path, manifest: Manifest) -> Path:
    if manifest.files.model is not None:
        return folder / manifest.files.model
    for name in _MODEL_FILES:
        if (folder / name).is_file():
            return folder / name
    found = sorted([*folder.glob("onnx/*.onnx"), *folder.glob("*.onnx")])
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(str(one.relative_to(folder)) for one in found)
        msg = f"{folder}: several ONNX files ({names}): choose one in nearfield.yaml, `files: {{model: …}}`"
    else:
        msg = f"{folder}: no ONNX file; export the model with optimum, or `python -m nearfield_server.export.builtin`"
    raise ModelLoadFailure(msg)


def _json(folder: Path, name: str, kind: type) -> Any:
    path = folder / _within(folder, name)
    if not path.exists():
        return kind()
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError) as error:
        msg = f"{path}: can't be read as JSON: {error}"
        raise ModelLoadFailure(msg) from error
    if not isinstance(value, kind):
        msg = f"{path}: holds {type(value).__name__} where {kind.__name__} belongs"
        raise ModelLoadFailure(msg)
    return value
