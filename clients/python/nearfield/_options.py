"""What callers may choose, by keyword, as typed dictionaries. Every key may be left out."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Literal, TypeAlias, TypedDict

from nearfield._model import Metric
from nearfield._types import Chunking, OutputKind

__all__ = [
    "ClassifyOptions",
    "EmbedOptions",
    "InputType",
    "MultiOptions",
    "OutputDType",
    "OutputOptions",
    "Priority",
    "RerankOptions",
    "SimilarityOptions",
    "SparseOptions",
    "StreamOptions",
    "TokenizeOptions",
    "Truncate",
]

InputType: TypeAlias = Literal["query", "document", "classification", "clustering"]
Truncate: TypeAlias = Literal["end", "start", "none"]
OutputDType: TypeAlias = Literal["float32", "float16", "int8", "uint8", "binary", "ubinary"]
Priority: TypeAlias = Literal["interactive", "bulk"]


class EmbedOptions(TypedDict, total=False):
    """How to embed. Every key may be left out.

    Keys:
        model: name of a served model, `name@version`, or an alias; "" is the server's default model.
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


class OutputOptions(EmbedOptions, total=False):
    """How to embed, and what to give: keys of `EmbedOptions` and these.

    Keys:
        chunking: how to divide long texts instead of cutting them; None cuts, as `truncate` says.
        outputs: what to give, of "dense", "sparse" and "multi", all from one pass through the model; None is dense.
            `dimensions` and `output_dtype` are those of the dense vectors; the others are float32.
    """

    chunking: Chunking | None
    outputs: Sequence[OutputKind] | None


class StreamOptions(OutputOptions, total=False):
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


class SparseOptions(TypedDict, total=False):
    """How to make sparse vectors. Keys as in `EmbedOptions` and these.

    Keys:
        max_terms: keep the greatest weights of each input only; None keeps all.
        return_terms: give the terms as text too.
    """

    model: str
    input_type: InputType | None
    prompt_name: str
    truncate: Truncate
    priority: Priority | None
    special_tokens_as_text: bool
    max_terms: int | None
    return_terms: bool
    timeout: float | None


class MultiOptions(TypedDict, total=False):
    """How to make a vector per token. Keys as in `EmbedOptions`; `input_type` is "query", or else for documents."""

    model: str
    input_type: InputType | None
    truncate: Truncate
    dimensions: int | None
    normalize: bool | None
    output_dtype: OutputDType
    priority: Priority | None
    special_tokens_as_text: bool
    timeout: float | None


class RerankOptions(TypedDict, total=False):
    """How to rerank. Keys as in `EmbedOptions` and these.

    Keys:
        top_n: give the best ones only; None gives all.
        raw_scores: the model's raw numbers, without its activation function.
        return_documents: put each document beside its score.
        truncate: "end", the default, cuts the longer of query and document; "none" fails instead.
    """

    model: str
    top_n: int | None
    raw_scores: bool
    return_documents: bool
    truncate: Truncate
    priority: Priority | None
    special_tokens_as_text: bool
    timeout: float | None


class ClassifyOptions(TypedDict, total=False):
    """How to classify. Keys as in `EmbedOptions` and these.

    Keys:
        labels: labels to choose from (zero-shot); None or none: the model's own.
        label_template: what a label is put into before it is compared, with one `{}` for it; "" is the server's own.
        multi_label: several labels can be right: each score is a probability of its own.
        raw_scores: the model's raw numbers, or cosine similarities with an encoder, without activation function.
        top_k: give the best labels only; None gives all.
        pairs: a second text for each input, in their order, for models of pairs such as premise and hypothesis.
    """

    model: str
    labels: Sequence[str] | None
    label_template: str
    multi_label: bool
    raw_scores: bool
    top_k: int | None
    pairs: Iterable[str] | None
    truncate: Truncate
    priority: Priority | None
    special_tokens_as_text: bool
    timeout: float | None


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
