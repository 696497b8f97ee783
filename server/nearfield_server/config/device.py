"""Names of devices: auto, or a kind with the numbers of its devices, such as cpu, cuda, cuda:0,1 or tensorrt:1."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass

__all__ = ["DEVICE_KINDS", "Device", "parse_device", "suggest_device"]

DEVICE_KINDS = ("cpu", "cuda", "tensorrt", "openvino", "coreml", "dml")
"""What a model can be run on, one for each execution provider."""

_NUMBERED = {"cuda", "tensorrt", "dml"}
_SEVERAL = {"cuda"}
_NUMBERS = re.compile(r"\d{1,2}(,\d{1,2})*")
_FORMS = "auto, cpu, cuda, cuda:N, cuda:N,M, tensorrt, tensorrt:N, openvino, coreml, dml or dml:N"


@dataclass(frozen=True, slots=True)
class Device:
    """A `kind` (one of `DEVICE_KINDS`, or "auto") and the numbers asked for; none: the first device."""

    kind: str
    numbers: tuple[int, ...] = ()

    def __str__(self) -> str:
        """Write it as `parse_device` reads it."""
        return self.kind + (":" + ",".join(map(str, self.numbers)) if self.numbers else "")


def parse_device(text: str) -> Device:
    """Read the name of a device. Raises ValueError, which tells the forms."""
    kind, colon, numbers = text.partition(":")
    if (kind != "auto" and kind not in DEVICE_KINDS) or (
        colon and (kind not in _NUMBERED or not _NUMBERS.fullmatch(numbers))
    ):
        msg = f"must be {_FORMS}"
        raise ValueError(msg)
    found = tuple(int(one) for one in numbers.split(",")) if numbers else ()
    if len(found) > 1 and kind not in _SEVERAL:
        msg = f"takes one device of {kind}"
        raise ValueError(msg)
    if len(set(found)) < len(found):
        msg = "names a device twice"
        raise ValueError(msg)
    return Device(kind, found)


def suggest_device(kind: str) -> str:
    """Give "; did you mean …?" with the most likely kind, or nothing."""
    close = difflib.get_close_matches(kind.lower(), DEVICE_KINDS, n=1)
    return f"; did you mean {close[0]}?" if close else ""
