"""What is known of a model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nearfield_server.types.enums import (
    Activation,
    ModelState,
    OutputKind,
    OutputShape,
    Pooling,
    SimilarityMetric,
    SparseSource,
)

__all__ = [
    "Limits",
    "ModelSpec",
    "ModelStatus",
    "MultiHead",
    "ScoresHead",
    "SparseHead",
    "VisionTower",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class SparseHead:
    """How sparse vectors come from the graph's output `output_name`."""

    output_name: str
    source: SparseSource
    saturations: int = 1
    """LOGITS only: how often log(1 + x) follows relu: once in SPLADE (arXiv:2107.05720), twice in arXiv:2504.14839."""
    sum_tokens: bool = False
    """LOGITS only: summed over the tokens (SPLADE of 2021) and not their maximum (arXiv:2109.10086)."""
    ignored_ids: frozenset[int] = frozenset()
    """TOKEN_WEIGHTS only: special tokens, which get no weight."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MultiHead:
    """How vectors of tokens come from the graph's output `output_name`, and what ColBERT does to texts before."""

    output_name: str
    dimensions: int
    normalize: bool = True
    query_marker: int | None = None
    """Id put behind the first token of a query."""
    document_marker: int | None = None
    """Id put behind the first token of a document."""
    max_query_tokens: int = 0
    """0: as long as any text."""
    max_document_tokens: int = 0
    """0: as long as any text."""
    expand_with: int | None = None
    """Id that queries are filled up with to `max_query_tokens`; `None`: they aren't."""
    attend_to_expansion: bool = False
    skipped_ids: frozenset[int] = frozenset()
    """Tokens of documents that get no vector: punctuation."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoresHead:
    """What the numbers of the graph's output `output_name` `[batch, labels]` mean."""

    output_name: str
    labels: tuple[str, ...]
    activation: Activation


@dataclass(frozen=True, slots=True, kw_only=True)
class VisionTower:
    """How images are embedded: the graph (`None`: that of the texts), its output, and patches per image."""

    model_file: Path | None
    output_name: str
    patches: int
    size: tuple[int, int]
    """Height and width of `Pixels`."""
    logit_scale: float = 100.0
    """What cosines are multiplied by for zero-shot probabilities."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelSpec:
    """What the files of a model folder say about it. Nothing here is guessed."""

    name: str
    version: str
    """First 12 hexadecimal digits of `sha256`."""
    folder: Path
    model_file: Path
    tokenizer_file: Path
    sha256: str
    dimensions: int
    """Width of the dense vectors; of a model without, that of its token vectors; else 0."""
    max_tokens: int
    vocab_size: int
    pad_id: int
    pooling: Pooling | None
    """`None`: no dense vectors, or the graph pools."""
    normalize: bool
    output_name: str
    """Of the dense vectors; empty: there are none."""
    output_shape: OutputShape
    output_normalized: bool = False
    """The graph itself gives unit vectors, so raw ones can't be had."""
    similarity: SimilarityMetric = SimilarityMetric.COSINE
    prompts: Mapping[str, str] = field(default_factory=dict)
    default_prompt_name: str = ""
    precision: str = "fp32"
    quantization_range: float = 1.0
    """Real value, at full width, that 127 stands for in int8 vectors."""
    source: str = ""
    license: str = ""
    sparse: SparseHead | None = None
    multi: MultiHead | None = None
    scores: ScoresHead | None = None
    vision: VisionTower | None = None
    matryoshka_dimensions: tuple[int, ...] = ()

    @property
    def outputs(self) -> tuple[OutputKind, ...]:
        """What it can give."""
        has = (self.output_name, self.sparse, self.multi, self.scores)
        return tuple(kind for kind, one in zip(OutputKind, has, strict=True) if one)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Published bounds; see `nearfield.v1.Limits`."""

    max_inputs: int
    max_text_bytes: int
    max_request_bytes: int
    max_response_bytes: int
    stream_window_inputs: int
    max_request_tokens: int
    max_image_bytes: int = 10 * 1024 * 1024
    max_image_pixels: int = 25_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelStatus:
    """A model as `ModelService` shows it; `spec` is missing until its files were read."""

    name: str
    state: ModelState
    is_default: bool
    limits: Limits
    message: str = ""
    spec: ModelSpec | None = None
    execution_provider: str = ""
    workers: int = 0
    batch_token_budget: int = 0
    load_seconds: float = 0.0
    changed_at: float = 0.0
    """Unix time."""
    version: str = ""
    """In the model repository; empty for models that the settings name by folder."""
    aliases: tuple[str, ...] = ()
    device: str = ""
    choice: str = ""
    """Why this device and precision."""
