"""What a model is for, and the names that follow from it."""

from __future__ import annotations

from enum import Enum

__all__ = [
    "FILE_NAMES",
    "LEAST_COSINE",
    "MANIFEST_NAMES",
    "OPSET",
    "PRECISIONS",
    "USUAL_PRECISIONS",
    "Task",
    "output_name",
    "vision_file",
]

PRECISIONS = ("fp32", "fp16", "int8", "w8")
USUAL_PRECISIONS = ("fp32", "int8", "w8")
# The first with Gelu as one operator; exporters write none above it.
OPSET = 20
# Weight-only and row-wise formats of trained models stay above 0.995; what is below this has lost its meaning.
LEAST_COSINE = 0.99
MANIFEST_NAMES = {"fp32": "fp32", "fp16": "fp16", "int8": "int8-rowwise", "w8": "w8"}
FILE_NAMES = {
    "fp32": "onnx/model.onnx",
    "fp16": "onnx/model_fp16.onnx",
    "int8": "onnx/model_int8.onnx",
    "w8": "onnx/model_w8.onnx",
}


class Task(Enum):
    """What the server does with the model; the values are those of the manifest."""

    EMBED = "embed"
    SPARSE = "sparse"
    MULTI = "multi"
    CLASSIFY = "classify"
    RERANK = "rerank"

    @property
    def scores(self) -> bool:
        """Whether the graph gives scores of texts or pairs instead of vectors."""
        return self in (Task.CLASSIFY, Task.RERANK)


_OUTPUTS = {
    Task.EMBED: "sentence_embedding",
    Task.SPARSE: "sparse_embedding",
    Task.MULTI: "token_embeddings",
    Task.CLASSIFY: "logits",
    Task.RERANK: "logits",
}


def output_name(task: Task) -> str:
    """Name of the graph's one output."""
    return _OUTPUTS[task]


def vision_file(precision: str) -> str:
    """Where the image tower of a two-tower model lies, as FILE_NAMES says for the text tower."""
    return FILE_NAMES[precision].replace("model", "vision_model", 1)
