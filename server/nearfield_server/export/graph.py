"""Lays out a BERT-like encoder as a lean ONNX graph.

Lean means written as it shall run: the graph is loaded with graph optimisation off. ONNX Runtime's transformer fusions
cost more than they save on a CPU (SkipLayerNormalization takes five times as long as Add and LayerNormalization,
MultiHeadAttention 1.1 to 1.4 times as long as its parts), so nothing is fused.

Rules of this file:
- Activations are [tokens, hidden] matrices, tokens = batch * sequence, except inside attention.
- Every row is computed from its own text alone, to the last bit: no operation takes a statistic over the batch, and
  padding enters each sum as an exact zero. Else a rounding to int8 could flip with the neighbours.
- Padding stands on the right; attention_mask is 1 for a token and 0 for padding.
- The output is the masked mean of the last layer, or its first row (CLS), [batch, hidden] and not normalised.

How numbers are stored and multiplied is left to an `Arithmetic`; `Float32` is the plain one.
"""

from dataclasses import dataclass
from typing import Generic, Literal, Protocol, TypeAlias, TypeVar

import numpy as np
import onnx

from nearfield_server.export.builder import GraphBuilder
from nearfield_server.export.weights import EncoderWeights, Floats, Layer, Linear, Norm

__all__ = ["OUTPUT_NAME", "Arithmetic", "DirectPooling", "Float32", "Place", "Site", "build_graph"]

OUTPUT_NAME = "sentence_embedding"

# Added to the scores of padding. exp() of it is exactly 0 in float32, so padding leaves no trace in any sum.
_MASKED_SCORE = -1e4

DirectPooling: TypeAlias = Literal["mean", "cls"]
Place: TypeAlias = Literal["qkv", "context", "ffn_in", "ffn_out"]


@dataclass(frozen=True)
class Site:
    """Which multiplication of which layer; rows at place ``ffn_out`` left a Gelu and are never below -0.17."""

    layer: int
    place: Place


OperandT = TypeVar("OperandT")


class Arithmetic(Protocol[OperandT]):
    """Stores tables and multiplies matrices in one number format."""

    def gather(self, graph: GraphBuilder, table: Floats, indices: str) -> str:
        """Float32 rows [tokens, hidden] of `table` at `indices` [tokens]."""
        ...

    def operand(self, graph: GraphBuilder, rows: str, site: Site) -> OperandT:
        """Makes float32 rows [tokens, inputs] ready for the multiplications at `site`."""
        ...

    def multiply(self, graph: GraphBuilder, operand: OperandT, weight: Floats) -> str:
        """Float32 [tokens, outputs] = operand times weight [inputs, outputs]."""
        ...


class Float32:
    """Everything in float32."""

    def gather(self, graph: GraphBuilder, table: Floats, indices: str) -> str:
        """See Arithmetic."""
        return graph.add("Gather", graph.constant(table, np.float32), indices, axis=0)

    def operand(self, graph: GraphBuilder, rows: str, site: Site) -> str:
        """See Arithmetic."""
        del graph, site
        return rows

    def multiply(self, graph: GraphBuilder, operand: str, weight: Floats) -> str:
        """See Arithmetic."""
        return graph.add("MatMul", operand, graph.constant(weight, np.float32))


def build_graph(
    weights: EncoderWeights, arithmetic: Arithmetic[OperandT], pooling: DirectPooling = "mean"
) -> onnx.ModelProto:
    """The encoder as a ModelProto.

    Inputs: input_ids and attention_mask, int64 [batch, sequence]; sequence may not exceed the position table.
    Output: sentence_embedding, float32 [batch, hidden], the masked mean or the first row, not normalised.
    """
    return _Encoder(weights, arithmetic).build(pooling)


@dataclass(frozen=True)
class _Shared:
    """Names of what every layer uses: shapes, and the score of padding laid out beside the keys."""

    flat: str  # [-1, hidden]
    cube: str  # [batch, sequence, hidden]
    heads: str  # [batch, sequence, heads, head width]
    wide_heads: str  # [batch, sequence, heads, head width + 1]
    padding: str  # [tokens, heads * (head width + 1)]: 0, but _MASKED_SCORE in the last column of each head


