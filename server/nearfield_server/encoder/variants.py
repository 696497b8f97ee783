"""Graphs of one model by their file names, as optimum, sentence-transformers and transformers.js write them.

Such files come without a manifest, so the name is all there is: `model.onnx` is fp32, a suffix says otherwise.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import PurePosixPath

__all__ = ["Variant", "choose_variant", "precisions_of", "vision_variant"]

_FP32 = ("", "_fp32", "_O3", "_O2", "_O1")
_FP16 = ("_fp16", "_O4")
# Each made for certain instructions; others run it too, but not all give the same numbers (no VNNI: sums saturate).
_INT8_FOR = {
    "avx512_vnni": "_qint8_avx512_vnni",
    "avx2": "_quint8_avx2",
    "asimddp": "_qint8_arm64",
    "i8mm": "_qint8_arm64",
}
_INT8 = ("_quantized", "_int8", "_uint8")
_SUFFIXES = {"fp32": _FP32, "fp16": _FP16, "int8": (*_INT8_FOR.values(), "_qint8_avx512", *_INT8)}
_FOLDERS = ("onnx", ".")
# Operators that ONNX Runtime's optimiser made for CUDA (O4) are unknown to TensorRT.
_HALF = {"cuda": _FP16, "tensorrt": ("_fp16",)}


@dataclass(frozen=True, slots=True)
class Variant:
    """A graph: its path in the model's folder, its precision by its name, and why it was taken."""

    path: str
    precision: str
    choice: str


def choose_variant(
    paths: Collection[str], device: str, precision: str, cpu_flags: frozenset[str] = frozenset()
) -> Variant | None:
    """Choose among `paths` (relative to the model's folder); `None`: none has a known name, or the precision asked for.

    Args:
        paths: all files of the folder, or those that end in .onnx.
        device: kind of the device that it shall run on.
        precision: the one asked for; empty: the best for the device.
        cpu_flags: instructions of this CPU, for int8.
    """
    if precision:
        found = _first(paths, _int8_suffixes(cpu_flags) if precision == "int8" else _SUFFIXES.get(precision, ()))
        reason = f"{found}: precision {precision} is asked for{_warning(precision)}"
        return Variant(found, precision, reason) if found else None
    if device in _HALF and (found := _first(paths, _HALF[device])):
        return Variant(found, "fp16", f"{found}: fp16, which {device} runs fastest")
    if found := _first(paths, _FP32):
        others = "; usual int8 files give vectors that depend on their batch" if "int8" in precisions_of(paths) else ""
        return Variant(found, "fp32", f"{found}: fp32{others}")
    for other in ("int8", "fp16"):
        if found := _first(paths, _int8_suffixes(cpu_flags) if other == "int8" else _FP16):
            return Variant(found, other, f"{found}: {other}, there is no fp32{_warning(other)}")
    return None


def precisions_of(paths: Collection[str]) -> list[str]:
    """Give the precisions that there are files of."""
    return [precision for precision, suffixes in _SUFFIXES.items() if _first(paths, suffixes)]


def vision_variant(paths: Collection[str], text: str) -> str | None:
    """Give the graph of the images beside that of the `text`s: of the same precision if there is one."""
    pure = PurePosixPath(text)
    _, _, suffix = pure.stem.rpartition("model")
    for name in (f"vision_model{suffix}.onnx", "vision_model.onnx"):
        if (path := str(pure.with_name(name))) in paths and path != text:
            return path
    return None


def _first(paths: Collection[str], suffixes: Sequence[str]) -> str | None:
    """Find the first file that is named so; the tower of the texts goes before a graph of both towers."""
    towers = any(PurePosixPath(one).name == "vision_model.onnx" for one in paths)
    stems = ("text_model", "model") if towers else ("model", "text_model")
    for suffix in suffixes:
        for folder in _FOLDERS:
            for stem in stems:
                if (path := str(PurePosixPath(folder, f"{stem}{suffix}.onnx"))) in paths:
                    return path
    return None


def _int8_suffixes(cpu_flags: frozenset[str]) -> tuple[str, ...]:
    return (*(suffix for flag, suffix in _INT8_FOR.items() if flag in cpu_flags), *_INT8, *_SUFFIXES["int8"])


def _warning(precision: str) -> str:
    return ", which gives vectors that depend on their batch a little" if precision == "int8" else ""
