"""Which files of a model folder are loaded: those of the precision asked for, or of the one that suits the device."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield_server.config.machine import cpu_flags
from nearfield_server.encoder.manifest import MANIFEST_FILE, Manifest
from nearfield_server.encoder.variants import Variant, choose_variant, precisions_of, vision_variant
from nearfield_server.errors import ModelLoadFailure

__all__ = ["GraphFiles", "find_files", "within"]

_SHORT_NAMES = {"int8": "int8-rowwise"}


@dataclass(frozen=True, slots=True)
class GraphFiles:
    """The graph of the texts, its precision if a file tells it, that of the images if there is one, and why these."""

    model: Path
    precision: str
    vision: Path | None
    choice: str = ""


def find_files(folder: Path, manifest: Manifest, device: str, precision: str) -> GraphFiles:
    """Choose the graphs for a `device` kind and the `precision` asked for (empty: none in particular).

    Raises:
        ModelLoadFailure: there is no such precision, or no ONNX file, or several and nothing tells which.
    """
    files = manifest.files
    if files.model is None and not files.precisions:
        return _by_name(folder, manifest, device, precision)
    wanted = _SHORT_NAMES.get(precision, precision)
    chosen = wanted or files.providers.get(device, "")
    if chosen and chosen != manifest.precision and chosen not in files.precisions:
        known = ", ".join(sorted({*files.precisions, manifest.precision} - {""})) or "one of a precision not stated"
        asked = f"precision {chosen} is asked for" if wanted else f"files.providers gives {device} {chosen}"
        msg = f"{folder / MANIFEST_FILE}: {asked}, but the folder has {known}; make it with `nearfield export`"
        raise ModelLoadFailure(msg)
    reason = "is asked for" if wanted else f"is the manifest's choice for {device}" if chosen else "is the manifest's"
    chosen = chosen or manifest.precision
    stated = files.precisions.get(chosen) or files.model or next(iter(files.precisions.values()))
    choice = f"{stated}: precision {chosen} {reason}" if chosen else f"{stated} is the manifest's graph"
    return GraphFiles(folder / stated, chosen, _vision_file(folder, manifest, chosen, stated), choice)


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


def _by_name(folder: Path, manifest: Manifest, device: str, precision: str) -> GraphFiles:
    """Choose by the names of the files, for no manifest states a graph."""
    paths = _graphs(folder)
    if _SHORT_NAMES.get(precision, precision) == manifest.precision:
        precision = ""  # it holds what is asked for
    variant = choose_variant(paths, device, precision, cpu_flags())
    if variant is None and len(paths) == 1 and not precision:
        variant = Variant(paths[0], "", f"{paths[0]}: the only graph")
    if variant is None:
        raise ModelLoadFailure(_nothing_fits(folder, paths, precision))
    # A single file may hold any precision, whatever its name.
    known = variant.precision if precision or len(paths) > 1 else ""
    vision = _vision_file(folder, manifest, variant.precision, variant.path)
    return GraphFiles(folder / variant.path, manifest.precision or known, vision, variant.choice)


def _nothing_fits(folder: Path, paths: Sequence[str], precision: str) -> str:
    if not paths:
        return f"{folder}: no ONNX file; make one with `nearfield export {folder} --out DIR`"
    if precision:
        known = ", ".join(precisions_of(paths)) or "files of unknown precision"
        return f"{folder}: precision {precision} is asked for, but there are {known}; make it with `nearfield export`"
    return f"{folder}: several ONNX files ({', '.join(paths)}): choose one in nearfield.yaml, `files: {{model: …}}`"


def _graphs(folder: Path) -> list[str]:
    found = sorted([*folder.glob("onnx/*.onnx"), *folder.glob("*.onnx")])
    return [one.relative_to(folder).as_posix() for one in found if one.is_file()]


def _vision_file(folder: Path, manifest: Manifest, precision: str, model: str) -> Path | None:
    stated = manifest.files.vision
    if stated:
        return folder / stated.get(precision, next(iter(stated.values())))
    beside = vision_variant(_graphs(folder), model)
    return folder / beside if beside else None
