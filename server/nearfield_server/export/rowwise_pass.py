"""Row-wise int8 for any graph: every multiplication by a constant matrix, whatever the architecture around it.

The same arithmetic as in `rowwise`, applied to a finished graph instead of while one is laid out: one activation scale
per row (token), one weight scale per output channel, the integer sums exact. So a row depends on itself alone.

- A MatMul or Gemm by a constant [inputs, outputs] becomes MatMulIntegerToFloat; the activation is quantised once per
  tensor, however many matrices it meets.
- A Gather from a large constant table becomes a Gather of int8 rows and of their scales.
- Multiplications of two computed tensors (attention itself) stay float32.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
import numpy.typing as npt
import onnx

from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.rowwise import quantize_columns, quantize_rows

__all__ = ["Multiplication", "multiplications", "quantize_rowwise", "quantize_tables"]

Floats = npt.NDArray[np.float32]

_ZERO = 128
# As in `rowwise`: Gelu never falls below this; 16 of 255 steps serve its negative tail.
_GELU_MINIMUM = -0.17005
_GELU_ZERO = 16
_GELUS = frozenset({"Gelu", "FastGelu"})
# Smaller matrices (a classifier's last layer) gain nothing and would lose accuracy.
_LEAST_OUTPUTS = 16
_LEAST_TABLE = 1 << 14
_MATRIX_RANK = 2

NO_SMOOTHING: Mapping[str, Floats] = MappingProxyType({})


@dataclass(frozen=True)
class Multiplication:
    """A node that multiplies the tensor `rows` [..., inputs] by a constant; `from_op` made the rows."""

    node: onnx.NodeProto
    rows: str
    weight: str
    transposed: bool
    from_op: str

    def matrix(self, editor: GraphEditor) -> Floats:
        """The weight [inputs, outputs], float32."""
        value = editor.constant_value(self.weight)
        if value is None:
            raise AssertionError("this is a bug: only constants are listed")
        return np.ascontiguousarray(value.T if self.transposed else value, np.float32)


def multiplications(editor: GraphEditor) -> list[Multiplication]:
    """Every multiplication that can be quantised, in order of computation."""
    producers = editor.producer_ops()
    found = []
    for node in editor.nodes():
        transposed = _transposes_weight(node)
        shape = editor.constant_shape(node.input[1]) if transposed is not None else None
        if transposed is None or shape is None or len(shape) != _MATRIX_RANK or node.input[0] not in producers:
            continue
        if shape[0 if transposed else 1] >= _LEAST_OUTPUTS:
            maker = producers[node.input[0]]
            found.append(Multiplication(node, node.input[0], node.input[1], transposed, maker))
    return found


def quantize_rowwise(
    model: onnx.ModelProto, smoothing: Mapping[str, Floats] = NO_SMOOTHING, *, in_place: bool = False
) -> onnx.ModelProto:
    """A row-wise int8 copy of a float32 `model`, or the model itself changed `in_place`.

    `smoothing` holds divisors [inputs] by the name of the rows.
    """
    if not in_place:
        copy = onnx.ModelProto()
        copy.CopyFrom(model)
        model = copy
    editor = GraphEditor(model)
    writer = _Writer(editor, smoothing)
    todo = {one.node.output[0]: one for one in multiplications(editor)}
    nodes: list[onnx.NodeProto] = []
    for node in editor.nodes():
        one = todo.get(node.output[0])
        if one is None:
            nodes.append(node)
        else:
            writer.replace(one)
            nodes.extend(editor.take_added())
    editor.set_nodes(nodes)
    return quantize_tables(editor.finish())


def quantize_tables(model: onnx.ModelProto) -> onnx.ModelProto:
    """Stores large embedding tables as int8 rows with one float32 scale each; changes and returns `model`."""
    editor = GraphEditor(model)
    nodes: list[onnx.NodeProto] = []
    for node in editor.nodes():
        shape = editor.constant_shape(node.input[0]) if node.op_type == "Gather" else None
        if shape is None or len(shape) != _MATRIX_RANK or shape[0] * shape[1] < _LEAST_TABLE or _axis(node) != 0:
            nodes.append(node)
            continue
        table = editor.constant_value(node.input[0])
        values, scales = quantize_rows(np.asarray(table, np.float32))
        rows = editor.add("Gather", editor.constant(values, np.int8), node.input[1], axis=0)
        scale = editor.add("Gather", editor.constant(scales[:, None], np.float32), node.input[1], axis=0)
        editor.add("Mul", editor.add("Cast", rows, to=onnx.TensorProto.FLOAT), scale)
        editor.name_last(node.output[0])
        nodes.extend(editor.take_added())
    editor.set_nodes(nodes)
    return editor.finish()


class _Writer:
    """Writes the nodes; rows that meet several matrices are quantised once."""

    def __init__(self, editor: GraphEditor, smoothing: Mapping[str, Floats]) -> None:
        self._editor = editor
        self._smoothing = smoothing
        self._operands: dict[str, tuple[str, str, int]] = {}
        self._shapes: dict[tuple[str, int], str] = {}

    def replace(self, one: Multiplication) -> None:
        """Makes nodes whose last gives the output of `one`."""
        editor = self._editor
        weight = one.matrix(editor)
        rows, scales, zero = self._operand(one, weight.shape[0])
        if (factors := self._smoothing.get(one.rows)) is not None:
            weight = weight * factors[:, None]
        values, columns = quantize_columns(weight)
        product = editor.contrib(
            "MatMulIntegerToFloat",
            rows,
            editor.constant(values, np.int8),
            editor.constant(1, np.float32),
            editor.constant(columns, np.float32),
            editor.constant(zero, np.uint8),
        )
        product = editor.add("Mul", product, scales)
        if one.node.op_type == "Gemm":
            if len(one.node.input) > 2:  # noqa: PLR2004 - the third is the bias
                editor.add("Add", product, one.node.input[2])
        else:
            editor.add("Reshape", product, self._shape(one.rows, weight.shape[1]))
        editor.name_last(one.node.output[0])

    def _operand(self, one: Multiplication, width: int) -> tuple[str, str, int]:
        if one.rows not in self._operands:
            editor = self._editor
            rows = one.rows
            if one.node.op_type != "Gemm":
                rows = editor.add("Reshape", rows, editor.constant([-1, width], np.int64))
            if (factors := self._smoothing.get(one.rows)) is not None:
                rows = editor.add("Mul", rows, editor.constant(1 / factors, np.float32))
            self._operands[one.rows] = self._quantize(rows, one)
        return self._operands[one.rows]

    def _quantize(self, rows: str, one: Multiplication) -> tuple[str, str, int]:
        editor = self._editor
        if one.from_op in _GELUS:
            zero, peak, least = _GELU_ZERO, editor.row_peak(rows), -_GELU_MINIMUM / _GELU_ZERO
        else:
            zero, peak, least = _ZERO, editor.row_peak(editor.add("Abs", rows)), 1e-12
        scales = editor.add("Mul", peak, editor.constant(1 / (255 - zero), np.float32))
        # A row of zeros has no scale of its own, and a Gelu's negative tail must fit below its zero point.
        scales = editor.add("Max", scales, editor.constant(least, np.float32))
        flat = editor.add("Squeeze", scales, editor.constant([1], np.int64))
        zeros = editor.add("Expand", editor.constant([zero], np.uint8), editor.add("Shape", flat))
        return editor.add("QuantizeLinear", rows, flat, zeros, axis=0), scales, zero

    def _shape(self, rows: str, outputs: int) -> str:
        """Shape of the product: that of `rows` with another last axis."""
        key = (rows, outputs)
        if key not in self._shapes:
            editor = self._editor
            leading = editor.add(
                "Slice", editor.add("Shape", rows), editor.constant([0], np.int64), editor.constant([-1], np.int64)
            )
            self._shapes[key] = editor.add("Concat", leading, editor.constant([outputs], np.int64), axis=0)
        return self._shapes[key]


def _transposes_weight(node: onnx.NodeProto) -> bool | None:
    """Whether the node multiplies by the transpose of its second input; None when it isn't a plain product."""
    if node.op_type == "MatMul":
        return False
    if node.op_type != "Gemm":
        return None
    given = {one.name: one.f if one.name in ("alpha", "beta") else one.i for one in node.attribute}
    if given.get("alpha", 1.0) != 1.0 or given.get("beta", 1.0) != 1.0 or given.get("transA", 0):
        return None
    return bool(given.get("transB", 0))


def _axis(node: onnx.NodeProto) -> int:
    return next((int(one.i) for one in node.attribute if one.name == "axis"), 0)
