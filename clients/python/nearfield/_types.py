"""The nouns: what goes into a call and what comes out, as frozen dataclasses of plain values and arrays.

None of them shows a protobuf type, so that the generated stubs can change without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal, TypeAlias

import numpy as np
import numpy.typing as npt

from nearfield._errors import NearfieldError
from nearfield._image import Image, ImageLike
from nearfield._vectors import MultiVectors, Quantization, SparseVectors

__all__ = [
    "Array",
    "Chunk",
    "ChunkPooling",
    "Chunking",
    "EmbedResult",
    "EmbeddedChunks",
    "EmbeddedOutputs",
    "Inputs",
    "LabelScore",
    "OneInput",
    "OutputKind",
    "Pem",
    "RankedDocument",
    "StreamResult",
    "Timings",
    "Tls",
    "TokenizedText",
]

Array: TypeAlias = npt.NDArray[Any]
OneInput: TypeAlias = str | Sequence[int] | npt.NDArray[np.integer[Any]] | Image | ImageLike
"""One input: a text, vocabulary ids (special tokens included, no prompt), or an image."""
Inputs: TypeAlias = str | Image | ImageLike | Iterable[OneInput]

OutputKind: TypeAlias = Literal["dense", "sparse", "multi"]
ChunkPooling: TypeAlias = Literal["none", "mean"]
Pem: TypeAlias = bytes | str | PathLike[str] | None
"""Bytes in PEM, or the path of a file that holds them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunking:
    """How texts over the limit are divided: at sentence borders where there is one, else at words.

    Attributes:
        max_tokens: longest chunk, special tokens and prompt included; 0: `Model.max_tokens`.
        overlap_tokens: tokens at the end of a chunk that the next begins with again; at most half of the chunk.
        pooling: "none" gives a vector per chunk; "mean" one per input, weighted by the chunks' tokens.
    """

    max_tokens: int = 0
    overlap_tokens: int = 0
    pooling: ChunkPooling = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tls:
    """Credentials in PEM: bytes, or the path of a file, which is read when a client is made.

    Attributes:
        root_certificates: whom to trust; None: gRPC's own roots.
        private_key: the client's own key, for mutual TLS only.
        certificate_chain: the client's own certificate, for mutual TLS only.
        server_name: checked against the server's certificate in place of the target's host.
    """

    root_certificates: Pem = None
    private_key: Pem = field(default=None, repr=False)
    certificate_chain: Pem = None
    server_name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Timings:
    """Seconds spent in the server. Of a call that was sent in parts: the sums over the parts."""

    tokenize_seconds: float = 0.0
    queue_seconds: float = 0.0
    compute_seconds: float = 0.0
    total_seconds: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Chunk:
    """One part of an input: where it starts and ends (exclusive) in the text, in code points, and its tokens."""

    input_index: int
    start: int
    end: int
    token_count: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedChunks:
    """Vectors of divided texts; `numpy.asarray` of it gives the vectors.

    Attributes:
        vectors: [chunks, width], or with pooling "mean" [inputs, width].
        chunks: the parts of each input, in order.
    """

    vectors: Array
    chunks: tuple[Chunk, ...]

    def __len__(self) -> int:
        """Rows of `vectors`."""
        return len(self.vectors)

    def __array__(self, dtype: npt.DTypeLike | None = None, copy: bool | None = None) -> Array:
        """Give the vectors to numpy."""
        return np.array(self.vectors, dtype) if copy else np.asarray(self.vectors, dtype)

    def of(self, input_index: int) -> tuple[Chunk, ...]:
        """Give the chunks of one input."""
        return tuple(chunk for chunk in self.chunks if chunk.input_index == input_index)

    def text_of(self, chunk: Chunk, texts: str | Sequence[str]) -> str:
        """Give a chunk's text, from the texts that were embedded."""
        text = texts if isinstance(texts, str) else texts[chunk.input_index]
        return text[chunk.start : chunk.end]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbeddedOutputs:
    """What `outputs` asked for, all from one pass through the model; the rest is None.

    Attributes:
        dense: [n, width].
        sparse: weights over the vocabulary.
        multi: a vector per token.
    """

    dense: Array | None
    sparse: SparseVectors | None
    multi: MultiVectors | None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbedResult:
    """Vectors and what was done to get them.

    Attributes:
        embeddings: [n, width]; of a single input [width], unless `chunking` or `outputs` were given. Little-endian,
            writable. [n, 0] where `outputs` lacks "dense".
        token_counts: int64 [n], tokens that the model saw, after truncation.
        truncated: bool [n], whether that input was cut.
        no_tokens: positions of inputs without a token of their own (empty, blanks only).
        timings: time in the server.
        quantization: set for "int8" and "uint8".
        model: name of the model that made the vectors.
        sparse: set where `outputs` has "sparse".
        multi: set where `outputs` has "multi".
        chunks: with `chunking`, the parts of each input; without pooling, n counts the chunks.
        cached_rows: rows that came from the server's cache.
    """

    embeddings: Array
    token_counts: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    no_tokens: tuple[int, ...]
    timings: Timings
    quantization: Quantization | None
    model: str
    sparse: SparseVectors | None = None
    multi: MultiVectors | None = None
    chunks: tuple[Chunk, ...] = ()
    cached_rows: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamResult:
    """Outcome of one input of a stream: either what was asked for or `error` is set.

    Attributes:
        index: position of the input in the iterable, from 0.
        embedding: [width], or None; with `chunking` and without pooling [chunks, width].
        token_count: tokens that the model saw, those of all chunks together; 0 with an error.
        truncated: whether the input was cut.
        error: why this input failed, or None.
        sparse: of length 1, where `outputs` has "sparse".
        multi: of length 1, where `outputs` has "multi".
        chunks: with `chunking`, the parts of the input; their `input_index` is `index`.
    """

    index: int
    embedding: Array | None = None
    token_count: int = 0
    truncated: bool = False
    error: NearfieldError | None = None
    sparse: SparseVectors | None = None
    multi: MultiVectors | None = None
    chunks: tuple[Chunk, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RankedDocument:
    """A document and its score.

    Attributes:
        index: its position among the documents, from 0.
        score: how well it answers the query; greater is better.
        document: the text, with `return_documents`; else None.
        token_count: tokens that the model saw, the query included.
        truncated: whether it, or the query with it, was cut.
    """

    index: int
    score: float
    document: str | None = None
    token_count: int = 0
    truncated: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LabelScore:
    """A label, its position among the model's or the given labels, and its score."""

    label: str
    index: int
    score: float


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """Tokens of one text, four tuples of one length; starts and ends count code points in prompt + text."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]
