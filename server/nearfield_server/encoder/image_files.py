"""What the readers of image files have in common: `image_png`, `image_jpeg`, `image_webp`.

They tell what a file says of itself before anything decodes it. Their rules:

1. Every length, count and size is checked on the bytes as they came, at a cost that grows with their number and no
   faster. The decoder then gets one still image: what describes the file (Exif, colour profiles, comments, further
   frames and images, what follows the end) is taken out. It changes no pixel, and is where Pillow can be made to work
   for hours or to fill the memory: an Exif block that refers to itself 5,000 times, 800,000 empty chunks.
2. A file counts as whole only with its end mark. Pillow notices a missing end in some places only.
"""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MAX_PARTS", "BadImage", "StillImage"]

MAX_PARTS = 65_536
"""Chunks or segments of one file: ten thousand frames are twenty thousand chunks."""


class BadImage(Exception):
    """The file can't be taken; the message follows the name of the field, and holds nothing of the file."""


@dataclass(frozen=True, slots=True)
class StillImage:
    """One image: `width` and `height` in pixels as stored, `orientation` 1 to 8 as in Exif, `data` for the decoder."""

    kind: str
    width: int
    height: int
    orientation: int
    data: bytes

    @property
    def upright_size(self) -> tuple[int, int]:
        """Height and width once turned: orientations from 5 on lie on their side."""
        on_its_side = self.orientation in {5, 6, 7, 8}
        return (self.width, self.height) if on_its_side else (self.height, self.width)
