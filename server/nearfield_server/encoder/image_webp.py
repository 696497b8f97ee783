"""WebP files before decoding: RFC 9649, section 2. Pillow makes room for the whole picture as soon as it opens one."""

from __future__ import annotations

import struct
from collections.abc import Iterator

from nearfield_server.encoder.image_files import MAX_PARTS, BadImage, StillImage
from nearfield_server.encoder.image_orientation import exif_orientation, xmp_orientation

__all__ = ["is_webp", "read_webp"]

_FIRST_CHUNK, _HEADER_BYTES = 12, 30
_KEYFRAME = b"\x9d\x01\x2a"
_LOSSLESS = 0x2F


def is_webp(data: bytes) -> bool:
    """Whether it begins as a WebP file does."""
    return data[:4] == b"RIFF" and data[8:12] == b"WEBP"


def read_webp(data: bytes) -> StillImage:
    """Tell what the file holds, without decoding. Raises `BadImage`."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if len(data) < end or end < _HEADER_BYTES:
        raise BadImage("is a WebP file that breaks off")
    data = data[:end]
    width, height = _size(data)
    exif = xmp = 0
    for name, content in _chunks(data):
        if name == b"EXIF":
            exif = exif or exif_orientation(bytes(content))
        elif name == b"XMP ":
            xmp = xmp or xmp_orientation(bytes(content))
    return StillImage("WEBP", width, height, exif or xmp or 1, data)


def _size(data: bytes) -> tuple[int, int]:
    """Give width and height, as Pillow finds them."""
    first = data[_FIRST_CHUNK : _FIRST_CHUNK + 4]
    if first == b"VP8X":
        return 1 + int.from_bytes(data[24:27], "little"), 1 + int.from_bytes(data[27:30], "little")
    if first == b"VP8L" and data[20] == _LOSSLESS:
        bits = int.from_bytes(data[21:25], "little")
        return 1 + (bits & 0x3FFF), 1 + ((bits >> 14) & 0x3FFF)
    if first == b"VP8 " and data[23:26] == _KEYFRAME:
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    raise BadImage("is a damaged WebP file: it holds no image")


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    view, at = memoryview(data), _FIRST_CHUNK
    for _ in range(MAX_PARTS):
        if at == len(data):
            return
        if at + 8 > len(data):
            break
        name, length = struct.unpack_from("<4sI", data, at)
        end = at + 8 + length
        if end > len(data):
            break
        yield name, view[at + 8 : end]
        at = min(end + length % 2, len(data))
    else:
        raise BadImage(f"is a WebP file of more than {MAX_PARTS} chunks")
    raise BadImage("is a WebP file that breaks off")
