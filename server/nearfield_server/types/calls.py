"""What passes through a call, from the wire to the model and back."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import numpy.typing as npt

from nearfield_server.types.enums import (
    ChunkPooling,
    DType,
    InputType,
    OutputKind,
    Priority,
    Truncate,
)

__all__ = [
    "DENSE_ONLY",
    "Chunk",
    "Chunking",
    "EmbedCall",
    "EmbedOptions",
    "EmbedResult",
    "FloatRows",
    "IdArray",
    "Input",
    "MultiVectors",
    "Outputs",
    "Pixels",
    "Quantization",
    "SparseRow",
    "Timings",
    "TokenizedText",
    "Tokens",
]

IdArray: TypeAlias = npt.NDArray[np.int64]

FloatRows: TypeAlias = npt.NDArray[np.float32]

Pixels: TypeAlias = npt.NDArray[np.float32]
"""`[3, height, width]`, as the model's image processor makes it."""

Input: TypeAlias = str | IdArray | bytes
"""A text, the vocabulary ids that a caller made of one, or an image file."""


@dataclass(frozen=True, slots=True)
class Chunking:
    """How long texts are divided, in tokens; `max_tokens` 0: the model's longest input."""

    max_tokens: int
    overlap_tokens: int
    pooling: ChunkPooling


DENSE_ONLY = frozenset({OutputKind.DENSE})


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
    outputs: frozenset[OutputKind] = DENSE_ONLY
    chunking: Chunking | None = None


@dataclass(frozen=True, slots=True)
class EmbedCall:
    """A well-formed request, its model not yet looked at. `deadline` is monotonic seconds; `None`: no deadline.

    `tenant` is who calls, as the server itself knows it; empty: nobody in particular.
    """

    inputs: tuple[Input, ...]
    options: EmbedOptions
    deadline: float | None = None
    tenant: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Tokens:
    """What the model sees of one input, within its limit. `len()` is what it costs, in tokens.

    Either `ids` `[n]`, special tokens included, or `pixels` of an image, cut into `patches` patches.
    """

    ids: IdArray
    truncated: bool = False
    no_tokens: bool = False
    """The input had no token of its own, only special and prompt tokens."""
    wanted: frozenset[OutputKind] = DENSE_ONLY
    type_ids: IdArray | None = None
    """`[n]`, 0 for the first text of a pair and 1 for the second; `None`: all 0."""
    mask: IdArray | None = None
    """`[n]`, 0 for tokens that others don't attend to; `None`: all 1."""
    keep: npt.NDArray[np.bool_] | None = None
    """`[n]`, which tokens' vectors are given (MULTI); `None`: all."""
    pixels: Pixels | None = None
    patches: int = 0
    source: int = 0
    """Position in the request of the input that this is, or is a chunk of."""
    span: tuple[int, int] | None = None
    """For a chunk: where it starts and ends in its input, in code points."""

    def __len__(self) -> int:
        """Tokens or patches."""
        return self.patches or len(self.ids)


@dataclass(frozen=True, slots=True, eq=False)
class SparseRow:
    """Weights of some vocabulary ids: `ids` `[k]` uint32 ascending, `weights` `[k]` float32, none of them 0."""

    ids: npt.NDArray[np.uint32]
    weights: FloatRows


@dataclass(frozen=True, slots=True, eq=False)
class Outputs:
    """What the model gave of one input; what wasn't wanted is missing."""

    dense: FloatRows | None = None
    """`[width]` float32, raw."""
    sparse: SparseRow | None = None
    multi: FloatRows | None = None
    """`[kept tokens, width]` float32, raw."""
    scores: FloatRows | None = None
    """`[labels]` float32, raw."""


@dataclass(frozen=True, slots=True, eq=False)
class MultiVectors:
    """Vectors of the tokens of several inputs: `vectors` `[sum(counts), cols]`, `token_ids` `[sum(counts)]` uint32."""

    vectors: npt.NDArray[Any]
    counts: tuple[int, ...]
    token_ids: npt.NDArray[np.uint32]
    dtype: DType = DType.FLOAT32
    quantization: Quantization | None = None


@dataclass(frozen=True, slots=True)
class Chunk:
    """One part of an input: where it starts and ends, in code points, and the tokens that the model saw of it."""

    input_index: int
    start: int
    end: int
    token_count: int


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
    """Finished vectors, and one entry per row in the tuples. Without pooling, a chunk has a row of its own."""

    model: str
    matrix: npt.NDArray[Any]
    """`[n, cols]` in the element type of `dtype`; no rows if DENSE wasn't asked for."""
    dtype: DType
    token_counts: tuple[int, ...]
    truncated: tuple[bool, ...]
    no_tokens: tuple[int, ...]
    """Positions of inputs that had no token of their own."""
    timings: Timings
    quantization: Quantization | None = None
    sparse: tuple[SparseRow, ...] | None = None
    vocab_size: int = 0
    """Ids of `sparse` are below it."""
    multi: MultiVectors | None = None
    chunks: tuple[Chunk, ...] = ()
    cached: int = 0
    """Rows that came from the cache."""
