"""The files of a model whose graph looks tokens up in a table."""

import json

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer, models, pre_tokenizers

WIDTH = 8
WORDS = [f"w{number}" for number in range(4000)]
TABLE = np.random.default_rng(5).standard_normal((len(WORDS) + 1, WIDTH)).astype(np.float32)
CARD = "---\nlicense: apache-2.0\ntags: [a]\n---\n# Small\n"


def graph(scale=1.0, data=""):
    """The table times `scale`; with its weights in the file `data` beside it, if named."""
    table = numpy_helper.from_array(TABLE * np.float32(scale), "table")
    if data:
        table.ClearField("raw_data")
        table.data_location = TensorProto.EXTERNAL
        table.external_data.add(key="location", value=data)
    made = helper.make_graph(
        [helper.make_node("Gather", ["table", "input_ids"], ["last_hidden_state"])],
        "small",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, ["batch", "seq", WIDTH])],
        [table],
    )
    model = helper.make_model(made, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    onnx.checker.check_model(model) if not data else None
    return model.SerializeToString()


def tokenizer():
    made = Tokenizer(models.WordLevel({"[UNK]": 0} | {word: at + 1 for at, word in enumerate(WORDS)}, "[UNK]"))
    made.pre_tokenizer = pre_tokenizers.Whitespace()
    return made.to_str().encode()


def files(**more):
    """What a repository of sentence-transformers holds; more as path with / written __, or `graphs={path: bytes}`."""
    found = {
        "README.md": CARD.encode(),
        "config.json": json.dumps({"hidden_size": WIDTH, "vocab_size": len(WORDS) + 1, "model_type": "bert"}).encode(),
        "modules.json": json.dumps(
            [
                {"idx": 0, "path": "", "type": "sentence_transformers.models.Transformer"},
                {"idx": 1, "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            ]
        ).encode(),
        "1_Pooling/config.json": json.dumps({"pooling_mode_mean_tokens": True}).encode(),
        "sentence_bert_config.json": b'{"max_seq_length": 16}',
        "tokenizer.json": tokenizer(),
        "model.safetensors": b"never" * 100_000,
        "pytorch_model.bin": b"never",
        "modeling_small.py": b"raise SystemExit",
        "onnx/model.onnx": graph(),
    }
    return found | more.pop("graphs", {}) | {key.replace("__", "/"): value for key, value in more.items()}
