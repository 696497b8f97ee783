"""What a call means for one model: everything that depends on the model is checked here, before any work."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from nearfield_server.errors import InvalidInput, Unsupported
from nearfield_server.types import DENSE_ONLY, DType, EmbedOptions, Input, InputType, Limits, ModelSpec, OutputKind

__all__ = ["Plan", "check_reply", "make_plan", "prompt_of"]

_PROMPTS_BY_INPUT_TYPE = {
    InputType.QUERY: ("query",),
    InputType.DOCUMENT: ("document", "passage", "corpus"),
    InputType.CLASSIFICATION: ("classification",),
    InputType.CLUSTERING: ("clustering",),
}

_BITS = {
    DType.FLOAT32: 32,
    DType.FLOAT16: 16,
    DType.INT8: 8,
    DType.UINT8: 8,
    DType.BINARY: 1,
    DType.UBINARY: 1,
}

# Room for everything in a reply that isn't the matrix: per input a token count and a flag, and the fixed fields.
_REPLY_OVERHEAD_BYTES, _REPLY_OVERHEAD_PER_INPUT_BYTES = 1024, 16


@dataclass(frozen=True, slots=True)
class Plan:
    """How to embed, all choices made."""

    prompt: str
    dimensions: int
    normalize: bool


def make_plan(spec: ModelSpec, options: EmbedOptions, inputs: tuple[Input, ...], limits: Limits | None) -> Plan:
    """Check `options` against the model and fill in what they leave open. No `limits`: the vectors aren't sent.

    Raises:
        InvalidInput: a field is out of the model's range, or the reply would be over the limit.
        Unsupported: the model can't do it.
    """
    _check_outputs(spec, options, inputs)
    multi_only = spec.multi is not None and options.outputs == {OutputKind.MULTI}
    width = spec.multi.dimensions if spec.multi is not None and multi_only else spec.dimensions
    dimensions = width if options.dimensions is None else options.dimensions
    if not 1 <= dimensions <= width and (width or options.dimensions is not None):
        raise InvalidInput("dimensions", f"{dimensions} is outside 1 to {width}, the model's width")
    if limits is not None:
        check_reply(len(inputs), dimensions, options.dtype, limits)
    return Plan(_prompt(spec, options, inputs), dimensions, _normalize(spec, options))


def check_reply(rows: int, dimensions: int, dtype: DType, limits: Limits, *, more: int = 0) -> None:
    """Raise `InvalidInput` if so many rows, and `more` bytes, can't be sent in one reply."""
    row_bytes = (dimensions * _BITS[dtype] + 7) // 8 + _REPLY_OVERHEAD_PER_INPUT_BYTES
    if (reply := rows * row_bytes + more + _REPLY_OVERHEAD_BYTES) > (most := limits.max_response_bytes):
        text = f"the reply would have about {reply} bytes, over {most}: send fewer inputs a call, or use EmbedStream"
        raise InvalidInput("inputs", text)


def _check_outputs(spec: ModelSpec, options: EmbedOptions, inputs: tuple[Input, ...]) -> None:
    has = spec.outputs
    for kind in options.outputs:
        if kind not in has:
            able = ", ".join(one.name for one in has)
            raise Unsupported("outputs", f"this model gives no {kind.name} vectors; it gives: {able}")
    dense_only = options.outputs == DENSE_ONLY
    if options.chunking is not None and not dense_only:
        raise Unsupported("chunking", "only DENSE vectors can be made of chunks")
    for index, one in enumerate(inputs):
        if isinstance(one, bytes) and (spec.vision is None or not dense_only):
            what = "this model takes texts only" if spec.vision is None else "images have DENSE vectors only"
            raise Unsupported(f"inputs[{index}].image", what)


def prompt_of(spec: ModelSpec, name: str) -> str:
    """Give the prompt of that name. Raises `InvalidInput` that lists the names there are."""
    if name in spec.prompts:
        return spec.prompts[name]
    known = ", ".join(sorted(spec.prompts)) or "none"
    raise InvalidInput("prompt_name", f"this model has no prompt of that name; it has: {known}")


def _prompt(spec: ModelSpec, options: EmbedOptions, inputs: tuple[Input, ...]) -> str:
    if options.prompt_name:
        if any(isinstance(one, np.ndarray) for one in inputs):
            raise InvalidInput("prompt_name", "token_ids get no prompt: put it before the text and tokenise both")
        return prompt_of(spec, options.prompt_name)
    if options.input_type is not None:
        for name in _PROMPTS_BY_INPUT_TYPE[options.input_type]:
            if name in spec.prompts:
                return spec.prompts[name]
    return spec.prompts.get(spec.default_prompt_name, "")


def _normalize(spec: ModelSpec, options: EmbedOptions) -> bool:
    normalize = spec.normalize if options.normalize is None else options.normalize
    if not normalize and options.normalize is False and spec.output_normalized:
        raise Unsupported("normalize", "this model's graph itself normalises: raw vectors can't be had")
    if not normalize and options.dtype in {DType.INT8, DType.UINT8}:
        raise InvalidInput("output_dtype", "int8 and uint8 need unit length vectors: set normalize to true")
    return normalize
