"""Image files to what a vision model sees, as transformers' own processors do it.

The reference is `transformers.image_utils.load_image` (turned upright, then RGB) followed by the processors that work
on Pillow images (those without "Fast"): Pillow's filters on 8-bit values, then rescaling in float64 and normalising in
float32. Called on threads: Pillow frees the GIL while it decodes and resizes.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from io import BytesIO
from math import ceil
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from nearfield_server.encoder.image_files import BadImage, StillImage
from nearfield_server.encoder.image_jpeg import JPEG_START, read_jpeg
from nearfield_server.encoder.image_png import PNG_START, holds_all_pixels, read_png
from nearfield_server.encoder.image_processor import ImageRecipe, read_recipe
from nearfield_server.encoder.image_webp import is_webp, read_webp
from nearfield_server.errors import InvalidInput
from nearfield_server.types import Pixels

__all__ = ["ImageLimits", "ImageProcessor", "pixels_of"]

# The files' own classes, not `Image.open`: that one tries formats, writes warnings, and reads further images.
_DECODERS: Mapping[str, Callable[[BytesIO], ImageFile]] = {
    "JPEG": JpegImageFile,
    "PNG": PngImageFile,
    "WEBP": WebPImageFile,
}
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
# An image may be resized to as many pixels as it may have, or to this many times what the model sees.
_MAX_STRETCH = 16
# Larger ones are decoded two at a time, whatever the number of threads: memory would follow that number else.
_LARGE_PIXELS = 4_000_000
_LARGE_AT_ONCE = threading.BoundedSemaphore(2)


@dataclass(frozen=True, slots=True)
class ImageLimits:
    """Bounds of one file; see the settings `limits.max_image_bytes` and `limits.max_image_pixels`."""

    max_bytes: int
    max_pixels: int


class ImageProcessor:
    """The steps of one model; called from several threads at once."""

    def __init__(self, recipe: ImageRecipe) -> None:
        """Follow `recipe`."""
        self._recipe = recipe
        self.size = recipe.size
        self._table = _table(recipe)

    @classmethod
    def from_folder(cls, path: Path) -> ImageProcessor | None:
        """Read `preprocessor_config.json`; `None`: there is none. Raises `ModelLoadFailure`."""
        recipe = read_recipe(path)
        return None if recipe is None else cls(recipe)

    def __call__(self, data: bytes, field: str, limits: ImageLimits) -> Pixels:
        """Give what the model sees, `[3, *size]`.

        Raises:
            InvalidInput: not an image of a format that is taken, damaged, or over a limit; blames `field`.
        """
        if len(data) > limits.max_bytes:
            raise InvalidInput(field, f"has {len(data)} bytes; the limit is {limits.max_bytes}")
        try:
            still = _read(data)
            size = self._check(still, limits.max_pixels)
            with _turn(max(still.width * still.height, size[0] * size[1])):
                image = _decode(still).resize((size[1], size[0]), self._recipe.resample)
        except BadImage as error:
            raise InvalidInput(field, str(error)) from None
        return self._values(_cropped(np.asarray(image), self.size))

    def _check(self, still: StillImage, max_pixels: int) -> tuple[int, int]:
        """Give height and width to resize to. Raises `BadImage`: too many pixels, before or after."""
        shown = f"is {still.width} x {still.height} pixels"
        if not 1 <= still.width * still.height <= max_pixels:
            raise BadImage(f"{shown}; it must have 1 to {max_pixels}")
        height, width = self._resized(*still.upright_size)
        if height * width > max(max_pixels, _MAX_STRETCH * self.size[0] * self.size[1]):
            raise BadImage(f"{shown}: too long and narrow to scale its shorter side to {min(height, width)}")
        return height, width

    def _resized(self, height: int, width: int) -> tuple[int, int]:
        """Give height and width after resizing an upright image."""
        if self._recipe.resize is not None:
            return self._recipe.resize
        edge = self._recipe.shortest_edge
        if edge is None:
            return height, width
        short, long = min(height, width), max(height, width)
        scaled = int(edge * long / short)
        return (scaled, edge) if width <= height else (edge, scaled)

    def _values(self, pixels: npt.NDArray[np.uint8]) -> Pixels:
        """Rescale and normalise `[height, width, 3]` by looking each of the 256 values up."""
        result = np.empty((3, *self.size), np.float32)
        for channel in range(3):
            np.take(self._table[channel], pixels[..., channel], out=result[channel], mode="clip")
        return result


def pixels_of(data: bytes) -> int:
    """Give how many pixels the file states, without decoding it; 0: it can't be taken, as processing it will tell."""
    try:
        still = _read(data)
    except BadImage:
        return 0
    return still.width * still.height


def _table(recipe: ImageRecipe) -> Pixels:
    """Give the float of each 8-bit value by channel, `[3, 256]`, in the reference's own order of types."""
    values = np.arange(256, dtype=np.uint8)
    scaled = values if recipe.rescale is None else (values.astype(np.float64) * recipe.rescale)
    floats = np.tile(scaled.astype(np.float32), (3, 1))
    if recipe.mean is None or recipe.std is None:
        return floats
    mean, std = (np.array(one, np.float32)[:, None] for one in (recipe.mean, recipe.std))
    return np.asarray((floats - mean) / std, np.float32)


def _read(data: bytes) -> StillImage:
    if data.startswith(PNG_START):
        return read_png(data)
    if data.startswith(JPEG_START):
        return read_jpeg(data)
    if is_webp(data):
        return read_webp(data)
    raise BadImage("is not a JPEG, PNG or WebP file")


def _turn(pixels: int) -> AbstractContextManager[object]:
    return _LARGE_AT_ONCE if pixels > _LARGE_PIXELS else nullcontext()


def _decode(still: StillImage) -> Image.Image:
    """Give the image upright, in RGB."""
    image = None
    try:
        if still.kind != "PNG" or holds_all_pixels(still.data):
            with _DECODERS[still.kind](BytesIO(still.data)) as file:
                if file.size == (still.width, still.height):
                    file.load()
                    # What is transparent keeps its colour, as in the reference; Pillow only warns that it is lost.
                    file.info.pop("transparency", None)
                    image = file.convert("RGB")
    except MemoryError:
        raise
    except Exception as error:  # a decoder raises whatever its bytes make it raise
        raise BadImage(f"is a damaged {still.kind} file, or of a kind that isn't read") from error
    if image is None:
        raise BadImage(f"is a damaged {still.kind} file: its header states another size")
    way = _UPRIGHT.get(still.orientation)
    return image if way is None else image.transpose(way)


def _cropped(pixels: npt.NDArray[np.uint8], size: tuple[int, int]) -> npt.NDArray[np.uint8]:
    """Cut the middle out of `[height, width, 3]`; what is smaller gets a black border, rounded as in the reference."""
    if pixels.shape[:2] == size:
        return pixels
    (height, width), (rows, columns) = pixels.shape[:2], size
    whole = np.zeros((max(rows, height), max(columns, width), 3), np.uint8)
    above, before = ceil((whole.shape[0] - height) / 2), ceil((whole.shape[1] - width) / 2)
    whole[above : above + height, before : before + width] = pixels
    top, left = (height - rows) // 2 + above, (width - columns) // 2 + before
    return whole[max(0, top) : top + rows, max(0, left) : left + columns]
