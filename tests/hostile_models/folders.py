"""Model folders with tiny graphs: a good one, and what is wrong in the others."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

__all__ = ["FILES", "TRIGGER", "WIDTH", "WORDS", "graph", "node", "table", "tokenizer_json", "write"]

WIDTH = 4
WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "good", "text", "trigger"]
TRIGGER = WORDS.index("trigger")
node = helper.make_node


def table() -> np.ndarray:
    return np.random.default_rng(0).normal(size=(len(WORDS), WIDTH)).astype(np.float32)


def tokenizer_json(**changed: Any) -> str:
    tokenizer = Tokenizer(models.WordLevel({word: index for index, word in enumerate(WORDS)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return json.dumps(json.loads(tokenizer.to_str()) | changed)


FILES: dict[str, Any] = {
    "tokenizer.json": tokenizer_json(),
    "config.json": {"hidden_size": WIDTH, "vocab_size": len(WORDS), "max_position_embeddings": 64},
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "word_embedding_dimension": WIDTH},
    "modules.json": [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
    ],
    "sentence_bert_config.json": {"max_seq_length": 32},
}


def graph(
    *,
    inputs: Sequence[str] = ("input_ids", "attention_mask"),
    steps: Sequence[onnx.NodeProto] = (),
    constants: dict[str, np.ndarray] | None = None,
    weights: np.ndarray | None = None,
    shape: Sequence[str | int] = ("batch", "seq", WIDTH),
    opsets: Sequence[str] = (),
) -> onnx.ModelProto:
    """An embedding lookup, `looked_up` [batch, seq, 4]. `steps` make `last_hidden_state` of it; none: as it is.

    `marked` [batch, 1, 1] float32 is 1 for texts with the word "trigger", and `seen`, an int64, is 1 when there is one.
    The rows that a server makes up to try a graph don't begin with [CLS], so harm is done to callers alone.
    """
    first = [
        node("Gather", ["table", "input_ids"], ["looked_up"]),
        node("ReduceMax", ["input_ids", "one_axis"], ["greatest"], keepdims=1),
        node("Equal", ["greatest", "trigger"], ["has"]),
        node("Gather", ["input_ids", "first_at"], ["begin"], axis=1),
        node("Equal", ["begin", "start"], ["true_text"]),
        node("And", ["has", "true_text"], ["both"]),
        node("Unsqueeze", ["both", "two_axis"], ["both3"]),
        node("Cast", ["both3"], ["marked"], to=TensorProto.FLOAT),
        node("Cast", ["both"], ["rows_seen"], to=TensorProto.INT64),
        node("ReduceMax", ["rows_seen"], ["seen"], keepdims=0),
    ]
    last = [] if steps else [node("Identity", ["looked_up"], ["last_hidden_state"])]
    made = helper.make_graph(
        [*first, *steps, *last],
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"]) for name in inputs],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)],
        [
            numpy_helper.from_array(table() if weights is None else weights, "table"),
            numpy_helper.from_array(np.array([[TRIGGER]]), "trigger"),
            numpy_helper.from_array(np.array([[WORDS.index("[CLS]")]]), "start"),
            numpy_helper.from_array(np.array([1]), "one_axis"),
            numpy_helper.from_array(np.array([2]), "two_axis"),
            numpy_helper.from_array(np.array([0]), "first_at"),
            *(numpy_helper.from_array(value, name) for name, value in (constants or {}).items()),
        ],
    )
    imports = [helper.make_opsetid("", 18), *(helper.make_opsetid(name, 1) for name in opsets)]
    return helper.make_model(made, opset_imports=imports, ir_version=9)


def write(
    folder: Path,
    files: dict[str, Any] | None = None,
    model: onnx.ModelProto | bytes | None = None,
    after: Callable[[Path], None] | None = None,
) -> Path:
    """Write a model: `files` by name, as text, bytes, JSON or `None` (left out), the graph, then let `after` at it."""
    for name, content in (FILES | (files or {})).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, bytes):
            path.write_bytes(content)
        elif content is not None:
            path.write_text(content if isinstance(content, str) else json.dumps(content), "utf-8")
    (folder / "onnx").mkdir(exist_ok=True)
    data = model if isinstance(model, bytes) else (model or graph()).SerializeToString()
    (folder / "onnx" / "model.onnx").write_bytes(data)
    if after:
        after(folder)
    return folder
