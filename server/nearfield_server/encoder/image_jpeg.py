"""JPEG files before decoding: ITU-T T.81, annex B.

A progressive file is decoded once per scan, and one of 10 MB has room for 100,000 of them: their number is bounded.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Iterator
from typing import NamedTuple

from nearfield_server.encoder.image_files import MAX_PARTS, BadImage, StillImage
from nearfield_server.encoder.image_orientation import exif_orientation, xmp_orientation

__all__ = ["JPEG_START", "MAX_SCANS", "read_jpeg"]

JPEG_START = b"\xff\xd8\xff"
MAX_SCANS = 100
"""Scans of one file: the usual progressive script has ten."""

_MARKER = re.compile(rb"\xff[^\xff\x00]", re.DOTALL)
# Within the coded data of a scan, a zero stands after each 0xff, or it is a restart mark: both belong to the data.
_AFTER_SCAN = re.compile(rb"\xff[^\xff\x00\xd0-\xd7]", re.DOTALL)
_END, _SCAN, _APP1 = 0xD9, 0xDA, 0xE1
_FRAMES = {*range(0xC0, 0xD0)} - {0xC4, 0xC8, 0xCC}
_FRAME_BYTES = 6
# Markers without content.
_BARE = {0x01, *range(0xD0, 0xDA)}
# APP0 (JFIF) and APP14 (Adobe) tell the colour space; other application segments and comments change no pixel.
_DROPPED = {*range(0xE1, 0xEE), 0xEF, 0xFE}
_EXIF, _XMP = b"Exif\0\0", b"http://ns.adobe.com/xap/1.0/\0"


class _Segment(NamedTuple):
    """One marker: `content` follows its length; `whole` is all of it, with the coded data after a scan's header."""

    marker: int
    content: memoryview
    whole: memoryview


def read_jpeg(data: bytes) -> StillImage:
    """Tell what the file holds, without decoding. Raises `BadImage`."""
    kept, exif, xmp, frames, scans = [data[:2]], b"", b"", [], 0
    for marker, content, whole in _segments(data):
        if marker not in _DROPPED:
            kept.append(bytes(whole))
        if marker == _APP1 and bytes(content[: len(_EXIF)]) == _EXIF:
            exif += content[len(_EXIF) :]
        elif marker == _APP1 and bytes(content[: len(_XMP)]) == _XMP:
            xmp = bytes(content)
        elif marker in _FRAMES:
            frames.append(content)
        elif marker == _SCAN:
            scans += 1
            if scans > MAX_SCANS:
                raise BadImage(f"is a JPEG file of more than {MAX_SCANS} scans")
    if len(frames) != 1 or len(frames[0]) < _FRAME_BYTES or not scans:
        raise BadImage("is a damaged JPEG file: it holds no image")
    height, width = struct.unpack_from(">HH", frames[0], 1)
    return StillImage("JPEG", width, height, exif_orientation(exif) or xmp_orientation(xmp) or 1, b"".join(kept))


def _segments(data: bytes) -> Iterator[_Segment]:
    """Give all segments up to the end mark, which is the last; what stands between them is left out."""
    view, at = memoryview(data), 2
    for _ in range(MAX_PARTS):
        found = _MARKER.search(data, at)
        if found is None:
            break
        start, marker = found.start(), data[found.start() + 1]
        at = start + 2
        if marker in _BARE:
            yield _Segment(marker, view[at:at], view[start:at])
            if marker == _END:
                return
            continue
        first, at = at + 2, at + int.from_bytes(view[at : at + 2], "big")
        if at < first or at > len(data):
            break
        content = view[first:at]
        if marker == _SCAN:
            after = _AFTER_SCAN.search(data, at)
            if after is None:
                break
            at = after.start()
        yield _Segment(marker, content, view[start:at])
    else:
        raise BadImage(f"is a JPEG file of more than {MAX_PARTS} segments")
    raise BadImage("is a JPEG file that breaks off")
