"""Addresses to listen on: HOST:PORT, [IPV6]:PORT or unix:PATH."""

from __future__ import annotations

import ipaddress
import re
from dataclasses import dataclass

__all__ = ["Address", "parse_address"]

_HOST_PORT = re.compile(r"(?:\[(?P<v6>[0-9A-Fa-f:.%\w]+)\]|(?P<host>[^\s:/\[\]]+)):(?P<port>\d{1,5})")
_UNIX = "unix:"
_MAX_PORT = 65535
# What the kernel takes, its closing zero byte included.
_MAX_SOCKET_PATH_BYTES = 107


@dataclass(frozen=True, slots=True)
class Address:
    """Where to listen: `host` and `port` (0: any free one), or `path` of a unix socket."""

    host: str = ""
    port: int = 0
    path: str = ""

    def __str__(self) -> str:
        """Write it as `parse_address` reads it."""
        if self.path:
            return f"{_UNIX}{self.path}"
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"

    @property
    def is_local(self) -> bool:
        """Only programs on this machine can connect: a unix socket or a loopback address."""
        if self.path or self.host == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def parse_address(text: str) -> Address:
    """Read an address. Raises `ValueError` that says what is wrong with it."""
    if text.startswith(_UNIX):
        path = text.removeprefix(_UNIX)
        path = "/" + path.lstrip("/") if path.startswith("//") else path  # unix:///PATH, as gRPC takes it too
        if not path or "\0" in path or len(path.encode()) > _MAX_SOCKET_PATH_BYTES:
            msg = f"the path of a unix socket has 1 to {_MAX_SOCKET_PATH_BYTES} bytes"
            raise ValueError(msg)
        return Address(path=path)
    match = _HOST_PORT.fullmatch(text)
    if match is None:
        msg = "must be HOST:PORT, [IPV6]:PORT or unix:PATH, such as 127.0.0.1:50051"
        raise ValueError(msg)
    if (port := int(match["port"])) > _MAX_PORT:
        msg = f"a port is at most {_MAX_PORT} (0: any free one)"
        raise ValueError(msg)
    if match["v6"]:
        ipaddress.IPv6Address(match["v6"])
    return Address(host=match["v6"] or match["host"], port=port)
