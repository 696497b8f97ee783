"""Whether a device gives what the CPU gives: compilers of graphs have faults that show in the numbers alone."""

from __future__ import annotations

import logging
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.encoder.folder import ModelFolder
from nearfield_server.errors import BackendFailure, ModelLoadFailure
from nearfield_server.types import ModelSpec

__all__ = ["COMPILED", "check_agreement"]

logger = logging.getLogger("nearfield.models")

COMPILED = frozenset({"tensorrt", "openvino", "coreml", "dml"})
"""Kinds of device that put kernels of their own in the place of ONNX Runtime's."""

# bf16 is off by 1.6% of a vector's length; the faults seen, by more than all of it.
_TOLERANCE = 0.1
# Rows and tokens, in an order that met a fault of OpenVINO.
_SHAPES = ((1, 1), (2, 3), (1, 33), (3, 40), (1, 120), (2, 9))


def check_agreement(folder: ModelFolder, spec: ModelSpec, backend: OnnxBackend) -> None:
    """Run the texts' graph here and on the CPU, on rows of several lengths.

    Raises:
        ModelLoadFailure: the outputs differ by more than a lower precision explains.
    """
    try:
        reference = OnnxBackend(folder.model_file, optimize=False)
    except ModelLoadFailure as error:
        # Graphs may be written for one device only.
        logger.warning("not compared with the CPU", extra={"model": spec.name, "reason": error.message})
        return
    names = [one.name for one in backend.signature.outputs]
    for rows, tokens in ((rows, min(tokens, spec.max_tokens)) for rows, tokens in _SHAPES):
        feeds = _feeds(backend, spec, rows, tokens)
        try:
            expected = reference.run(feeds, names)
        except BackendFailure:
            logger.warning("not compared with the CPU", extra={"model": spec.name, "reason": "it can't run the graph"})
            return
        for name, found, due in zip(names, backend.run(feeds, names), expected, strict=True):
            distance = float(np.linalg.norm(found - due) / max(float(np.linalg.norm(due)), 1e-6))
            if not distance <= _TOLERANCE:  # also when it isn't a number
                msg = (
                    f"{folder.model_file}: on {backend.device} the output {name} differs from the CPU's by "
                    f"{distance:.0%} for {rows} rows of {tokens} tokens: choose --device cpu, or another precision"
                )
                raise ModelLoadFailure(msg)
    reference.close()


def _feeds(backend: OnnxBackend, spec: ModelSpec, rows: int, tokens: int) -> dict[str, npt.NDArray[Any]]:
    ids = np.random.default_rng(tokens).integers(0, spec.vocab_size, (rows, tokens))
    made = {
        "input_ids": ids,
        "attention_mask": np.ones_like(ids),
        "token_type_ids": np.zeros_like(ids),
        "position_ids": np.broadcast_to(np.arange(tokens), ids.shape).copy(),
    }
    if spec.vision is not None:
        made["pixel_values"] = np.zeros((1, 3, *spec.vision.size), np.float32)
    return {one.name: made[one.name] for one in backend.signature.inputs if one.name in made}
