"""The nouns that pass between the stages of a call, from the wire to the model and back.

    EmbedCall ──plan, tokenise──▶ list[Tokens] ──queue, batch, run──▶ rows ──finish──▶ EmbedResult

All are plain immutable values. Times are seconds; instants are those of `time.monotonic()` unless said otherwise.
"""

from __future__ import annotations

import enum
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = [
    "DType",
    "EmbedCall",
    "EmbedOptions",
    "EmbedResult",
    "FloatRows",
    "IdArray",
    "Input",
    "InputType",
    "Limits",
    "ModelSpec",
    "ModelState",
    "ModelStatus",
    "OutputKind",
    "Pooling",
    "Priority",
    "Quantization",
    "SimilarityMetric",
    "Timings",
    "TokenizedText",
    "Tokens",
    "Truncate",
]

IdArray: TypeAlias = npt.NDArray[np.int64]
FloatRows: TypeAlias = npt.NDArray[np.float32]
Input: TypeAlias = str | IdArray
"""A text, or the vocabulary ids that a caller made of one."""


class DType(enum.Enum):
    """Element type of the vectors in a reply; see `nearfield.v1.DType` for the formats."""

    FLOAT32 = "float32"
    FLOAT16 = "float16"
    INT8 = "int8"
    UINT8 = "uint8"
    BINARY = "binary"
    UBINARY = "ubinary"


class InputType(enum.Enum):
    """What a text is for; selects a prompt."""

    QUERY = "query"
    DOCUMENT = "document"
    CLASSIFICATION = "classification"
    CLUSTERING = "clustering"


class Truncate(enum.Enum):
    """What happens to inputs with too many tokens."""

    NONE = "none"
    START = "start"
    END = "end"


class Priority(enum.Enum):
    """Class of service in the queue."""

    INTERACTIVE = "interactive"
    BULK = "bulk"


class Pooling(enum.Enum):
    """How token vectors become one vector."""

    MEAN = "mean"
    CLS = "cls"
    LAST_TOKEN = "last_token"  # noqa: S105 - a token of text
    MAX = "max"


class SimilarityMetric(enum.Enum):
    """How two vectors are compared; greater is more alike for all of them."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLIDEAN = "euclidean"


class OutputKind(enum.Enum):
    """What the graph gives: one vector per token `[batch, seq, width]`, or one per text `[batch, width]`."""

    TOKENS = "tokens"
    POOLED = "pooled"


class ModelState(enum.Enum):
    """Life of a model; see `nearfield.v1.ModelState`."""

    LOADING = "loading"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNLOADING = "unloading"


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbedOptions:
    """How to embed; `None` means "as the model does"."""

    model: str = ""
    input_type: InputType | None = None
    prompt_name: str = ""
    truncate: Truncate = Truncate.END
    dimensions: int | None = None
    normalize: bool | None = None
    dtype: DType = DType.FLOAT32
    priority: Priority = Priority.INTERACTIVE
    special_tokens_as_text: bool = False


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """A well-formed request, its model not yet looked at. `deadline` is monotonic seconds; `None`: no deadline."""

    inputs: tuple[Input, ...]
    options: EmbedOptions
    deadline: float | None = None


@dataclass(frozen=True, slots=True)
class Tokens:
    """What the model sees of one input: `ids` `[n]` with special tokens, within the model's limit."""

    ids: IdArray
    truncated: bool = False
    no_tokens: bool = False
    """The input had no token of its own, only special and prompt tokens."""


@dataclass(frozen=True, slots=True)
class TokenizedText:
    """The tokens of one text; offsets in Unicode code points."""

    ids: list[int]
    tokens: list[str]
    starts: list[int]
    ends: list[int]


@dataclass(frozen=True, slots=True)
class Timings:
    """Seconds spent in the stages of one call."""

    tokenize: float = 0.0
    queue: float = 0.0
    compute: float = 0.0
    total: float = 0.0


@dataclass(frozen=True, slots=True)
class Quantization:
    """value = scale * (q - zero_point)."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True)
class EmbedResult:
    """Finished vectors: `matrix` `[n, cols]` in the element type of `dtype`, and one entry per input in the tuples."""

    model: str
    matrix: npt.NDArray[Any]
    dtype: DType
    token_counts: tuple[int, ...]
    truncated: tuple[bool, ...]
    no_tokens: tuple[int, ...]
    """Positions of inputs that had no token of their own."""
    timings: Timings
    quantization: Quantization | None = None


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
    max_tokens: int
    vocab_size: int
    pad_id: int
    pooling: Pooling
    normalize: bool
    output_name: str
    output_kind: OutputKind
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Published bounds; see `nearfield.v1.Limits`."""

    max_inputs: int
    max_text_bytes: int
    max_request_bytes: int
    max_response_bytes: int
    stream_window_inputs: int
    max_request_tokens: int


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
