"""What a model is for, and how its outputs are read, as its files say."""

import json

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper
from tokenizers import Tokenizer

from nearfield_server.encoder.loader import load
from nearfield_server.encoder.tokenizer import TextOptions
from nearfield_server.errors import ModelLoadFailure, TextTooLong
from nearfield_server.types import Activation, OutputKind, SparseSource, Tokens, Truncate

from .conftest import FILES, WIDTH, tokenizer_json

IDS = np.array([2, 4, 5, 3])
NO_MODULES = {"modules.json": None, "1_Pooling/config.json": None}


def made(**outputs):
    """A graph of an embedding lookup: each output by name is "tokens", "labels", "vocabulary" or "weights"."""
    table = np.arange(28, dtype=np.float32).reshape(7, WIDTH)
    nodes = [helper.make_node("Gather", ["table", "input_ids"], ["found"])]
    infos = []
    shapes = {
        "tokens": ["b", "s", WIDTH],
        "vocabulary": ["b", "s", 7],
        "labels": ["b", WIDTH],
        "weights": ["b", "s", 1],
        "mean": ["b", WIDTH],
    }
    for name, kind in outputs.items():
        if kind == "tokens":
            nodes.append(helper.make_node("Identity", ["found"], [name]))
        elif kind == "vocabulary":
            nodes.append(helper.make_node("MatMul", ["found", "turned"], [name]))
        elif kind == "weights":
            nodes.append(helper.make_node("ReduceSum", ["found", "last"], [name], keepdims=1))
        else:
            nodes.append(helper.make_node("ReduceMean", ["found", "axis"], [name], keepdims=0))
        infos.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shapes[kind]))
    nodes.append(helper.make_node("Identity", ["attention_mask"], ["unused"]))
    inputs = [
        helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in ("input_ids", "attention_mask")
    ]
    constants = {"table": table, "turned": table.T.copy() / 100, "axis": np.array([1]), "last": np.array([2])}
    graph = helper.make_graph(
        nodes, "tiny", inputs, infos, [numpy_helper.from_array(value, name) for name, value in constants.items()]
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)


def loaded(tiny, files, **outputs):
    return load("tiny", tiny.write(files={**NO_MODULES, **files}, model=made(**outputs)), device="cpu")


def config(**values):
    return {"config.json": {**FILES["config.json"], **values}}


def test_a_classifier(tiny):
    labels = {"0": "anger", "1": "fear", "2": "joy", "3": "sadness"}
    model = loaded(tiny, config(architectures=["BertForSequenceClassification"], id2label=labels), logits="labels")
    assert model.spec.outputs == (OutputKind.SCORES,)
    assert model.spec.scores.labels == ("anger", "fear", "joy", "sadness")
    assert model.spec.scores.activation is Activation.SOFTMAX
    (row,) = model.encoder([Tokens(IDS, wanted=frozenset({OutputKind.SCORES}))])
    assert row.dense is None
    assert row.scores == pytest.approx(np.arange(28).reshape(7, WIDTH)[IDS].mean(axis=0))


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"problem_type": "multi_label_classification"}, Activation.SIGMOID),
        ({"problem_type": "regression"}, Activation.NONE),
        ({"sentence_transformers": {"activation_fn": "torch.nn.modules.linear.Identity"}}, Activation.NONE),
        ({"sbert_ce_default_activation_function": "torch.nn.modules.activation.Sigmoid"}, Activation.SIGMOID),
    ],
)
def test_the_activation_is_the_configurations(tiny, values, expected):
    labels = {str(index): f"L{index}" for index in range(WIDTH)}
    files = config(architectures=["RobertaForSequenceClassification"], id2label=labels, **values)
    assert loaded(tiny, files, logits="labels").spec.scores.activation is expected


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"id2label": {"0": "a", "1": "b"}}, "id2label has 2 labels, the graph gives 4"),
        ({"id2label": {"0": "a", "2": "b"}}, "id2label must map 0, 1"),
        ({"id2label": ["a"]}, "id2label must map 0, 1"),
        ({"id2label": {"x": "a"}}, "id2label must map 0, 1"),
        ({"sentence_transformers": {"activation_fn": "torch.nn.GELU"}, "num_labels": 4}, "activation GELU isn't"),
    ],
)
def test_a_classifier_whose_files_are_wrong(tiny, values, message):
    with pytest.raises(ModelLoadFailure, match=message):
        loaded(tiny, config(architectures=["BertForSequenceClassification"], **values), logits="labels")


def test_a_masked_language_model_gives_sparse_vectors(tiny):
    model = loaded(tiny, config(architectures=["BertForMaskedLM"]), logits="vocabulary")
    assert model.spec.outputs == (OutputKind.SPARSE,)
    assert model.spec.sparse.source is SparseSource.LOGITS
    assert model.spec.pooling is None
    assert model.spec.dimensions == 0


