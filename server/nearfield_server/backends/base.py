"""The contract between the encoder and whatever runs the graph."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy.typing as npt

__all__ = ["Backend", "GraphSignature", "TensorInfo"]


@dataclass(frozen=True, slots=True)
class TensorInfo:
    """Name and shape of a graph's input or output; symbolic dimensions are `None`."""

    name: str
    shape: tuple[int | None, ...]


@dataclass(frozen=True, slots=True)
class GraphSignature:
    """What a graph takes and gives."""

    inputs: tuple[TensorInfo, ...]
    outputs: tuple[TensorInfo, ...]


class Backend(Protocol):
    """Runs one loaded graph. `run` is called from several threads at once."""

    @property
    def provider(self) -> str:
        """Name of the ONNX Runtime execution provider in use, such as "CPUExecutionProvider"."""

    @property
    def signature(self) -> GraphSignature:
        """The graph's inputs and outputs."""

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Give the named outputs for `feeds`. Raises `BackendFailure`."""

    def close(self) -> None:
        """Give the memory back. No `run` may follow or be under way."""
