"""What a filter may be at most, in either form."""

from __future__ import annotations

__all__ = ["MAX_CONDITIONS", "MAX_DEPTH", "MAX_EXPRESSION_BYTES", "MAX_ID_BYTES", "MAX_VALUES"]

MAX_DEPTH = 16
"""Conditions within each other, the outermost included."""

MAX_CONDITIONS = 1024
"""Conditions, those that join others included."""

MAX_VALUES = 10_000
"""Values or ids of a list, and words."""

MAX_EXPRESSION_BYTES = 65_536
"""UTF-8 of the readable form."""

MAX_ID_BYTES = 512
"""UTF-8 of an id that is a text."""
