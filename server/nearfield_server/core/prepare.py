"""Inputs of a call to what the model sees of them. Runs on a thread."""

from __future__ import annotations

from collections.abc import Sequence

from nearfield_server.core.plan import Plan
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.types import EmbedCall, EmbedOptions, IdArray, InputType, Limits, Tokens

__all__ = ["prepare_inputs", "text_options"]


def text_options(options: EmbedOptions, prompt: str) -> TextOptions:
    """Give the part of a call's options that is about texts."""
    return TextOptions(
        prompt=prompt,
        truncate=options.truncate,
        special_tokens_as_text=options.special_tokens_as_text,
        wanted=options.outputs,
        as_query=options.input_type is InputType.QUERY,
    )


def prepare_inputs(loaded: LoadedEncoder, call: EmbedCall, plan: Plan, limits: Limits) -> list[Tokens]:
    """Give the tokens of each input, in the order of the call.

    Raises:
        InvalidInput, TextTooLong: an input can't be taken; names it.
    """
    del limits
    texts: Sequence[str | IdArray] = [one for one in call.inputs if not isinstance(one, bytes)]
    return loaded.tokenizer.encode(texts, text_options(call.options, plan.prompt))
