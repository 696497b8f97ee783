"""Options of TensorRT that depend on the model: the shapes that its engine is built for, and where the engine is kept.

An engine takes the shapes of its profile only, and one without a profile is built again, for minutes, whenever a batch
is larger than those before. So there is a profile of `rows x max_tokens`, and batches of more rows are cut.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from nearfield_server.backends.base import TensorInfo

__all__ = ["ENGINE_BATCH_TOKENS", "Engine", "Profile", "engine_options", "profile_of"]

ENGINE_BATCH_TOKENS = 65536
"""Padded tokens of the largest run, where the settings state no token budget."""

# Texts are mostly shorter than a model's limit: the engine is tuned for such.
_USUAL_TOKENS = 64
_TEXT_RANK = 2  # [rows, tokens]


@dataclass(frozen=True, slots=True)
class Engine:
    """What an engine is built for: tokens of the longest row and of a whole batch; and the folder that keeps it."""

    cache: Path
    max_tokens: int
    batch_tokens: int
    fp16: bool = False


@dataclass(frozen=True, slots=True)
class Profile:
    """Shapes as TensorRT's provider reads them, such as "input_ids:1x1,attention_mask:1x1"; and the most rows."""

    smallest: str
    usual: str
    largest: str
    rows: int


def profile_of(inputs: Sequence[TensorInfo], engine: Engine) -> Profile | None:
    """Give the profile; `None`: an input has sizes that aren't known, such as those of images."""
    if any(None in one.shape[2:] or (len(one.shape) > _TEXT_RANK and one.shape[1] is None) for one in inputs):
        return None
    rows = max(1, engine.batch_tokens // engine.max_tokens)
    usual = _shapes(inputs, max(1, rows // 2), min(_USUAL_TOKENS, engine.max_tokens))
    return Profile(_shapes(inputs, 1, 1), usual, _shapes(inputs, rows, engine.max_tokens), rows)


def engine_options(engine: Engine, profile: Profile | None) -> dict[str, str]:
    """Give the provider's options."""
    options = {
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": str(engine.cache),
        "trt_timing_cache_enable": "1",
        "trt_timing_cache_path": str(engine.cache),
        "trt_fp16_enable": str(int(engine.fp16)),
    }
    if profile is not None:
        options["trt_profile_min_shapes"] = profile.smallest
        options["trt_profile_opt_shapes"] = profile.usual
        options["trt_profile_max_shapes"] = profile.largest
    return options


def _shapes(inputs: Sequence[TensorInfo], rows: int, tokens: int) -> str:
    """Write all shapes, with sizes where the graph leaves them open: the first is rows, the second tokens."""
    written = []
    for one in inputs:
        sizes = [(rows, tokens)[min(place, 1)] if size is None else size for place, size in enumerate(one.shape)]
        written.append(f"{one.name}:{'x'.join(map(str, sizes))}")
    return ",".join(written)
