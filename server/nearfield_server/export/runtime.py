"""ONNX Runtime as the exporter uses it: sessions as the server opens them, and graphs saved after its rewriting."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnx
import onnxruntime as ort

from nearfield_server.export.builder import CONTRIB
from nearfield_server.export.errors import ExportError

__all__ = ["FUSED_ATTENTIONS", "fuse_transformer", "open_graph", "save_rewritten", "to_half", "to_weight_blocks"]

FUSED_ATTENTIONS = ("Attention", "MultiHeadAttention", "PackedAttention")

# Errors only: the rest warns of operators that run on another provider than asked, which is no fault here.
_QUIET = 3
# Each costs more than it saves on a CPU: SkipLayerNormalization takes five times as long as its parts.
_COSTLY = ("SkipLayerNormFusion", "BiasSkipLayerNormFusion", "BiasGeluFusion")
# Moves a bias into Gemm, which needs two-dimensional rows; row-wise int8 adds it after its own scale instead.
_IN_THE_WAY = ("MatMulAddFusion", "AttentionFusion")


def open_graph(model: str | bytes, *, optimize: bool) -> ort.InferenceSession:
    """A session of one thread on the CPU; `optimize` lets ONNX Runtime rewrite the graph as it loads."""
    levels = ort.GraphOptimizationLevel
    return _session(model, levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL, ())


def save_rewritten(model: Path, target: Path, *, fused: bool) -> None:
    """Saves the graph as ONNX Runtime rewrites it: constants folded; with `fused` also LayerNorm, Gelu and attention.

    Raises ExportError when ONNX Runtime can't load the graph.
    """
    levels = ort.GraphOptimizationLevel
    level = levels.ORT_ENABLE_EXTENDED if fused else levels.ORT_ENABLE_BASIC
    disabled = _COSTLY if fused else (*_COSTLY, *_IN_THE_WAY)
    _session(str(model), level, disabled, saved_as=str(target))


def _session(model: str | bytes, level: Any, disabled: Sequence[str], saved_as: str = "") -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    options.enable_mem_pattern = False
    options.graph_optimization_level = level
    options.optimized_model_filepath = saved_as
    try:
        return ort.InferenceSession(
            model, options, providers=["CPUExecutionProvider"], disabled_optimizers=list(disabled) or None
        )
    except Exception as error:  # the library raises many kinds
        where = "the exported graph" if isinstance(model, bytes) else model
        first = str(error).strip().partition("\n")[0][:300]
        raise ExportError(f"{where}: ONNX Runtime can't load it: {first}") from error


def fuse_transformer(file: Path, rules: str, heads: int, width: int) -> onnx.ModelProto:
    """The graph with attention, layer norms and biases fused by ONNX Runtime's offline tool, for a GPU.

    `heads` and `width` of 0 let the tool find them.
    """
    from onnxruntime.transformers.optimizer import optimize_model  # noqa: PLC0415 - imports much, and seldom needed

    fused = optimize_model(str(file), model_type=rules, num_heads=heads, hidden_size=width, opt_level=0, use_gpu=True)
    model: onnx.ModelProto = fused.model
    # The tool names the domain of its operators only when it saves a file itself.
    if CONTRIB not in {one.domain for one in model.opset_import}:
        model.opset_import.append(onnx.helper.make_opsetid(CONTRIB, 1))
    return model


def to_half(model: onnx.ModelProto, kept: Sequence[str]) -> onnx.ModelProto:
    """The graph in fp16, but for its inputs, its outputs and the nodes named in `kept`."""
    from onnxruntime.transformers.float16 import convert_float_to_float16  # noqa: PLC0415 - as above
    from onnxruntime.transformers.onnx_model import OnnxModel  # noqa: PLC0415 - as above

    half: onnx.ModelProto = convert_float_to_float16(model, keep_io_types=True, node_block_list=list(kept))
    # It puts the casts around kept nodes at the end.
    OnnxModel(half).topological_sort()
    return half


def to_weight_blocks(file: Path) -> onnx.ModelProto:
    """The graph with MatMulNBits in place of each MatMul by a constant: 8 bits, one scale per 32 weights.

    Blocks of 128 ran 1.3 times as fast, but there a row hangs on its batch (4e-3), and lost three times as much.
    """
    from onnxruntime.quantization.matmul_nbits_quantizer import MatMulNBitsQuantizer  # noqa: PLC0415 - as above

    quantizer = MatMulNBitsQuantizer(onnx.load(str(file)), bits=8, block_size=32, is_symmetric=True, accuracy_level=4)
    quantizer.process()
    quantized: onnx.ModelProto = quantizer.model.model
    return quantized
