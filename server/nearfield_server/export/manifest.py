"""Writes a model folder: files of the source, the graph, and the manifest ``nearfield.yaml`` that binds them."""

import platform
import shutil
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

import yaml

from nearfield_server.export.errors import ExportError, SourceError
from nearfield_server.export.weights import sha256_of

__all__ = ["MANIFEST", "MODEL_FILE", "copy_files", "digests", "tool_versions", "write_folder", "write_manifest"]

MANIFEST = "nearfield.yaml"
MODEL_FILE = "onnx/model.onnx"


def write_folder(target: Path, fill: Callable[[Path], None]) -> None:
    """Lets `fill` write into an empty folder beside `target`, then renames it to `target`.

    An earlier export at `target` is replaced; any other folder there is an ExportError. When `fill` raises, nothing
    stays behind and `target` is as it was.
    """
    if target.exists() and not (target / MANIFEST).is_file():
        raise ExportError(f"{target} exists and is no model folder (it has no {MANIFEST}): not overwriting it")
    target.parent.mkdir(parents=True, exist_ok=True)
    part, old = target.with_name(f".{target.name}.part"), target.with_name(f".{target.name}.old")
    for leftover in (part, old):
        shutil.rmtree(leftover, ignore_errors=True)
    part.mkdir()
    try:
        fill(part)
    except BaseException:
        shutil.rmtree(part, ignore_errors=True)
        raise
    if target.exists():
        target.rename(old)
    part.rename(target)
    shutil.rmtree(old, ignore_errors=True)


def copy_files(source: Path, target: Path, names: Iterable[str]) -> None:
    """Copies files by their relative names; SourceError names the first that is absent."""
    for name in names:
        if not (source / name).is_file():
            raise SourceError(f"{source / name} does not exist")
        (target / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(source / name, target / name)


def digests(folder: Path, names: Iterable[str]) -> dict[str, str]:
    """Hex SHA-256 of each file, by its relative name."""
    return {name: sha256_of(folder / name) for name in names}


def tool_versions() -> dict[str, str]:
    """Versions of what shapes the bytes of an export."""
    packages = ("numpy", "onnx", "onnxruntime", "safetensors", "tokenizers")
    return {"python": platform.python_version()} | {name: version(name) for name in packages}


def write_manifest(folder: Path, content: Mapping[str, Any]) -> None:
    """Writes ``nearfield.yaml``, keys in the given order."""
    text = yaml.safe_dump(dict(content), sort_keys=False, allow_unicode=True, width=120)
    (folder / MANIFEST).write_text(text, encoding="utf-8")
