"""A small writer of ONNX graphs: nodes in order, constants stored once, names that never depend on chance."""

from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["CONTRIB", "GraphBuilder"]

CONTRIB = "com.microsoft"
# Opset 21 brings the 8-bit types of QuantizeLinear, opset 20 Gelu; ONNX Runtime 1.20 loads both.
_OPSET = 21
_IR_VERSION = 10


class GraphBuilder:
    """Collects nodes and constants, then gives a checked ModelProto."""

    def __init__(self) -> None:
        """Starts empty."""
        self._nodes: list[onnx.NodeProto] = []
        self._constants: dict[str, onnx.TensorProto] = {}
        self._stored: dict[tuple[str, tuple[int, ...], bytes], str] = {}

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Name of an initialiser that holds `value`; equal constants share one."""
        array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._stored:
            name = f"c{len(self._stored)}"
            self._stored[key] = name
            self._constants[name] = numpy_helper.from_array(array, name)
        return self._stored[key]

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Appends a node of one output and returns the name of that output."""
        return self.add_many(operator, 1, *inputs, domain=domain, **attributes)[0]

    def add_many(self, operator: str, outputs: int, *inputs: str, domain: str = "", **attributes: Any) -> list[str]:
        """Appends a node of several outputs and returns their names."""
        index = len(self._nodes)
        names = [f"n{index}_{position}" for position in range(outputs)]
        node = helper.make_node(operator, list(inputs), names, name=f"{operator}_{index}", domain=domain, **attributes)
        self._nodes.append(node)
        return names

    def contrib(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """As `add`, for an operator of ONNX Runtime's own domain."""
        return self.add(operator, *inputs, domain=CONTRIB, **attributes)

    def name_output(self, produced: str, name: str) -> None:
        """Gives the output of the last node its public name."""
        last = self._nodes[-1]
        if list(last.output) != [produced]:
            raise AssertionError("this is a bug: only the last node's output can be renamed")
        last.output[0] = name

    def model(self, inputs: dict[str, list[str | int]], outputs: dict[str, list[str | int]]) -> onnx.ModelProto:
        """The model; inputs are int64, outputs float32, each with its (possibly symbolic) shape."""
        graph = helper.make_graph(
            self._nodes,
            "encoder",
            [helper.make_tensor_value_info(name, TensorProto.INT64, shape) for name, shape in inputs.items()],
            [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()],
            list(self._constants.values()),
        )
        opsets = [helper.make_opsetid("", _OPSET), helper.make_opsetid(CONTRIB, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="nearfield", ir_version=_IR_VERSION)
        onnx.checker.check_model(model)
        return model