class _Encoder(Generic[OperandT]):
    def __init__(self, weights: EncoderWeights, arithmetic: Arithmetic[OperandT]) -> None:
        self._weights = weights
        self._heads = weights.config.heads
        self._width = weights.config.hidden // weights.config.heads
        self._arithmetic = arithmetic
        self._graph = GraphBuilder()

    def build(self, pooling: DirectPooling) -> onnx.ModelProto:
        graph, hidden = self._graph, self._weights.config.hidden
        mask = graph.add("Cast", "attention_mask", to=onnx.TensorProto.FLOAT)
        shared = self._shared(mask)
        rows = self._embed(shared)
        for index, layer in enumerate(self._weights.layers):
            rows = self._layer(index, layer, rows, shared)
        cube = graph.add("Reshape", rows, shared.cube)
        if pooling == "mean":
            self._pool(cube, mask)
        else:
            graph.name_output(graph.add("Gather", cube, graph.constant(0, np.int64), axis=1), OUTPUT_NAME)
        matrix: list[str | int] = ["batch", "sequence"]
        inputs = {"input_ids": matrix, "attention_mask": matrix}
        return graph.model(inputs, {OUTPUT_NAME: ["batch", hidden]})

    def _shared(self, mask: str) -> _Shared:
        graph, heads, width = self._graph, self._heads, self._width
        extent = graph.add("Shape", "input_ids")
        off = graph.add("Sub", mask, graph.constant(1, np.float32))  # 0 for a token, -1 for padding
        column = graph.add("Reshape", off, graph.constant([-1, 1], np.int64))
        last = np.zeros((heads, width + 1), np.float32)
        last[:, width] = -_MASKED_SCORE

        def shape(*tail: int) -> str:
            return graph.add("Concat", extent, graph.constant(tail, np.int64), axis=0)

        return _Shared(
            flat=graph.constant([-1, heads * width], np.int64),
            cube=shape(heads * width),
            heads=shape(heads, width),
            wide_heads=shape(heads, width + 1),
            padding=graph.add("Mul", column, graph.constant(last.ravel(), np.float32)),
        )

    def _embed(self, shared: _Shared) -> str:
        graph = self._graph
        every = graph.constant([-1], np.int64)
        words = self._arithmetic.gather(graph, self._weights.words, graph.add("Reshape", "input_ids", every))
        length = graph.add("Shape", "input_ids", start=1, end=2)
        zero = graph.constant([0], np.int64)
        positions = graph.add("Slice", graph.constant(self._weights.positions, np.float32), zero, length, zero)
        summed = graph.add("Add", graph.add("Reshape", words, shared.cube), positions)
        return self._norm(graph.add("Reshape", summed, shared.flat), self._weights.embedding_norm)

    def _norm(self, rows: str, norm: Norm) -> str:
        graph = self._graph
        scale, shift = graph.constant(norm.scale, np.float32), graph.constant(norm.shift, np.float32)
        epsilon = self._weights.config.epsilon
        return graph.add("LayerNormalization", rows, scale, shift, axis=-1, epsilon=epsilon)

    def _layer(self, index: int, layer: Layer, rows: str, shared: _Shared) -> str:
        graph = self._graph

        def operand(source: str, place: Place) -> OperandT:
            return self._arithmetic.operand(graph, source, Site(index, place))

        context = self._attention(layer, operand(rows, "qkv"), shared)
        attended = self._linear(operand(context, "context"), _with_value_bias(layer))
        rows = self._norm(graph.add("Add", attended, rows), layer.attention_norm)
        inner = graph.add("Gelu", self._linear(operand(rows, "ffn_in"), layer.ffn_in))
        outer = self._linear(operand(inner, "ffn_out"), layer.ffn_out)
        return self._norm(graph.add("Add", outer, rows), layer.ffn_norm)

    def _linear(self, operand: OperandT, linear: Linear) -> str:
        product = self._arithmetic.multiply(self._graph, operand, linear.weight)
        return self._graph.add("Add", product, self._graph.constant(linear.bias, np.float32))

    def _attention(self, layer: Layer, operand: OperandT, shared: _Shared) -> str:
        """Self-attention [tokens, hidden], short of the bias of the values (see `_with_value_bias`).

        The mask rides in one more column of queries (always 1) and keys (0 or _MASKED_SCORE), so the matrix product
        adds it: a separate addition would walk all [batch, heads, sequence, sequence] scores once more.
        The bias of the keys adds the same to all scores of a query, which softmax ignores: it is left out.
        """
        graph, arithmetic = self._graph, self._arithmetic
        query = self._linear(operand, self._widened(layer.query, 1 / np.sqrt(self._width)))
        key = arithmetic.multiply(graph, operand, self._widened(layer.key, 1).weight)
        key = graph.add("Add", key, shared.padding)
        value = arithmetic.multiply(graph, operand, layer.value.weight)
        scores = graph.add(
            "MatMul",
            self._split(query, shared.wide_heads, [0, 2, 1, 3]),
            self._split(key, shared.wide_heads, [0, 2, 3, 1]),
        )
        shares = graph.add("Softmax", scores, axis=-1)
        mixed = graph.add("MatMul", shares, self._split(value, shared.heads, [0, 2, 1, 3]))
        return graph.add("Reshape", graph.add("Transpose", mixed, perm=[0, 2, 1, 3]), shared.flat)

    def _split(self, rows: str, shape: str, order: list[int]) -> str:
        return self._graph.add("Transpose", self._graph.add("Reshape", rows, shape), perm=order)

    def _widened(self, linear: Linear, factor: float) -> Linear:
        """`linear` times `factor`, with one more output per head that is the constant 1."""
        inputs = linear.weight.shape[0]
        weight = np.zeros((inputs, self._heads, self._width + 1), np.float32)
        weight[:, :, :-1] = linear.weight.reshape(inputs, self._heads, self._width) * factor
        bias = np.ones((self._heads, self._width + 1), np.float32)
        bias[:, :-1] = linear.bias.reshape(self._heads, self._width) * factor
        return Linear(weight.reshape(inputs, -1), bias.ravel())

    def _pool(self, cube: str, mask: str) -> None:
        """Masked mean over the sequence: [batch, sequence, hidden] → [batch, hidden]."""
        graph = self._graph
        middle = graph.constant([1], np.int64)
        total = graph.add("Squeeze", graph.add("MatMul", graph.add("Unsqueeze", mask, middle), cube), middle)
        count = graph.add("ReduceSum", mask, middle, keepdims=1)
        # A row without tokens gives zeros, as in sentence-transformers, instead of NaN.
        count = graph.add("Max", count, graph.constant(1e-9, np.float32))
        graph.name_output(graph.add("Div", total, count), OUTPUT_NAME)


def _with_value_bias(layer: Layer) -> Linear:
    """The output layer of attention with the values' bias folded in: shares sum to 1, so a bias passes through."""
    weight = layer.attention_out.weight
    carried = layer.value.bias.astype(np.float64) @ weight.astype(np.float64)
    return Linear(weight, (layer.attention_out.bias + carried).astype(np.float32))
