"""Inputs of a call to what the model sees of them. Runs on a thread."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace

import numpy as np

from nearfield_server.core.plan import Plan, check_reply
from nearfield_server.encoder.chunking import ChunkLimits, divide
from nearfield_server.encoder.images import ImageLimits, pixels_of
from nearfield_server.encoder.loader import LoadedEncoder
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.errors import DeadlineExceeded, InvalidInput, TooLarge
from nearfield_server.types import (
    Chunking,
    ChunkPooling,
    EmbedCall,
    IdArray,
    Input,
    InputType,
    Limits,
    Tokens,
    Truncate,
)

__all__ = ["IMAGES_OF_FULL_SIZE", "prepare_any", "prepare_inputs"]

IMAGES_OF_FULL_SIZE = 8
"""All images of a call together have at most this many times `limits.max_image_pixels`."""

# What a reply says of a chunk, at most: four numbers.
_CHUNK_BYTES = 28


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
    if call.options.chunking is not None:
        tokens = _prepare_chunks(loaded, call, call.options.chunking, options, limits)
        rows = len(tokens) if call.options.chunking.pooling is ChunkPooling.NONE else len(call.inputs)
        check_reply(rows, plan.dimensions, call.options.dtype, limits, more=_CHUNK_BYTES * len(tokens))
        return tokens
    return prepare_any(loaded, call.inputs, options, limits, call.deadline)


def _prepare_chunks(
    loaded: LoadedEncoder, call: EmbedCall, chunking: Chunking, options: TextOptions, limits: Limits
) -> list[Tokens]:
    """Give the tokens of each chunk of the texts, and of the other inputs whole, with where they come from.

    Raises:
        InvalidInput, TextTooLong: as `prepare_inputs`, and for chunks that the model or the prompt leaves no room for.
        TooLarge: more tokens than a call may have; what comes behind is not looked at.
        DeadlineExceeded: the call's deadline passed between two texts.
    """
    _check_pixels(call.inputs, limits)
    bounds = _chunk_limits(loaded, chunking, options)
    literal = options.special_tokens_as_text
    done: list[Tokens] = []
    total = 0
    for index, one in enumerate(call.inputs):
        _check_time(call.deadline)
        if not isinstance(one, str):
            with _blamed_on(index):
                (tokens,) = prepare_any(loaded, [one], replace(options, truncate=Truncate.NONE), limits)
            done.append(replace(tokens, source=index, span=(0, 0)))
            continue
        try:
            spans = divide(
                one,
                bounds,
                lambda texts: loaded.tokenizer.pieces(texts, literal=literal),
                lambda texts: loaded.tokenizer.encode(texts, replace(options, truncate=Truncate.END)),
            )
        except ValueError as error:
            raise InvalidInput("chunking.max_tokens", f"{bounds.max_tokens} is too few: {error}") from None
        done += [replace(span.tokens, source=index, span=(span.start, span.end)) for span in spans]
        total += sum(len(span.tokens) for span in spans)
        if total > (most := limits.max_request_tokens):
            raise TooLarge(f"more than {most} tokens in one call, which is the limit: split the call", limit=most)
    return done


@contextmanager
def _blamed_on(index: int) -> Iterator[None]:
    try:
        yield
    except InvalidInput as error:
        raise error.moved(lambda _: f"inputs[{index}]") from None


def _chunk_limits(loaded: LoadedEncoder, chunking: Chunking, options: TextOptions) -> ChunkLimits:
    most = loaded.spec.max_tokens
    size, overlap = chunking.max_tokens or most, chunking.overlap_tokens
    if size > most:
        raise InvalidInput("chunking.max_tokens", f"{size} is over {most}, the model's longest input")
    if overlap > size // 2:
        raise InvalidInput("chunking.overlap_tokens", f"{overlap} is over half of {size}, the longest chunk")
    (empty,) = loaded.tokenizer.encode([""], options)
    if (room := size - len(empty.ids)) < 1:
        text = f"{size} leaves no room for text: special tokens and prompt take {len(empty.ids)}"
        raise InvalidInput("chunking.max_tokens", text)
    return ChunkLimits(max_tokens=size, room=room, overlap=min(overlap, room // 2))


def prepare_any(
    loaded: LoadedEncoder,
    inputs: Sequence[Input],
    options: TextOptions,
    limits: Limits,
    deadline: float | None = None,
) -> list[Tokens]:
    """Give the tokens of texts and ids, and the pixels of images. Raises as `prepare_inputs`, and at the deadline."""
    _check_pixels(inputs, limits)
    texts: list[str | IdArray] = []
    places: list[int] = []
    done: dict[int, Tokens] = {}
    for index, one in enumerate(inputs):
        if isinstance(one, bytes):
            _check_time(deadline)
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


def _check_time(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise DeadlineExceeded("the deadline passed before all inputs were read")


def _check_pixels(inputs: Sequence[Input], limits: Limits) -> None:
    """Refuse a call that would keep a thread busy for minutes, before anything is decoded."""
    each = limits.max_image_pixels
    most = IMAGES_OF_FULL_SIZE * each
    # One over the limit is refused by its own name.
    if (total := sum(min(each, pixels_of(one)) for one in inputs if isinstance(one, bytes))) > most:
        raise InvalidInput("inputs", f"the images have {total} pixels together, over {most}: send fewer a call")


def _image(loaded: LoadedEncoder, data: bytes, field: str, limits: Limits) -> Tokens:
    tower = loaded.spec.vision
    if loaded.images is None or tower is None:
        msg = "an image for a model without a vision tower; this is a bug"
        raise AssertionError(msg)
    bounds = ImageLimits(max_bytes=limits.max_image_bytes, max_pixels=limits.max_image_pixels)
    return Tokens(_NO_IDS, pixels=loaded.images(data, field, bounds), patches=tower.patches)


_NO_IDS = np.array([], np.int64)
