"""Two-tower models: the outputs of their combined graph, and what is needed to verify the tower of images."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.export.measure import unit
from nearfield_server.export.runtime import open_graph

__all__ = ["IMAGE_OUTPUT", "TEXT_OUTPUT", "ImageGraph", "sample_images"]

TEXT_OUTPUT, IMAGE_OUTPUT = "text_embeds", "image_embeds"
_IMAGES = 8

Floats = npt.NDArray[np.float32]


def sample_images(config: dict[str, Any]) -> Floats:
    """Pixel values [images, 3, size, size] of smooth patterns, normalised to about 0 ± 1 as photographs are."""
    vision = config.get("vision_config") or {}
    size, channels = int(vision.get("image_size", 224)), int(vision.get("num_channels", 3))
    random = np.random.default_rng(3)
    y, x = np.mgrid[0:size, 0:size] / size
    images = []
    for _ in range(_IMAGES):
        waves = [
            np.sin(2 * np.pi * (random.uniform(0.5, 4) * x + random.uniform(0.5, 4) * y + random.uniform()))
            for _ in range(channels)
        ]
        images.append(np.stack(waves) + random.normal(0, 0.3, (channels, size, size)))
    return np.asarray(images, np.float32)


class ImageGraph:
    """The tower of images, opened as the server opens it."""

    def __init__(self, file: Path, *, optimize: bool) -> None:
        """Opens `file`. Raises ExportError."""
        self._session = open_graph(str(file), optimize=optimize)

    def run(self, images: Floats) -> list[Floats]:
        """Unit vectors [1, width] of pixel values [images, channels, height, width]."""
        (output,) = self._session.run(None, {"pixel_values": images})
        return [unit(row[None]) for row in output]

    def batch_dependence(self, images: Floats) -> float:
        """Largest difference between an image's vector alone and beside the others."""
        together = self.run(images)
        alone = [self.run(one[None])[0] for one in images]
        return max(float(np.abs(a - b).max()) for a, b in zip(alone, together, strict=True))
