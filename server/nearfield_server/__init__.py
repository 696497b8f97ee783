"""Nearfield's server: text to vectors over gRPC. The source tour starts at `types.py`."""

from __future__ import annotations

__all__ = ["__version__"]

__version__ = "0.1.0"
