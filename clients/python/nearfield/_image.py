"""Images as inputs: a file's bytes, its path, or an object that can save itself as a PNG file, as Pillow's images can.

The client doesn't decode images and doesn't need Pillow: the server reads JPEG, PNG and WebP.
"""

from __future__ import annotations

import io
import os
from pathlib import Path
from typing import Any, Protocol, runtime_checkable

from nearfield._errors import invalid

__all__ = ["Image", "ImageLike", "as_image"]


@runtime_checkable
class ImageLike(Protocol):
    """What `PIL.Image.Image` offers: an image that can write itself into a file."""

    def save(self, fp: Any, format: str, /) -> object:  # noqa: A002 - Pillow's own name
        """Write the image to `fp`, in the format of that name."""
        ...


class Image:
    """An image to embed: a JPEG, PNG or WebP file, as bytes or by its path.

    A path is read when the input is sent, so that a list of many images takes no memory; it needn't exist before.
    """

    __slots__ = ("_data", "path")

    def __init__(self, source: bytes | bytearray | memoryview | str | os.PathLike[str]) -> None:
        """Take the bytes of an image file, or its path. Raises TypeError for anything else."""
        self._data: bytes | None = None
        self.path: Path | None = None
        if isinstance(source, (bytes, bytearray, memoryview)):
            self._data = bytes(source)
        elif isinstance(source, (str, os.PathLike)):
            self.path = Path(source)
        else:
            raise TypeError(f"an image is given by the bytes of its file or its path, not by a {type(source).__name__}")

    def __repr__(self) -> str:
        """Path, or number of bytes."""
        return f"Image({str(self.path)!r})" if self._data is None else f"Image(<{len(self._data):,} bytes>)"

    def size_bytes(self) -> int:
        """Give the size of the file. Raises OSError."""
        return self._file().stat().st_size if self._data is None else len(self._data)

    def read(self) -> bytes:
        """Give the bytes of the file. Raises OSError."""
        return self._file().read_bytes() if self._data is None else self._data

    def _file(self) -> Path:
        if self.path is None:
            raise AssertionError("this is a bug: an image with neither bytes nor path")
        return self.path


def as_image(value: object, field: str) -> Image | None:
    """Give `value` as an Image where it is one or can save itself; None for all else.

    Raises:
        InvalidArgument: it can't be saved as PNG; names `field`.
    """
    if isinstance(value, Image):
        return value
    if not isinstance(value, ImageLike) or isinstance(value, type):
        return None
    file = io.BytesIO()
    try:
        value.save(file, "PNG")
    except (OSError, ValueError, TypeError, KeyError) as error:
        problem = f"a {type(value).__name__} that can't be saved as PNG ({error})"
        raise invalid(field, f"{problem}: convert it to RGB first") from error
    return Image(file.getvalue())
