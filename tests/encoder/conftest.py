"""Model folders with tiny graphs."""

import json
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers, processors

WIDTH = 4
VOCABULARY = {name: index for index, name in enumerate(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "one", "two", "three"])}


def tokenizer_json():
    tokenizer = Tokenizer(models.WordLevel(VOCABULARY, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.post_processor = processors.TemplateProcessing(
        "[CLS] $A [SEP]", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    return tokenizer.to_str()


def graph(*, outputs=("last_hidden_state",), inputs=("input_ids", "attention_mask"), nodes=(), table=None):
    """An embedding lookup; each output named *pooled* or *sentence* is the mean over the tokens."""
    table = np.arange(28, dtype=np.float32).reshape(7, WIDTH) if table is None else table
    steps = [helper.make_node("Gather", ["table", "input_ids"], ["found"])]
    infos = []
    for name in outputs:
        pooled = "sentence" in name or "pooled" in name
        if pooled:
            steps.append(helper.make_node("ReduceMean", ["found", "axis"], [name], keepdims=0))
        else:
            steps.append(helper.make_node("Identity", ["found"], [name]))
        shape = ["batch", WIDTH] if pooled else ["batch", "seq", WIDTH]
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))
    # An input that no node uses would be dropped: it is read by a node whose result nobody needs.
    steps += [helper.make_node("Identity", [name], [f"unused_{name}"]) for name in inputs if name != "input_ids"]
    made = helper.make_graph(
        [*steps, *nodes],
        "tiny",
        [helper.make_tensor_value_info(name, TensorProto.INT64, ["batch", "seq"]) for name in inputs],
        infos,
        [numpy_helper.from_array(table, "table"), numpy_helper.from_array(np.array([1]), "axis")],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("custom.domain", 1)]
    return helper.make_model(made, opset_imports=opsets, ir_version=9)


FILES = {
    "config.json": {"hidden_size": WIDTH, "vocab_size": 7, "max_position_embeddings": 16},
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": True, "word_embedding_dimension": WIDTH},
    "modules.json": [
        {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
        {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
        {"idx": 2, "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
    ],
    "sentence_bert_config.json": {"max_seq_length": 8},
}


@pytest.fixture
def tiny(tmp_path):
    """Write a model folder: `tiny(files={name: text, JSON or None}, model=graph)`; `tiny.graph` makes graphs."""

    def write(files=None, model=None, model_file="onnx/model.onnx"):
        folder = tmp_path / "model"
        for name, content in ({"tokenizer.json": tokenizer_json()} | FILES | (files or {})).items():
            if content is not None:
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                (folder / name).write_text(content if isinstance(content, str) else json.dumps(content))
        if model_file:
            (folder / model_file).parent.mkdir(parents=True, exist_ok=True)
            onnx.save(model or graph(), folder / model_file)
        return folder

    return SimpleNamespace(write=write, graph=graph)
