"""What stands behind the transformer: pooling, Dense layers, ColBERT projection, SPLADE pooling; appended to the graph.

All rows are computed from their own text alone. Formulas are those of sentence-transformers (Pooling, Dense,
SpladePooling), for padding on the right. L2 normalisation is left to the server: it costs it next to nothing, and a
caller may want the vector as it is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import onnx

from nearfield_server.export.editor import GraphEditor
from nearfield_server.export.errors import SourceError

__all__ = ["DENSE_ACTIVATIONS", "POOLINGS", "Dense", "Head"]

_MASK = "attention_mask"
DENSE_ACTIVATIONS = {"Identity": "", "Tanh": "Tanh", "ReLU": "Relu", "Sigmoid": "Sigmoid"}


@dataclass(frozen=True)
class Dense:
    """``activation(rows @ weight + bias)`` with weight [inputs, outputs]; the activation is an ONNX operator or ""."""

    weight: npt.NDArray[np.float32]
    bias: npt.NDArray[np.float32] | None
    activation: str


@dataclass(frozen=True, kw_only=True)
class Head:
    """What to append to a graph whose first output is [batch, sequence, width].

    Args:
        output: name of the result.
        pooling: keys of `POOLINGS`, concatenated; none for a result per token.
        splade: "max" or "sum" over the tokens of log(1 + relu(logits)); "" for no SPLADE.
        log_twice: whether SPLADE takes the logarithm twice.
        dense: layers after pooling, or on each token.
    """

    output: str
    pooling: tuple[str, ...] = ()
    splade: str = ""
    log_twice: bool = False
    dense: Sequence[Dense] = ()

    def append(self, model: onnx.ModelProto) -> onnx.ModelProto:
        """Changes and returns `model`. Raises SourceError when the graph has no attention_mask or no tokens."""
        editor = GraphEditor(model)
        tokens = editor.output_names[0]
        if (self.pooling or self.splade) and _MASK not in editor.input_names:
            raise SourceError("the graph has no input attention_mask, which pooling needs")
        rows = tokens
        if self.splade:
            rows = _splade(editor, tokens, self)
        elif self.pooling:
            parts = [POOLINGS[name](editor, tokens) for name in self.pooling]
            rows = parts[0] if len(parts) == 1 else editor.add("Concat", *parts, axis=1)
        for dense in self.dense:
            rows = _dense(editor, rows, dense)
        if rows != tokens:
            editor.name_last(self.output)
        elif rows != self.output:
            editor.rename(rows, self.output)
        editor.append_added()
        shape = _last_shape(editor, self)
        editor.set_outputs({self.output: shape})
        return editor.finish()


def _last_shape(editor: GraphEditor, head: Head) -> list[str | int]:
    axes = [one.dim_value or one.dim_param for one in editor.graph.output[0].type.tensor_type.shape.dim]
    width: str | int = (axes[-1] if axes else "") or "width"
    if head.dense:
        width = int(head.dense[-1].weight.shape[1])
    elif isinstance(width, int):
        width *= max(len(head.pooling), 1)
    pooled = head.pooling or head.splade
    return ["batch", width] if pooled else ["batch", "sequence", width]


def _mask(editor: GraphEditor) -> str:
    return editor.add("Cast", _MASK, to=onnx.TensorProto.FLOAT)


def _sum(editor: GraphEditor, tokens: str, mask: str) -> str:
    """Masked sum over the sequence as one matrix product: [batch, 1, sequence] @ tokens → [batch, width]."""
    middle = editor.constant([1], np.int64)
    return editor.add("Squeeze", editor.add("MatMul", editor.add("Unsqueeze", mask, middle), tokens), middle)


def _count(editor: GraphEditor, mask: str) -> str:
    """Tokens of each text [batch, 1]; not zero, so that a text without any gives zeros."""
    count = editor.add("ReduceSum", mask, editor.constant([1], np.int64), keepdims=1)
    return editor.add("Max", count, editor.constant(1e-9, np.float32))


def _mean(editor: GraphEditor, tokens: str) -> str:
    mask = _mask(editor)
    return editor.add("Div", _sum(editor, tokens, mask), _count(editor, mask))


def _mean_sqrt(editor: GraphEditor, tokens: str) -> str:
    mask = _mask(editor)
    return editor.add("Div", _sum(editor, tokens, mask), editor.add("Sqrt", _count(editor, mask)))


def _weighted_mean(editor: GraphEditor, tokens: str) -> str:
    """Later tokens weigh more: weight i + 1 for token i (SGPT, Muennighoff, 2022)."""
    mask = _mask(editor)
    weights = editor.add("CumSum", mask, editor.constant(1, np.int64))
    weights = editor.add("Mul", weights, mask)
    return editor.add("Div", _sum(editor, tokens, weights), _count(editor, weights))


def _cls(editor: GraphEditor, tokens: str) -> str:
    return editor.add("Gather", tokens, editor.constant(0, np.int64), axis=1)


def _max(editor: GraphEditor, tokens: str) -> str:
    masked = editor.add(
        "Unsqueeze", editor.add("Cast", _MASK, to=onnx.TensorProto.BOOL), editor.constant([2], np.int64)
    )
    return editor.reduce_max(editor.add("Where", masked, tokens, editor.constant(-1e9, np.float32)), 1)


def _last_token(editor: GraphEditor, tokens: str) -> str:
    count = editor.add("ReduceSum", _MASK, editor.constant([1], np.int64), keepdims=1)
    index = editor.add("Max", editor.add("Sub", count, editor.constant(1, np.int64)), editor.constant(0, np.int64))
    return editor.add("GatherND", tokens, index, batch_dims=1)


POOLINGS: dict[str, Callable[[GraphEditor, str], str]] = {
    "cls": _cls,
    "max": _max,
    "mean": _mean,
    "mean_sqrt_len_tokens": _mean_sqrt,
    "weightedmean": _weighted_mean,
    "lasttoken": _last_token,
}


def _splade(editor: GraphEditor, logits: str, head: Head) -> str:
    """[batch, sequence, vocabulary] → [batch, vocabulary]; for the maximum the logarithm is taken last, of less."""
    mask = editor.add("Unsqueeze", _mask(editor), editor.constant([2], np.int64))
    rounds = 2 if head.log_twice else 1
    if head.splade == "max":
        # The logarithm rises with the logit, and padding counts as a logit of 0, which gives 0.
        return _log_relu(editor, editor.reduce_max(editor.add("Mul", logits, mask), 1), rounds)
    weights = editor.add("Mul", _log_relu(editor, logits, rounds), mask)
    return editor.add("ReduceSum", weights, editor.constant([1], np.int64), keepdims=0)


def _log_relu(editor: GraphEditor, rows: str, rounds: int) -> str:
    rows = editor.add("Relu", rows)
    for _ in range(rounds):
        rows = editor.add("Log", editor.add("Add", rows, editor.constant(1, np.float32)))
    return rows


def _dense(editor: GraphEditor, rows: str, dense: Dense) -> str:
    rows = editor.add("MatMul", rows, editor.constant(dense.weight, np.float32))
    if dense.bias is not None:
        rows = editor.add("Add", rows, editor.constant(dense.bias, np.float32))
    return editor.add(dense.activation, rows) if dense.activation else rows
