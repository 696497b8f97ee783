"""The float32 graph in the other number formats, other than row-wise int8: 8-bit blocks for a CPU, fp16 for a GPU."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import onnx

from nearfield_server.export.files import load_graph, save_graph
from nearfield_server.export.rowwise_pass import quantize_tables
from nearfield_server.export.runtime import FUSED_ATTENTIONS, fuse_transformer, to_half, to_weight_blocks

__all__ = ["quiet", "write_half", "write_weight_blocks"]

# The fusion rules of ONNX Runtime by model type; the rest is near enough to BERT for its rules, or nothing fuses.
_FUSION_RULES = {"clip": "clip", "clip_text_model": "clip", "clip_vision_model": "clip", "siglip": "clip"}


def write_weight_blocks(file: Path, target: Path) -> None:
    """8-bit weights, one scale per 32 of them; the embedding table int8 by rows."""
    with quiet():
        model = to_weight_blocks(file)
    save_graph(quantize_tables(model), target)


def write_half(file: Path, target: Path, config: Mapping[str, Any]) -> dict[str, int]:
    """Fused as CUDA runs it fastest, weights and arithmetic in fp16, inputs and outputs as before.

    Returns how many attention operators were fused; none when the architecture isn't known to the fusion rules.
    """
    text = config.get("text_config") or config
    rules = _FUSION_RULES.get(str(config.get("model_type")), "bert")
    heads = int(text.get("num_attention_heads") or text.get("n_heads") or 0)
    width = int(text.get("hidden_size") or text.get("dim") or 0)
    with quiet():
        try:
            fused = fuse_transformer(file, rules, *((heads, width) if heads and width else (0, 0)))
        except Exception:  # noqa: BLE001 - the tool asserts its way through graphs; unfused is right too, only slower
            fused = load_graph(file)
        counts = {name: sum(node.op_type == name for node in fused.graph.node) for name in FUSED_ATTENTIONS}
        half = to_half(fused, _indices(fused))
    save_graph(half, target)
    return {name: count for name, count in counts.items() if count}


def _indices(model: onnx.ModelProto) -> list[str]:
    """Names of the nodes that compute integers by way of floats, such as the buckets of relative positions.

    fp16 would round some of them into the bucket beside.
    """
    producers = {output: node for node in model.graph.node for output in node.output}
    whole = (onnx.TensorProto.INT32, onnx.TensorProto.INT64)
    waiting = [node for node in model.graph.node if node.op_type == "Cast" and node.attribute[0].i in whole]
    found: dict[str, None] = {}
    while waiting:
        node = waiting.pop()
        if node.name not in found and node.op_type not in ("Shape", "Size"):
            found[node.name] = None
            waiting += [producers[name] for name in node.input if name in producers]
    return list(found)


@contextmanager
def quiet() -> Iterator[None]:
    """The tools log every node that they touch, and warn of values that fp16 rounds."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
