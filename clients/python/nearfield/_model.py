"""A served model and its bounds, as plain values."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

__all__ = ["Limits", "Metric", "Model", "ModelState"]

Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
ModelState: TypeAlias = Literal[
    "unspecified", "loading", "ready", "degraded", "failed", "unloading", "unloaded", "idle"
]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one call, over which the server refuses it; 0: the server didn't say."""

    max_inputs: int = 0
    max_text_bytes: int = 0
    max_request_bytes: int = 0
    max_response_bytes: int = 0
    stream_window_inputs: int = 0
    max_request_tokens: int = 0
    max_image_bytes: int = 0
    max_image_pixels: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A served model; the fields mean what they mean in `nearfield.v1.Model`.

    Attributes:
        quantization_range: real value that int8's 127 stands for at full width.
        load_seconds: from the start of loading until ready.
        state_changed_at_seconds: time of the last change of state, Unix time.
        outputs: what it can give, of "dense", "sparse", "multi" and "scores".
        choice: why this device and precision were chosen.
    """

    name: str
    version: str
    is_default: bool
    state: ModelState
    state_message: str
    dimensions: int
    max_tokens: int
    vocab_size: int
    pooling: str
    normalize: bool
    similarity: Metric | None
    prompts: Mapping[str, str]
    default_prompt_name: str
    precision: str
    execution_provider: str
    quantization_range: float
    limits: Limits
    source: str
    license: str
    sha256: str
    workers: int
    batch_token_budget: int
    load_seconds: float
    state_changed_at_seconds: float
    raw_vectors_available: bool
    repository_version: str = ""
    outputs: tuple[str, ...] = ()
    labels: tuple[str, ...] = ()
    matryoshka_dimensions: tuple[int, ...] = ()
    accepts_images: bool = False
    aliases: tuple[str, ...] = ()
    device: str = ""
    max_query_tokens: int = 0
    choice: str = ""

    @property
    def is_ready(self) -> bool:
        """Whether calls are served now."""
        return self.state in {"ready", "degraded"}
