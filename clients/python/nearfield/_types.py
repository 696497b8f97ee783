"""The nouns: what goes into a call and what comes out, as frozen dataclasses of plain values and arrays.

None of them shows a protobuf type, so that the generated stubs can change without notice.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from os import PathLike
from typing import Any, Literal, TypeAlias, TypedDict

import numpy as np
import numpy.typing as npt

from nearfield._errors import NearfieldError

__all__ = [
    "Array",
    "EmbedOptions",
    "EmbedResult",
    "InputType",
    "Inputs",
    "Limits",
    "Metric",
    "Model",
    "ModelState",
    "OutputDType",
    "Pem",
    "Priority",
    "Quantization",
    "SimilarityOptions",
    "StreamOptions",
    "StreamResult",
    "TextOrTokens",
    "Timings",
    "Tls",
    "TokenizeOptions",
    "TokenizedText",
    "Truncate",
]

Array: TypeAlias = npt.NDArray[Any]
TextOrTokens: TypeAlias = str | Sequence[int] | npt.NDArray[np.integer[Any]]
"""One input: a text, or vocabulary ids (special tokens included, no prompt)."""

InputType: TypeAlias = Literal["query", "document", "classification", "clustering"]
Truncate: TypeAlias = Literal["end", "start", "none"]
OutputDType: TypeAlias = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]
Priority: TypeAlias = Literal["interactive", "bulk"]
Metric: TypeAlias = Literal["cosine", "dot", "euclidean"]
Pem: TypeAlias = bytes | str | PathLike[str] | None
"""Bytes in PEM, or the path of a file that holds them."""
ModelState: TypeAlias = Literal["unspecified", "loading", "ready", "degraded", "failed", "unloading"]


class EmbedOptions(TypedDict, total=False):
    """How to embed. Every key may be left out.

    Keys:
        model: name of a served model; "" is the server's default model.
        input_type: what the texts are for; selects the model's prompt of that name.
        prompt_name: one of `Model.prompts`; wins over `input_type`.
        truncate: what happens over `Model.max_tokens`; "end" is the default, "none" fails with InvalidArgument.
        dimensions: width to cut vectors to, 1 to `Model.dimensions`; None keeps all.
        normalize: unit L2 length; None does as the model's own pipeline does.
        output_dtype: element type of the vectors; "float32" is the default. "binary" and "ubinary" pack 8 to a byte.
        priority: which queue to wait in; None is "interactive" for calls and "bulk" for streams.
        special_tokens_as_text: take a typed "[SEP]" as plain text. Set it for untrusted texts.
        timeout: seconds for the whole call, retries and parts included; None is the client's own default.
    """

    model: str
    input_type: InputType | None
    prompt_name: str
    truncate: Truncate
    dimensions: int | None
    normalize: bool | None
    output_dtype: OutputDType
    priority: Priority | None
    special_tokens_as_text: bool
    timeout: float | None


class StreamOptions(EmbedOptions, total=False):
    """How to embed a stream. `timeout` holds for the whole stream; left out or None, there is no deadline.

    Keys:
        ordered: results in the order of the inputs; a slow one then holds back those behind it.
        batch_size: most inputs in one message, 1 to `Limits.max_inputs`; None is 32.
        window: most inputs that are pulled from the iterable and whose results aren't taken yet; None is
            `Limits.stream_window_inputs`, and at least two messages.
    """

    ordered: bool
    batch_size: int | None
    window: int | None


class SimilarityOptions(TypedDict, total=False):
    """How to compare. Keys as in `EmbedOptions`; `source_input_type` and `target_input_type` go to the two sides."""

    model: str
    metric: Metric | None
    source_input_type: InputType | None
    target_input_type: InputType | None
    truncate: Truncate
    dimensions: int | None
    priority: Priority | None
    timeout: float | None


class TokenizeOptions(TypedDict, total=False):
    """How to tokenize. Keys as in `EmbedOptions`; `add_special_tokens` is True when left out."""

    model: str
    prompt_name: str
    add_special_tokens: bool
    special_tokens_as_text: bool
    timeout: float | None


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
class Quantization:
    """Real value of an integer element q: `scale * (q - zero_point)`."""

    scale: float
    zero_point: int


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EmbedResult:
    """Vectors and what was done to get them.

    Attributes:
        embeddings: [n, width]; of a single text [width]. Little-endian, writable.
        token_counts: int64 [n], tokens that the model saw, after truncation.
        truncated: bool [n], whether that input was cut.
        no_tokens: positions of inputs without a token of their own (empty, blanks only).
        timings: time in the server.
        quantization: set for "int8" and "uint8".
        model: name of the model that made the vectors.
    """

    embeddings: Array
    token_counts: npt.NDArray[np.int64]
    truncated: npt.NDArray[np.bool_]
    no_tokens: tuple[int, ...]
    timings: Timings
    quantization: Quantization | None
    model: str


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class StreamResult:
    """Outcome of one input of a stream: either `embedding` or `error` is set.

    Attributes:
        index: position of the input in the iterable, from 0.
        embedding: [width], or None.
        token_count: tokens that the model saw; 0 with an error.
        truncated: whether the input was cut.
        error: why this input failed, or None.
    """

    index: int
    embedding: Array | None = None
    token_count: int = 0
    truncated: bool = False
    error: NearfieldError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TokenizedText:
    """Tokens of one text, four tuples of one length; starts and ends count code points in prompt + text."""

    ids: tuple[int, ...]
    tokens: tuple[str, ...]
    starts: tuple[int, ...]
    ends: tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Bounds of one call, over which the server refuses it; 0: the server didn't say."""

    max_inputs: int = 0
    max_text_bytes: int = 0
    max_request_bytes: int = 0
    max_response_bytes: int = 0
    stream_window_inputs: int = 0
    max_request_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Model:
    """A served model; the fields mean what they mean in `nearfield.v1.Model`.

    Attributes:
        quantization_range: real value that int8's 127 stands for at full width.
        load_seconds: from the start of loading until ready.
        state_changed_at_seconds: time of the last change of state, Unix time.
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

    @property
    def is_ready(self) -> bool:
        """Whether calls are served now."""
        return self.state in {"ready", "degraded"}


Inputs: TypeAlias = str | Iterable[TextOrTokens]