def test_the_manifest_names_several_outputs_of_one_graph(tiny):
    """As an export of BGE-M3 has them."""
    manifest = {
        "task": "embed",
        "pooling": "cls",
        "output": {"name": "states"},
        "sparse": {"name": "weights", "source": "token_weights"},
        "multi": {"name": "colbert"},
        "scores": {"name": "labels", "activation": "none", "labels": ["a", "b", "c", "d"]},
    }
    outputs = {"states": "tokens", "weights": "weights", "colbert": "tokens", "labels": "labels"}
    model = loaded(tiny, {"nearfield.yaml": json.dumps(manifest)}, **outputs)
    assert model.spec.outputs == tuple(OutputKind)
    runs = []
    original = model.backend.run
    model.encoder._backend = type(
        "Counted", (), {"run": lambda _, feeds, names: runs.append(names) or original(feeds, names)}
    )()
    rows = model.encoder([Tokens(IDS, wanted=frozenset(OutputKind)), Tokens(IDS[:2])])
    assert len(runs) == 1
    assert rows[0].multi.shape == (4, WIDTH)
    assert rows[0].dense == pytest.approx([8, 9, 10, 11])
    assert (rows[0].scores is not None, len(rows[0].sparse.ids)) == (True, 4)
    assert (rows[1].sparse, rows[1].multi, rows[1].scores) == (None, None, None)


MULTI = {
    "task": "multi",
    "multi": {
        "query_marker": "one",
        "document_marker": "two",
        "max_query_tokens": 6,
        "max_document_tokens": 5,
        "expand_with": "[PAD]",
        "skipped_tokens": ["three"],
    },
}


def encoded(tiny, texts, *, as_query, truncate=Truncate.END):
    model = loaded(tiny, {"nearfield.yaml": json.dumps(MULTI)}, token_embeddings="tokens")
    wanted = frozenset({OutputKind.MULTI})
    return model.tokenizer.encode(texts, TextOptions(wanted=wanted, as_query=as_query, truncate=truncate))


def test_queries_are_marked_and_filled_up(tiny):
    short, long = encoded(tiny, ["two", "two two two two two"], as_query=True)
    assert short.ids.tolist() == [2, 4, 5, 3, 0, 0]
    assert short.mask.tolist() == [1, 1, 1, 1, 0, 0]
    assert (long.ids.tolist(), long.mask, long.truncated) == ([2, 4, 5, 5, 5, 3], None, True)


def test_documents_are_marked_and_what_is_skipped_gets_no_vector(tiny):
    (document,) = encoded(tiny, ["one three"], as_query=False)
    assert document.ids.tolist() == [2, 5, 4, 6, 3]
    assert document.keep.tolist() == [True, True, True, False, True]


def test_the_limit_of_documents_holds(tiny):
    with pytest.raises(TextTooLong, match="5 tokens, special tokens included; the model takes 4"):
        encoded(tiny, ["one one one"], as_query=False, truncate=Truncate.NONE)


def test_a_marker_that_is_no_token(tiny):
    files = {"nearfield.yaml": json.dumps({"task": "multi", "multi": {"query_marker": "[Q]"}})}
    with pytest.raises(ModelLoadFailure, match=r"tokenizer.json: '\[Q\]'.*is no single token"):
        loaded(tiny, files, token_embeddings="tokens")


def test_an_output_that_is_not_there(tiny):
    files = {"nearfield.yaml": json.dumps({"task": "sparse", "sparse": {"name": "nothing"}})}
    with pytest.raises(ModelLoadFailure, match="sparse: the graph has no output nothing; there are: logits"):
        loaded(tiny, files, logits="vocabulary")


def test_a_precision_is_chosen_by_name_and_by_device(tiny):
    manifest = {
        "pooling": "mean",
        "precision": "int8-rowwise",
        "files": {
            "model": "onnx/model_int8.onnx",
            "precisions": {"fp32": "onnx/model.onnx", "int8-rowwise": "onnx/model_int8.onnx"},
            "providers": {"cuda": "fp32"},
        },
    }
    folder = tiny.write(files={**NO_MODULES, "nearfield.yaml": json.dumps(manifest)}, model=made(states="tokens"))
    onnx.save(made(states="tokens"), folder / "onnx/model_int8.onnx")
    names = {
        one: load("tiny", folder, device="cpu", precision=one).spec.model_file.name for one in ("", "int8", "fp32")
    }
    assert names == {"": "model_int8.onnx", "int8": "model_int8.onnx", "fp32": "model.onnx"}
    with pytest.raises(ModelLoadFailure, match="precision w8 is asked for, but the folder has fp32, int8-rowwise"):
        load("tiny", folder, device="cpu", precision="w8")


def test_the_tokenizer_fixture_is_what_these_tests_think():
    assert Tokenizer.from_str(tokenizer_json()).encode("one two").ids == [2, 4, 5, 3]
