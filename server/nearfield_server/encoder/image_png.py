"""PNG files before decoding: W3C Recommendation, third edition, chapters 5 and 11."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator

from nearfield_server.encoder.image_files import MAX_PARTS, BadImage, StillImage
from nearfield_server.encoder.image_orientation import exif_orientation, text_orientation

__all__ = ["PNG_START", "holds_all_pixels", "read_png"]

PNG_START = b"\x89PNG\r\n\x1a\n"
_HEADER_BYTES = 13
_FRAME_BYTES = 12
"""Of each chunk: its length, name and checksum."""
_KEPT = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
"""What pixels are made from, in the order of the file to decode. tRNS widens grey to more channels."""
_TEXTS = {b"tEXt", b"zTXt", b"iTXt"}
_CHANNELS = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""By colour type."""
_WHOLE = ((0, 0, 1, 1),)
_INTERLACED = ((0, 0, 8, 8), (4, 0, 8, 8), (0, 4, 4, 8), (2, 0, 4, 4), (0, 2, 2, 4), (1, 0, 2, 2), (0, 1, 1, 2))
"""First column, first row, and steps of each pass (Adam7)."""
_PIECE_BYTES = 1 << 20


def read_png(data: bytes) -> StillImage:
    """Tell what the file holds, without decoding. Raises `BadImage`."""
    kept: dict[bytes, list[memoryview]] = {name: [] for name in _KEPT}
    exif = text = 0
    for name, content in _chunks(data):
        if name == b"IDAT" or (name in kept and not kept[name]):
            kept[name].append(content)
        elif name == b"eXIf":
            exif = exif or exif_orientation(bytes(content))
        elif name in _TEXTS:
            text = text or text_orientation(name, bytes(content))
    header = kept[b"IHDR"]
    if not header or len(header[0]) != _HEADER_BYTES or not kept[b"IDAT"]:
        raise BadImage("is a damaged PNG file: it holds no image")
    width, height = struct.unpack_from(">II", header[0])
    still = b"".join(_chunk(name, b"".join(parts)) for name, parts in kept.items() if parts)
    return StillImage("PNG", width, height, exif or text or 1, PNG_START + still)


def holds_all_pixels(still: bytes) -> bool:
    """Whether what `read_png` gave unpacks to as many bytes as its header needs. Pillow fills up what is missing."""
    parts = dict(_chunks(still))
    width, height, depth, colour, _, _, interlace = struct.unpack(">IIBBBBB", parts[b"IHDR"])
    due = 0
    for column, row, columns, rows in _INTERLACED if interlace else _WHOLE:
        across, down = max(0, -(-(width - column) // columns)), max(0, -(-(height - row) // rows))
        due += down * (1 + -(-across * depth * _CHANNELS.get(colour, 0) // 8)) if across else 0
    unpacker, packed = zlib.decompressobj(), bytes(parts[b"IDAT"])
    while due > 0 and (piece := unpacker.decompress(packed, _PIECE_BYTES)):
        due -= len(piece)
        packed = unpacker.unconsumed_tail
    return due <= 0


def _chunks(data: bytes) -> Iterator[tuple[bytes, memoryview]]:
    """Give name and content of each chunk up to the end mark; checksums are those of the chunks that are kept."""
    view, at = memoryview(data), len(PNG_START)
    for _ in range(MAX_PARTS):
        if at + _FRAME_BYTES > len(data):
            break
        length, name = struct.unpack_from(">I4s", data, at)
        end = at + 8 + length
        if end + 4 > len(data):
            break
        if name in _KEPT and zlib.crc32(view[at + 4 : end]) != struct.unpack_from(">I", data, end)[0]:
            raise BadImage("is a damaged PNG file: a checksum is wrong")
        yield name, view[at + 8 : end]
        if name == b"IEND":
            return
        at = end + 4
    else:
        raise BadImage(f"is a PNG file of more than {MAX_PARTS} chunks")
    raise BadImage("is a PNG file that breaks off")


def _chunk(name: bytes, content: bytes) -> bytes:
    return struct.pack(">I", len(content)) + name + content + struct.pack(">I", zlib.crc32(content, zlib.crc32(name)))
