"""What goes between the server and its workers: a header as JSON, then raw bytes.

A frame is two lengths (uint32, little-endian), the header, the bytes.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
from typing import Any, TypeAlias

__all__ = ["Frame", "Header", "read_frame", "receive_frame", "to_bytes"]

Header: TypeAlias = dict[str, Any]
Frame: TypeAlias = tuple[Header, bytes]

_LENGTHS = struct.Struct("<II")


def to_bytes(header: Header, data: bytes = b"") -> bytes:
    """Give a frame."""
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=True).encode()
    return _LENGTHS.pack(len(text), len(data)) + text + data


async def read_frame(reader: asyncio.StreamReader) -> Frame:
    """Give the next frame. Raises `asyncio.IncompleteReadError` (an EOFError) at the end."""
    header, data = _LENGTHS.unpack(await reader.readexactly(_LENGTHS.size))
    text = await reader.readexactly(header)
    return json.loads(text), await reader.readexactly(data) if data else b""


def receive_frame(connection: socket.socket) -> Frame:
    """Give the next frame, in a worker. Raises `EOFError` at the end."""
    header, data = _LENGTHS.unpack(_exactly(connection, _LENGTHS.size))
    return json.loads(_exactly(connection, header)), bytes(_exactly(connection, data))


def _exactly(connection: socket.socket, count: int) -> bytearray:
    taken = bytearray(count)
    view = memoryview(taken)
    while view:
        got = connection.recv_into(view)
        if got == 0:
            raise EOFError
        view = view[got:]
    return taken
