"""Model folders of a few kilobytes whose numbers can be worked out by hand: sums and rows of one table."""

import json
import shutil

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

from nearfield_server.encoder.builtin import builtin_folder

VOCABULARY = 30522
WIDTH = 8
EVERYTHING = """
pooling: mean
normalize: true
max_tokens: 64
sparse: {name: weights, source: token_weights, saturations: 0}
multi: {name: colbert}
"""


def table(seed=11):
    return np.random.default_rng(seed).standard_normal((VOCABULARY, WIDTH)).astype(np.float32)


def _write(folder, graph, config):
    folder.mkdir(parents=True)
    shutil.copy(builtin_folder() / "tokenizer.json", folder)
    (folder / "config.json").write_text(json.dumps({"vocab_size": VOCABULARY, "max_position_embeddings": 64} | config))
    made = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.save(made, folder / "model.onnx")
    return folder


def _inputs(*names):
    return [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in names]


def everything(folder, seed=11):
    """Dense, sparse and multi from one pass: the mean of the table's rows, the size of their first number, the rows."""
    nodes = [
        helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"]),
        helper.make_node("Identity", ["last_hidden_state"], ["colbert"]),
        helper.make_node("Gather", ["last_hidden_state", "first"], ["column"], axis=2),
        helper.make_node("Abs", ["column"], ["weights"]),
    ]
    sizes = {"last_hidden_state": ["b", "s", WIDTH], "colbert": ["b", "s", WIDTH], "weights": ["b", "s"]}
    outputs = [helper.make_tensor_value_info(name, TensorProto.FLOAT, size) for name, size in sizes.items()]
    constants = [numpy_helper.from_array(table(seed), "table"), numpy_helper.from_array(np.array(0), "first")]
    graph = helper.make_graph(nodes, "everything", _inputs("input_ids", "attention_mask"), outputs, constants)
    _write(folder, graph, {"model_type": "bert"})
    (folder / "nearfield.yaml").write_text(EVERYTHING)
    return folder


def ranker(folder):
    """A score: the sum of the first column over the tokens, those of the document twice."""
    nodes = [
        helper.make_node("Gather", ["column", "input_ids"], ["found"]),
        helper.make_node("Add", ["attention_mask", "token_type_ids"], ["weights"]),
        helper.make_node("Mul", ["weights", "attention_mask"], ["kept"]),
        helper.make_node("Cast", ["kept"], ["floats"], to=TensorProto.FLOAT),
        helper.make_node("Mul", ["found", "floats"], ["weighted"]),
        helper.make_node("ReduceSum", ["weighted", "axis"], ["logits"], keepdims=1),
    ]
    graph = helper.make_graph(
        nodes,
        "ranker",
        _inputs("input_ids", "attention_mask", "token_type_ids"),
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["b", 1])],
        [numpy_helper.from_array(table()[:, 0], "column"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    labels = {"id2label": {"0": "LABEL_0"}}
    return _write(folder, graph, {"architectures": ["BertForSequenceClassification"], **labels})
