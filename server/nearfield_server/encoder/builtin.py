"""The encoder that comes with the server."""

from __future__ import annotations

from pathlib import Path

import nearfield_server
from nearfield_server.config.settings import BUILTIN_NAME

__all__ = ["builtin_folder"]


def builtin_folder() -> Path:
    """Give the folder of the built-in encoder: row-wise int8 all-MiniLM-L6-v2."""
    return Path(nearfield_server.__file__).parent / "builtin" / BUILTIN_NAME
