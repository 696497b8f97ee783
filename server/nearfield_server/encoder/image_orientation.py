"""Which way up an image is, from the descriptions inside its file.

Pillow reads all of an Exif block to find this one number, and a block can refer to the same bytes thousands of times.
Where it looks, and in which order, is Pillow's `ImageOps.exif_transpose`. 0 stands for "not said".
"""

from __future__ import annotations

import re
import struct
import zlib

__all__ = ["exif_orientation", "text_orientation", "xmp_orientation"]

_TAG = 0x0112
# BYTE, SHORT, LONG of TIFF 6.0.
_KINDS = {1: "B", 3: "H", 4: "I"}
_XMP = re.compile(rb'tiff:Orientation(?:="|>)([0-9])')
_MAX_TEXT_BYTES = 1 << 20
_TIFF_HEADER_BYTES = 8
_VALUES = range(1, 9)


def exif_orientation(exif: bytes) -> int:
    """Read the first directory of an Exif block, with or without its "Exif" mark; 1 where what it says is nonsense."""
    tiff = memoryview(exif)[6:] if exif.startswith(b"Exif\0\0") else memoryview(exif)
    order = {b"II": "<", b"MM": ">"}.get(bytes(tiff[:2]))
    if order is None or len(tiff) < _TIFF_HEADER_BYTES:
        return 0
    (at,) = struct.unpack_from(f"{order}I", tiff, 4)
    if at + 2 > len(tiff):
        return 0
    (count,) = struct.unpack_from(f"{order}H", tiff, at)
    for entry in range(at + 2, min(at + 2 + 12 * count, len(tiff) - 11), 12):
        tag, kind, values = struct.unpack_from(f"{order}HHI", tiff, entry)
        if tag == _TAG:
            known = kind in _KINDS and values == 1
            value = struct.unpack_from(order + _KINDS[kind], tiff, entry + 8)[0] if known else 1
            return int(value) if value in _VALUES else 1
    return 0


def xmp_orientation(xmp: bytes) -> int:
    """Read an XMP packet (XML)."""
    found = _XMP.search(xmp)
    if found is None:
        return 0
    value = int(found[1])
    return value if value in _VALUES else 1


def text_orientation(name: bytes, chunk: bytes) -> int:
    """Read a text chunk of a PNG file: XMP, or Exif in hexadecimal digits as ImageMagick writes it."""
    keyword, _, rest = chunk.partition(b"\0")
    if keyword == b"XML:com.adobe.xmp" and name == b"iTXt":
        packed, text = rest[:1] == b"\1", rest[2:].partition(b"\0")[2].partition(b"\0")[2]
        return xmp_orientation(_unpacked(text) if packed else text)
    if keyword == b"Raw profile type exif" and name in {b"tEXt", b"zTXt"}:
        text = rest if name == b"tEXt" else _unpacked(rest[1:])
        digits = b"".join(text.split(b"\n")[3:])
        try:
            return exif_orientation(bytes.fromhex(digits.decode("ascii")))
        except ValueError:
            return 0
    return 0


def _unpacked(packed: bytes) -> bytes:
    try:
        return zlib.decompressobj().decompress(packed, _MAX_TEXT_BYTES)
    except zlib.error:
        return b""
