"""The encoder that comes with the server."""

from __future__ import annotations

from pathlib import Path

import nearfield_server

__all__ = ["BUILTIN", "BUILTIN_NAME", "builtin_folder"]

BUILTIN = "builtin"
"""Stands for the built-in encoder where a model's folder is asked for."""
BUILTIN_NAME = "all-MiniLM-L6-v2"


def builtin_folder() -> Path:
    """Give the folder of the built-in encoder: row-wise int8 all-MiniLM-L6-v2."""
    return Path(nearfield_server.__file__).parent / "builtin" / BUILTIN_NAME
