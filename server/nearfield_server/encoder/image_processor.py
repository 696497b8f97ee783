"""What `preprocessor_config.json` says an image must become, read as transformers' own processors read it."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nearfield_server.errors import ModelLoadFailure

__all__ = ["ImageRecipe", "read_recipe"]

_FILES = ("preprocessor_config.json", "processor_config.json")
_FOLDERS = ("", "0_CLIPModel")
"""Where sentence-transformers keeps it for CLIP."""
_MAX_SIDE = 4096
_CLIP_MEAN, _CLIP_STD = (0.48145466, 0.4578275, 0.40821073), (0.26862954, 0.26130258, 0.27577711)
_HALF = (0.5, 0.5, 0.5)
_IMAGENET_MEAN, _IMAGENET_STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
_NEAREST, _LANCZOS, _BILINEAR, _BICUBIC, _BOX, _HAMMING = range(6)

# What each processor does when its file doesn't say: the defaults of transformers' classes.
_CLIP = {
    "size": {"shortest_edge": 224}, "resample": _BICUBIC, "do_center_crop": True, "crop_size": 224,
    "image_mean": _CLIP_MEAN, "image_std": _CLIP_STD,
}  # fmt: skip
_VIT = {
    "size": {"height": 224, "width": 224}, "resample": _BILINEAR, "do_center_crop": False,
    "image_mean": _HALF, "image_std": _HALF,
}  # fmt: skip
_DEFAULTS: Mapping[str, Mapping[str, Any]] = {
    "CLIP": _CLIP,
    "ChineseCLIP": _CLIP,
    "Bit": _CLIP,
    "ViT": _VIT,
    "Siglip": _VIT | {"resample": _BICUBIC},
    "DeiT": _VIT
    | {
        "size": {"height": 256, "width": 256}, "resample": _BICUBIC, "do_center_crop": True, "crop_size": 224,
        "image_mean": _IMAGENET_MEAN, "image_std": _IMAGENET_STD,
    },
    "ConvNext": _VIT | {"size": {"shortest_edge": 384}, "image_mean": _IMAGENET_MEAN, "image_std": _IMAGENET_STD},
}  # fmt: skip
# A bare number is the shortest edge to these, and a square to the others.
_EDGE_BY_NUMBER = {"CLIP", "ChineseCLIP", "Bit", "ConvNext"}
# ConvNeXt squeezes images to this size and above, and crops them below it.
_CONVNEXT_SQUEEZED = 384
_LEAST_SHARE = 0.1
_SUFFIXES = ("ImageProcessorFast", "ImageProcessor", "FeatureExtractor")


@dataclass(frozen=True, slots=True)
class ImageRecipe:
    """The steps, in order: resize, crop, rescale, normalise. Sizes are (height, width) in pixels."""

    shortest_edge: int | None
    """Resize so that the shorter side has this many pixels; at most one of this and `resize`."""
    resize: tuple[int, int] | None
    crop: tuple[int, int] | None
    """Cut this out of the middle; what is smaller gets a black border."""
    resample: int
    """Filter: a value of `PIL.Image.Resampling`."""
    rescale: float | None
    mean: tuple[float, float, float] | None
    std: tuple[float, float, float] | None

    @property
    def size(self) -> tuple[int, int]:
        """Height and width of the result."""
        size = self.crop or self.resize
        if size is None:
            msg = "a recipe without a size; this is a bug"
            raise AssertionError(msg)
        return size


def read_recipe(folder: Path) -> ImageRecipe | None:
    """Read the processor's file of a model folder; `None`: it has none, so the model takes no images.

    Raises:
        ModelLoadFailure: a file that can't be followed exactly; names it and the key.
    """
    for path in (folder / one / name for one in _FOLDERS for name in _FILES):
        if path.is_file() and (config := _json(path)) is not None:
            return _Reader(path, config).recipe()
    return None


def _json(path: Path) -> dict[str, Any] | None:
    try:
        value = json.loads(path.read_text("utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        msg = f"{path}: can't be read as JSON: {error}"
        raise ModelLoadFailure(msg) from error
    if not isinstance(value, dict):
        msg = f"{path}: holds {type(value).__name__} where dict belongs"
        raise ModelLoadFailure(msg)
    if path.name == "processor_config.json":  # of all kinds of input together; images have a part of it
        part = value.get("image_processor")
        return part if isinstance(part, dict) else None
    return value


class _Reader:
    """Reads one file; every key that is wrong is named."""

    def __init__(self, path: Path, config: dict[str, Any]) -> None:
        self._path = path
        self._kind = self._known_kind(config)
        self._config = {**_DEFAULTS[self._kind], **{key: one for key, one in config.items() if one is not None}}

    def recipe(self) -> ImageRecipe:
        edge, resize = self._size() if self._flag("do_resize") else (None, None)
        crop = self._square("crop_size") if self._flag("do_center_crop") else None
        if self._kind == "ConvNext" and edge is not None:
            edge, resize, crop = self._convnext(edge)
        if not (crop or resize):
            raise self._failure(
                "size", "leaves images at sizes of their own, which one graph can't take: set crop_size"
            )
        return ImageRecipe(
            shortest_edge=edge,
            resize=resize,
            crop=crop,
            resample=self._whole("resample", self._config["resample"], 0, _HAMMING),
            rescale=self._number("rescale_factor", self._config.get("rescale_factor", 1 / 255))
            if self._flag("do_rescale")
            else None,
            mean=self._channels("image_mean") if self._flag("do_normalize") else None,
            std=self._channels("image_std", lambda one: one > 0) if self._flag("do_normalize") else None,
        )

    def _known_kind(self, config: dict[str, Any]) -> str:
        name = str(config.get("image_processor_type") or config.get("feature_extractor_type") or "")
        for suffix in _SUFFIXES:
            if name.removesuffix(suffix) in _DEFAULTS:
                return name.removesuffix(suffix)
        known = ", ".join(f"{one}ImageProcessor" for one in _DEFAULTS)
        raise self._failure("image_processor_type", f"{name[:64] or 'nothing'!r} isn't offered; known: {known}")

    def _size(self) -> tuple[int | None, tuple[int, int] | None]:
        size = self._config["size"]
        if isinstance(size, dict) and "shortest_edge" in size and "longest_edge" not in size:
            return self._whole("size.shortest_edge", size["shortest_edge"]), None
        if self._kind in _EDGE_BY_NUMBER and not isinstance(size, dict):
            return self._whole("size", size), None
        return None, self._square("size")

    def _square(self, key: str) -> tuple[int, int]:
        size = self._config[key]
        if isinstance(size, dict):
            if not {"height", "width"} <= size.keys():
                raise self._failure(key, "must hold shortest_edge, or height and width")
            return self._whole(f"{key}.height", size["height"]), self._whole(f"{key}.width", size["width"])
        if isinstance(size, list) and len(size) == len(("height", "width")):
            return self._whole(key, size[0]), self._whole(key, size[1])
        return self._whole(key, size), self._whole(key, size)

    def _convnext(self, edge: int) -> tuple[int | None, tuple[int, int] | None, tuple[int, int] | None]:
        if edge >= _CONVNEXT_SQUEEZED:
            return None, (edge, edge), None
        share = self._number("crop_pct", self._config.get("crop_pct", 224 / 256))
        if not _LEAST_SHARE <= share <= 1:
            raise self._failure("crop_pct", "must be in 0.1 to 1")
        return int(edge / share), None, (edge, edge)

    def _flag(self, key: str) -> bool:
        value = self._config.get(key, True)
        if not isinstance(value, bool):
            raise self._failure(key, "must be true or false")
        return value

    def _whole(self, key: str, value: Any, least: int = 1, most: int = _MAX_SIDE) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or not least <= value <= most:
            raise self._failure(key, f"must be a whole number in {least} to {most}")
        return value

    def _number(self, key: str, value: Any) -> float:
        if not isinstance(value, (int, float)) or isinstance(value, bool) or not math.isfinite(value):
            raise self._failure(key, "must be a number")
        return float(value)

    def _channels(self, key: str, check: Callable[[float], bool] = math.isfinite) -> tuple[float, float, float]:
        value = self._config[key]
        values = list(value) if isinstance(value, (list, tuple)) else [value] * 3
        numbers = [self._number(key, one) for one in values]
        if len(numbers) != len("RGB") or not all(map(check, numbers)):
            raise self._failure(key, "must be three numbers, a deviation above 0")
        return numbers[0], numbers[1], numbers[2]

    def _failure(self, key: str, problem: str) -> ModelLoadFailure:
        return ModelLoadFailure(f"{self._path}: {key}: {problem}")
