"""The row-wise pass on small graphs of every shape that it knows, against float32."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper

from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.rowwise_pass import multiplications, quantize_rowwise
from nearfield_server.export.runtime import open_graph

WIDTH, OUT = 24, 32
RANDOM = np.random.default_rng(0)
WEIGHT = RANDOM.normal(0, 1, (WIDTH, OUT)).astype(np.float32)
BIAS = RANDOM.normal(0, 1, OUT).astype(np.float32)


def model(nodes, constants, *, rank=3, opset=20, outputs=("y",)):
    """A graph from x, float32 of `rank` axes, through Identity (so that a node makes the rows) to the outputs."""
    shape = [f"axis{axis}" for axis in range(rank - 1)] + [WIDTH]
    made = helper.make_graph(
        [helper.make_node("Mul", ["x", "one"], ["rows"]), *nodes],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, shape)],
        [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs],
        [numpy_helper.from_array(value, name) for name, value in ({"one": np.ones(1, np.float32)} | constants).items()],
    )
    return helper.make_model(made, opset_imports=[helper.make_opsetid("", opset)], ir_version=10)


def run(graph, rows):
    return open_graph(graph.SerializeToString(), optimize=False).run(None, {"x": rows})


def matmul(opset=20, rank=3):
    return model([helper.make_node("MatMul", ["rows", "w"], ["y"])], {"w": WEIGHT}, opset=opset, rank=rank)


def gemm(**attributes):
    weight = np.ascontiguousarray(WEIGHT.T) if attributes.get("transB") else WEIGHT
    names = ["rows", "w", "b"] if attributes.pop("bias", True) else ["rows", "w"]
    constants = {"w": weight} | ({"b": BIAS} if "b" in names else {})
    return model([helper.make_node("Gemm", names, ["y"], **attributes)], constants, rank=2)


@pytest.mark.parametrize("opset", [13, 17, 18, 20])
@pytest.mark.parametrize("rank", [2, 3, 4])
def test_a_product_of_any_rank_is_close(opset, rank):
    rows = RANDOM.normal(0, 1, (*(2, 3, 5)[: rank - 1], WIDTH)).astype(np.float32)
    plain = matmul(opset, rank)
    (expected,), (found,) = run(plain, rows), run(quantize_rowwise(plain), rows)
    assert found.shape == expected.shape
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("attributes", [{}, {"transB": 1}, {"bias": False}])
def test_a_gemm_is_close(attributes):
    rows = RANDOM.normal(0, 1, (7, WIDTH)).astype(np.float32)
    plain = gemm(**attributes)
    quantized = quantize_rowwise(plain)
    assert "Gemm" not in {node.op_type for node in quantized.graph.node}
    (expected,), (found,) = run(plain, rows), run(quantized, rows)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@pytest.mark.parametrize("attributes", [{"alpha": 2.0}, {"beta": 0.5}, {"transA": 1}])
def test_a_gemm_that_does_more_is_left_alone(attributes):
    nodes = [helper.make_node("Gemm", ["rows", "w", "b"], ["y"], **attributes)]
    plain = model(nodes, {"w": WEIGHT, "b": BIAS}, rank=2)
    assert multiplications(GraphEditor(plain)) == []


def test_small_matrices_stay_float32():
    plain = model([helper.make_node("MatMul", ["rows", "w"], ["y"])], {"w": WEIGHT[:, :3].copy()})
    assert [node.op_type for node in quantize_rowwise(plain).graph.node] == ["Mul", "MatMul"]


def test_rows_that_meet_several_matrices_are_quantised_once():
    nodes = [helper.make_node("MatMul", ["rows", name], [output]) for name, output in (("w", "y"), ("v", "z"))]
    plain = model(nodes, {"w": WEIGHT, "v": -WEIGHT}, outputs=("y", "z"))
    kinds = [node.op_type for node in quantize_rowwise(plain).graph.node]
    assert kinds.count("QuantizeLinear") == 1
    assert kinds.count("MatMulIntegerToFloat") == 2


def test_a_gelu_has_its_own_zero_point():
    nodes = [helper.make_node("Gelu", ["rows"], ["g"]), helper.make_node("MatMul", ["g", "w"], ["y"])]
    plain = model(nodes, {"w": WEIGHT})
    quantized = quantize_rowwise(plain)
    zeros = {
        int(v)
        for t in quantized.graph.initializer
        if t.data_type == TensorProto.UINT8
        for v in numpy_helper.to_array(t).ravel()
    }
    assert zeros == {16}
    rows = RANDOM.normal(0, 2, (2, 9, WIDTH)).astype(np.float32)
    (expected,), (found,) = run(plain, rows), run(quantized, rows)
    assert np.abs(found - expected).max() < 0.02 * np.abs(expected).max()


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 2**32 - 1), count=st.integers(1, 9), wild=st.sampled_from([1e-20, 1.0, 1e20]))
def test_a_row_depends_on_itself_alone(seed, count, wild):
    random = np.random.default_rng(seed)
    rows = random.normal(0, 1, (count, WIDTH)).astype(np.float32)
    rows[1:] *= wild
    session = open_graph(quantize_rowwise(matmul(rank=2)).SerializeToString(), optimize=False)
    (together,), (alone,) = session.run(None, {"x": rows}), session.run(None, {"x": rows[:1]})
    np.testing.assert_array_equal(together[0], alone[0])


def test_rows_of_zeros_give_zeros():
    (found,) = run(quantize_rowwise(matmul(rank=2)), np.zeros((3, WIDTH), np.float32))
    assert not found.any()


def test_smoothing_divides_rows_and_multiplies_weights():
    factors = np.exp2(RANDOM.integers(-3, 4, WIDTH)).astype(np.float32)
    rows = RANDOM.normal(0, 1, (1, 6, WIDTH)).astype(np.float32) * factors
    plain = matmul()
    errors = []
    for smoothing in ({}, {"rows": np.sqrt(factors)}):
        (expected,), (found,) = run(plain, rows), run(quantize_rowwise(plain, smoothing), rows)
        errors.append(np.abs(found - expected).mean())
    assert errors[1] < errors[0]


def test_large_tables_become_int8_rows():
    table = RANDOM.normal(0, 1, (1000, WIDTH)).astype(np.float32)
    graph = helper.make_graph(
        [helper.make_node("Gather", ["table", "ids"], ["y"], axis=0)],
        "g",
        [helper.make_tensor_value_info("ids", TensorProto.INT64, ["batch", "sequence"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", "sequence", WIDTH])],
        [numpy_helper.from_array(table, "table")],
    )
    plain = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    quantized = quantize_rowwise(plain)
    assert quantized.ByteSize() < plain.ByteSize() / 3
    ids = np.array([[0, 5, 999], [7, 7, 1]])
    (found,) = open_graph(quantized.SerializeToString(), optimize=False).run(None, {"ids": ids})
    assert np.abs(found - table[ids]).max() < np.abs(table).max() / 127


def test_an_old_opset_is_raised():
    assert GraphEditor(matmul(opset=11)).model.opset_import[0].version == 13


def test_what_nothing_reads_is_dropped():
    nodes = [helper.make_node("MatMul", ["rows", "w"], ["y"]), helper.make_node("MatMul", ["rows", "v"], ["unread"])]
    finished = GraphEditor(model(nodes, {"w": WEIGHT, "v": WEIGHT})).finish()
    assert {one.name for one in finished.graph.initializer} == {"one", "w"}
    assert len(finished.graph.node) == 2
