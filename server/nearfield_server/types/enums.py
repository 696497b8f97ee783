"""The closed vocabularies of the server; `rpc/enums.py` sets them beside those of the protos."""

from __future__ import annotations

import enum

__all__ = [
    "Activation",
    "ChunkPooling",
    "DType",
    "InputType",
    "ModelState",
    "OutputKind",
    "OutputShape",
    "Pooling",
    "Priority",
    "SimilarityMetric",
    "SparseSource",
    "Truncate",
]


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


class OutputShape(enum.Enum):
    """What the graph gives: one vector per token `[batch, seq, width]`, or one per text `[batch, width]`."""

    TOKENS = "tokens"
    POOLED = "pooled"


class OutputKind(enum.Enum):
    """What a model gives of an input; see `nearfield.v1.OutputKind`."""

    DENSE = "dense"
    SPARSE = "sparse"
    MULTI = "multi"
    SCORES = "scores"


class SparseSource(enum.Enum):
    """What a graph gives of sparse vectors, with B texts of S tokens and V vocabulary ids."""

    LOGITS = "logits"
    """A masked language model's `[B, S, V]`, to be pooled over the tokens."""
    VOCABULARY = "vocabulary"
    """Finished `[B, V]`."""
    TOKEN_WEIGHTS = "token_weights"  # noqa: S105 - a token of text
    """One weight per token, `[B, S]` or `[B, S, 1]`; a vocabulary id gets its greatest (BGE-M3, arXiv:2402.03216)."""


class Activation(enum.Enum):
    """What makes scores of a classifier's raw numbers."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"
    NONE = "none"


class ChunkPooling(enum.Enum):
    """What becomes of the vectors of an input's chunks."""

    NONE = "none"
    MEAN = "mean"


class ModelState(enum.Enum):
    """Life of a model; see `nearfield.v1.ModelState`."""

    LOADING = "loading"
    READY = "ready"
    DEGRADED = "degraded"
    FAILED = "failed"
    UNLOADING = "unloading"
    UNLOADED = "unloaded"
    IDLE = "idle"
