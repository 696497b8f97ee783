"""Changes an ONNX graph in place: reads its constants, adds nodes, redirects names, keeps the nodes in order."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from nearfield_server.export.builder import CONTRIB

__all__ = ["GraphEditor"]

Array = npt.NDArray[Any]

_LEAST_OPSET = 13
_REDUCE_AXES_ARE_INPUTS_SINCE = 18


class GraphEditor:
    """One model under change. Names it makes start with ``nf_`` and are counted, so that they never hang on chance."""

    def __init__(self, model: onnx.ModelProto) -> None:
        """Takes over `model`; Constant nodes become initialisers, and an opset below 13 is raised to it."""
        if _opset(model) < _LEAST_OPSET:
            model = onnx.version_converter.convert_version(model, _LEAST_OPSET)
        self.model = model
        self.graph = model.graph
        self._tensors = {tensor.name: tensor for tensor in self.graph.initializer}
        self._shared: dict[tuple[str, tuple[int, ...], bytes], str] = {}
        # Counting goes on where an earlier editor of the same model stopped.
        self._count = _highest(node.name for node in self.graph.node)
        self._constants_made = _highest(self._tensors)
        self._added: list[onnx.NodeProto] = []
        self._hoist_constants()

    @property
    def input_names(self) -> list[str]:
        """What a caller feeds."""
        return [one.name for one in self.graph.input if one.name not in self._tensors]

    @property
    def output_names(self) -> list[str]:
        """What a caller can ask for."""
        return [one.name for one in self.graph.output]

    def nodes(self) -> Iterator[onnx.NodeProto]:
        """All nodes as they stand now; safe against changes while reading."""
        return iter(list(self.graph.node))

    def constant_value(self, name: str) -> Array | None:
        """The array of a constant, None for a name that is computed."""
        tensor = self._tensors.get(name)
        return None if tensor is None else numpy_helper.to_array(tensor)

    def constant_shape(self, name: str) -> tuple[int, ...] | None:
        """Shape of a float32 constant, without reading it; None for anything else."""
        tensor = self._tensors.get(name)
        return tuple(tensor.dims) if tensor is not None and tensor.data_type == TensorProto.FLOAT else None

    def producer_ops(self) -> dict[str, str]:
        """Operator that makes each tensor."""
        return {output: node.op_type for node in self.graph.node for output in node.output}

    def constant(self, value: npt.ArrayLike, dtype: npt.DTypeLike) -> str:
        """Name of an initialiser that holds `value`; equal constants made here share one."""
        array = np.ascontiguousarray(value, dtype=dtype).reshape(np.shape(value))
        key = (array.dtype.str, array.shape, array.tobytes())
        if key not in self._shared:
            self._constants_made += 1
            self._shared[key] = self._store(f"nf_constant_{self._constants_made}", array)
        return self._shared[key]

    def add(self, operator: str, *inputs: str, domain: str = "", **attributes: Any) -> str:
        """Makes a node of one output; it stands where `place` puts it. Returns the output's name."""
        self._count += 1
        name = f"nf_{operator}_{self._count}"
        node = helper.make_node(operator, list(inputs), [name], name=name, domain=domain, **attributes)
        self._added.append(node)
        return name

    def contrib(self, operator: str, *inputs: str, **attributes: Any) -> str:
        """As `add`, for an operator of ONNX Runtime's own domain."""
        return self.add(operator, *inputs, domain=CONTRIB, **attributes)

    def row_peak(self, rows: str) -> str:
        """Largest value of each row: [rows, width] → [rows, 1]."""
        if _opset(self.model) >= _REDUCE_AXES_ARE_INPUTS_SINCE:
            return self.add("ReduceMax", rows, self.constant([1], np.int64), keepdims=1)
        return self.add("ReduceMax", rows, axes=[1], keepdims=1)

    def reduce_max(self, tensor: str, axis: int) -> str:
        """Largest value along `axis`, which goes away."""
        if _opset(self.model) >= _REDUCE_AXES_ARE_INPUTS_SINCE:
            return self.add("ReduceMax", tensor, self.constant([axis], np.int64), keepdims=0)
        return self.add("ReduceMax", tensor, axes=[axis], keepdims=0)

    def name_last(self, output: str) -> None:
        """Gives the output of the node made last the name `output`."""
        self._added[-1].output[0] = output

    def take_added(self) -> list[onnx.NodeProto]:
        """The nodes made since the last call, which the caller puts where they belong."""
        added, self._added = self._added, []
        return added

    def set_nodes(self, nodes: list[onnx.NodeProto]) -> None:
        """Puts `nodes`, in order of computation, in place of all."""
        del self.graph.node[:]
        self.graph.node.extend(nodes)

    def append_added(self) -> None:
        """Puts the nodes made since the last call at the end."""
        self.graph.node.extend(self.take_added())

    def set_outputs(self, outputs: dict[str, list[str | int]]) -> None:
        """Makes these tensors, float32, the only outputs, each with its (possibly symbolic) shape."""
        infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name, shape in outputs.items()]
        del self.graph.output[:]
        self.graph.output.extend(infos)

    def rename(self, old: str, new: str) -> None:
        """Gives a computed tensor another name wherever it stands."""
        for node in self.graph.node:
            for names in (node.input, node.output):
                for index, name in enumerate(names):
                    if name == old:
                        names[index] = new

    def finish(self) -> onnx.ModelProto:
        """The model without the nodes and constants that nothing needs, with the domains that it uses."""
        self._drop_unused()
        domains = {node.domain for node in self.graph.node}
        known = {one.domain for one in self.model.opset_import}
        if CONTRIB in domains - known:
            self.model.opset_import.append(helper.make_opsetid(CONTRIB, 1))
        del self.graph.value_info[:]
        return self.model

    def _store(self, name: str, array: Array) -> str:
        tensor = numpy_helper.from_array(array, name)
        self._tensors[name] = tensor
        return name

    def _hoist_constants(self) -> None:
        kept = []
        for node in self.graph.node:
            if node.op_type == "Constant" and node.attribute[0].name == "value":
                self._store(node.output[0], numpy_helper.to_array(node.attribute[0].t))
            else:
                kept.append(node)
        self.set_nodes(kept)

    def _drop_unused(self) -> None:
        wanted = set(self.output_names)
        kept = []
        for node in reversed(self.graph.node):
            if any(name in wanted for name in node.output):
                kept.append(node)
                wanted.update(_reads(node))
        self.set_nodes(kept[::-1])
        used = [tensor for name, tensor in self._tensors.items() if name in wanted]
        del self.graph.initializer[:]
        self.graph.initializer.extend(used)
        inputs = [one for one in self.graph.input if one.name in wanted and one.name not in self._tensors]
        del self.graph.input[:]
        self.graph.input.extend(inputs)


def _reads(node: onnx.NodeProto) -> set[str]:
    """Names that a node reads, those inside its branches and loops included."""
    names = {name for name in node.input if name}
    for attribute in node.attribute:
        for inner in attribute.g.node:
            names |= _reads(inner)
        names.update(one.name for one in attribute.g.output)
    return names


def _highest(names: Iterable[str]) -> int:
    ours = (name.rpartition("_")[2] for name in names if name.startswith("nf_"))
    return max((int(number) for number in ours if number.isdecimal()), default=0)


def _opset(model: onnx.ModelProto) -> int:
    return next(int(one.version) for one in model.opset_import if one.domain in ("", "ai.onnx"))
