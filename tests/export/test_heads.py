"""Heads against the formulas of sentence-transformers, written in numpy, one text at a time and without padding."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from nearfield_server.export.errors import SourceError
from nearfield_server.export.heads import POOLINGS, Dense, Head
from nearfield_server.export.runtime import open_graph

WIDTH = 6
LENGTHS = (5, 1, 3)
RANDOM = np.random.default_rng(1)
ROWS = RANDOM.normal(0, 1, (len(LENGTHS), max(LENGTHS), WIDTH)).astype(np.float32)
MASK = (np.arange(max(LENGTHS)) < np.array(LENGTHS)[:, None]).astype(np.int64)
EXPECTED = {
    "cls": lambda rows: rows[0],
    "max": lambda rows: rows.max(axis=0),
    "mean": lambda rows: rows.mean(axis=0),
    "mean_sqrt_len_tokens": lambda rows: rows.sum(axis=0) / np.sqrt(len(rows)),
    "weightedmean": lambda rows: np.average(rows, axis=0, weights=np.arange(1, len(rows) + 1)),
    "lasttoken": lambda rows: rows[-1],
}


def tokens_graph(*, mask=True, opset=20):
    """Gives its own input as token vectors."""
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", "sequence", WIDTH])]
    if mask:
        inputs.append(helper.make_tensor_value_info("attention_mask", TensorProto.INT64, ["batch", "sequence"]))
    shape = ["batch", "sequence", WIDTH]
    output = helper.make_tensor_value_info("last_hidden_state", TensorProto.FLOAT, shape)
    graph = helper.make_graph([helper.make_node("Identity", ["x"], ["last_hidden_state"])], "g", inputs, [output])
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(head, opset=20):
    session = open_graph(head.append(tokens_graph(opset=opset)).SerializeToString(), optimize=False)
    feeds = {"x": ROWS, "attention_mask": MASK}
    wanted = {one.name for one in session.get_inputs()}
    (output,) = session.run([head.output], {name: value for name, value in feeds.items() if name in wanted})
    assert [one.name for one in session.get_outputs()] == [head.output]
    return output


@pytest.mark.parametrize("opset", [13, 20])
@pytest.mark.parametrize("pooling", POOLINGS)
def test_poolings(pooling, opset):
    found = run(Head(output="sentence_embedding", pooling=(pooling,)), opset)
    expected = [EXPECTED[pooling](rows[:length]) for rows, length in zip(ROWS, LENGTHS, strict=True)]
    np.testing.assert_allclose(found, expected, atol=1e-6)


def test_every_pooling_is_tested():
    assert set(POOLINGS) == set(EXPECTED)


def test_several_poolings_stand_side_by_side():
    found = run(Head(output="sentence_embedding", pooling=("cls", "mean")))
    assert found.shape == (3, 2 * WIDTH)
    np.testing.assert_allclose(found[:, :WIDTH], ROWS[:, 0])


@pytest.mark.parametrize("activation", ["", "Tanh", "Relu", "Sigmoid"])
@pytest.mark.parametrize("bias", [True, False])
def test_layers_after_pooling(activation, bias):
    weight = RANDOM.normal(0, 1, (WIDTH, 4)).astype(np.float32)
    shift = RANDOM.normal(0, 1, 4).astype(np.float32) if bias else None
    found = run(Head(output="sentence_embedding", pooling=("cls",), dense=[Dense(weight, shift, activation)]))
    functions = {
        "": lambda x: x,
        "Tanh": np.tanh,
        "Relu": lambda x: x.clip(0),
        "Sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    }
    expected = functions[activation](ROWS[:, 0] @ weight + (0 if shift is None else shift))
    np.testing.assert_allclose(found, expected, atol=1e-5)


def test_a_projection_of_each_token():
    weight = RANDOM.normal(0, 1, (WIDTH, 3)).astype(np.float32)
    found = run(Head(output="token_embeddings", dense=[Dense(weight, None, "")]))
    np.testing.assert_allclose(found, ROWS @ weight, atol=1e-5)


@pytest.mark.parametrize("log_twice", [False, True])
@pytest.mark.parametrize("strategy", ["max", "sum"])
def test_splade(strategy, log_twice):
    found = run(Head(output="sparse_embedding", splade=strategy, log_twice=log_twice))
    weights = np.log1p(ROWS.clip(0))
    weights = (np.log1p(weights) if log_twice else weights) * MASK[..., None]
    np.testing.assert_allclose(found, getattr(weights, strategy)(axis=1), atol=1e-6)


def test_without_a_head_the_output_is_only_renamed():
    np.testing.assert_array_equal(run(Head(output="token_embeddings")), ROWS)


def test_pooling_needs_a_mask():
    with pytest.raises(SourceError, match="attention_mask"):
        Head(output="sentence_embedding", pooling=("mean",)).append(tokens_graph(mask=False))
