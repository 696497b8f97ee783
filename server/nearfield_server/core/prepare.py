"""Inputs of a call to what the model sees of them. Runs on a thread."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from nearfield_server.core.plan import Plan
from nearfield_server.encoder.images import ImageLimits
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.errors import InvalidInput
from nearfield_server.types import EmbedCall, IdArray, Input, InputType, Limits, Tokens

__all__ = ["prepare_any", "prepare_inputs"]


def prepare_inputs(loaded: LoadedEncoder, call: EmbedCall, plan: Plan, limits: Limits) -> list[Tokens]:
    """Give the tokens of each input, or of each chunk, in the order of the call.

    Raises:
        InvalidInput, TextTooLong: an input can't be taken; names it.
    """
    options = TextOptions(
        prompt=plan.prompt,
        truncate=call.options.truncate,
        special_tokens_as_text=call.options.special_tokens_as_text,
        wanted=call.options.outputs,
        as_query=call.options.input_type is InputType.QUERY,
    )
    return prepare_any(loaded, call.inputs, options, limits)


def prepare_any(loaded: LoadedEncoder, inputs: Sequence[Input], options: TextOptions, limits: Limits) -> list[Tokens]:
    """Give the tokens of texts and ids, and the pixels of images. Raises as `prepare_inputs`."""
    texts: list[str | IdArray] = []
    places: list[int] = []
    done: dict[int, Tokens] = {}
    for index, one in enumerate(inputs):
        if isinstance(one, bytes):
            done[index] = _image(loaded, one, f"inputs[{index}].image", limits)
        else:
            texts.append(one)
            places.append(index)
    try:
        encoded = loaded.tokenizer.encode(texts, options)
    except InvalidInput as error:
        raise error.moved(lambda index: f"inputs[{places[index]}]") from None
    done.update(zip(places, encoded, strict=True))
    return [done[index] for index in range(len(inputs))]


def _image(loaded: LoadedEncoder, data: bytes, field: str, limits: Limits) -> Tokens:
    tower = loaded.spec.vision
    if loaded.images is None or tower is None:
        msg = "an image for a model without a vision tower; this is a bug"
        raise AssertionError(msg)
    bounds = ImageLimits(max_bytes=limits.max_image_bytes, max_pixels=limits.max_image_pixels)
    return Tokens(_NO_IDS, pixels=loaded.images(data, field, bounds), patches=tower.patches)


_NO_IDS = np.array([], np.int64)
