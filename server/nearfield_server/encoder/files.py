"""Which files of a model folder are loaded: those of the precision asked for, or of the one that suits the device."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from nearfield_server.encoder.manifest import MANIFEST_FILE, Manifest
from nearfield_server.errors import ModelLoadFailure

__all__ = ["GraphFiles", "find_files", "within"]

_MODEL_FILES = ("onnx/model.onnx", "model.onnx", "onnx/text_model.onnx", "text_model.onnx")
_VISION_FILE = "vision_model.onnx"
_SHORT_NAMES = {"int8": "int8-rowwise"}


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """The graph of the texts, its precision if a file tells it, and that of the images if there is one."""

    model: Path
    precision: str
    vision: Path | None


def find_files(folder: Path, manifest: Manifest, device: str, precision: str) -> GraphFiles:
    """Choose the graphs for a `device` kind and the `precision` asked for (empty: none in particular).

    Raises:
        ModelLoadFailure: there is no such precision, or no ONNX file, or several and nothing tells which.
    """
    files = manifest.files
    wanted = _SHORT_NAMES.get(precision, precision)
    chosen = wanted or files.providers.get(device, "")
    if chosen and chosen != manifest.precision and chosen not in files.precisions:
        known = ", ".join(sorted({*files.precisions, manifest.precision} - {""})) or "one of a precision not stated"
        asked = f"precision {chosen} is asked for" if wanted else f"files.providers gives {device} {chosen}"
        msg = f"{folder / MANIFEST_FILE}: {asked}, but the folder has {known}; make it with `nearfield export`"
        raise ModelLoadFailure(msg)
    if chosen in files.precisions:
        model = folder / files.precisions[chosen]
    else:
        chosen = manifest.precision
        model = _model_file(folder, manifest)
    return GraphFiles(model, chosen, _vision_file(folder, manifest, chosen, model))


def within(folder: Path, name: str) -> str:
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
    if manifest.files.precisions:
        return folder / next(iter(manifest.files.precisions.values()))
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
        msg = f"{folder}: no ONNX file; make one with `nearfield export {folder} --out DIR`"
    raise ModelLoadFailure(msg)


def _vision_file(folder: Path, manifest: Manifest, precision: str, model: Path) -> Path | None:
    stated = manifest.files.vision
    if stated:
        return folder / stated.get(precision, next(iter(stated.values())))
    beside = model.parent / _VISION_FILE
    return beside if beside.is_file() and beside != model else None
