"""Weights to a float32 graph and to the reference's own results, with torch, transformers, optimum and friends.

The only file of the server that imports them, and only inside functions: an ONNX folder is exported without them.
Remote code is never run, pickled weights never read.
"""

from __future__ import annotations

import importlib.util
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.export.errors import ExportError, SourceError
from nearfield_server.export.heads import Dense
from nearfield_server.export.precisions import quiet
from nearfield_server.export.samples import Text
from nearfield_server.export.source import Source
from nearfield_server.export.tasks import Task

__all__ = ["image_reference", "reference", "require", "write_graph", "write_tokenizer"]

Floats = npt.NDArray[np.float32]

_NEEDED = ("torch", "transformers", "optimum", "sentence_transformers")
_OPTIMUM_TASKS = {
    Task.EMBED: "feature-extraction",
    Task.MULTI: "feature-extraction",
    Task.SPARSE: "fill-mask",
    Task.CLASSIFY: "text-classification",
    Task.RERANK: "text-classification",
}
# Eager attention becomes plain MatMul, Softmax, MatMul; scaled_dot_product_attention drags twice as many nodes along.
_ATTENTION = "eager"
# The fusion rules for a GPU know DistilBERT's mask only so.
_ATTENTION_OF = {"distilbert": "sdpa"}


def require() -> None:
    """Raises ExportError unless the packages of the extra `export` are installed."""
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise ExportError(f'{", ".join(missing)} not installed: pip install "nearfield[export]"')
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")


@quiet()
def write_graph(source: Source, folder: Path, opset: int) -> Path:
    """Exports the transformer with optimum into `folder`; returns the file. Raises ExportError."""
    from optimum.exporters.onnx import onnx_export_from_model  # noqa: PLC0415

    task = "zero-shot-image-classification" if source.two_towers else _OPTIMUM_TASKS[source.task]
    model = _load(source)
    try:
        onnx_export_from_model(model, folder, task=task, opset=opset, do_validation=False, library_name="transformers")
    except Exception as error:  # a model that it doesn't know fails in ways of its own
        kind = source.config.get("model_type")
        first = str(error).strip().partition("\n")[0][:300]
        raise ExportError(f"optimum can't export model_type {kind} as {task}: {first}") from error
    file = folder / "model.onnx"
    if not file.is_file():
        found = ", ".join(sorted(one.name for one in folder.glob("*.onnx")))
        raise ExportError(f"optimum wrote {found or 'nothing'} instead of one model.onnx: not offered")
    return file


@quiet()
def write_tokenizer(source: Source, folder: Path) -> None:
    """Writes tokenizer.json of a source that has only a vocabulary. Raises SourceError."""
    try:
        _tokenizer(source).save_pretrained(str(folder))
    except Exception as error:
        raise SourceError(f"{source.weights}: no fast tokenizer can be made of its files: {error}") from error
    if not (folder / "tokenizer.json").is_file():
        raise SourceError(f"{source.weights}: it has no tokenizer.json, and transformers made none")


@quiet()
def reference(
    source: Source, texts: Sequence[Text], max_tokens: int, pooling: tuple[str, ...], dense: Sequence[Dense]
) -> list[Floats]:
    """What the reference implementation gives for each text alone: [1, width], [tokens, width] or [1, labels]."""
    import torch  # noqa: PLC0415

    torch.manual_seed(0)
    with torch.inference_mode():
        if source.two_towers or source.task in (Task.MULTI, Task.CLASSIFY, Task.RERANK):
            return _by_transformers(source, texts, max_tokens, dense)
        return _by_sentence_transformers(source, [str(text) for text in texts], max_tokens, pooling)


@quiet()
def image_reference(source: Source, images: npt.NDArray[np.float32]) -> list[Floats]:
    """Image vectors [1, width] of pixel values [images, channels, height, width], each alone."""
    import torch  # noqa: PLC0415

    model = _load(source)
    with torch.inference_mode():
        return [_features(model.get_image_features(pixel_values=torch.from_numpy(one[None]))) for one in images]


def _load(source: Source) -> Any:
    import transformers  # noqa: PLC0415

    kinds = {"feature-extraction": "AutoModel", "fill-mask": "AutoModelForMaskedLM"}
    kind = kinds.get(_OPTIMUM_TASKS[source.task], "AutoModelForSequenceClassification")
    model_type = str(source.config.get("model_type"))
    attention = _ATTENTION_OF.get(model_type, _ATTENTION)
    settings: dict[str, Any] = {"attn_implementation": attention, "dtype": "float32"}
    if model_type == "modernbert":
        settings["reference_compile"] = False
    try:
        loaded, notes = getattr(transformers, kind).from_pretrained(
            str(source.weights),
            use_safetensors=True,
            trust_remote_code=False,
            local_files_only=True,
            output_loading_info=True,
            **settings,
        )
    except Exception as error:  # damaged files raise kinds of their own
        first = str(error).strip().partition("\n")[0][:300]
        raise SourceError(f"{source.weights}: transformers can't load it: {first}") from error
    # transformers fills what a checkpoint lacks with random numbers. The pooler's are never read here.
    if missing := sorted(name for name in notes["missing_keys"] if "pooler" not in name):
        raise SourceError(
            f"{source.weights}: the weights lack {', '.join(missing[:3])}{', …' * (len(missing) > 3)}:"  # noqa: PLR2004
            f" the model isn't made for the task {source.task.value}"
        )
    return loaded.eval()


def _tokenizer(source: Source) -> Any:
    import transformers  # noqa: PLC0415

    kind: Any = transformers.AutoTokenizer
    return kind.from_pretrained(str(source.weights), trust_remote_code=False, use_fast=True)


def _by_transformers(source: Source, texts: Sequence[Text], max_tokens: int, dense: Sequence[Dense]) -> list[Floats]:
    import torch  # noqa: PLC0415

    model, tokenizer = _load(source), _tokenizer(source)
    found = []
    for text in texts:
        parts = text if isinstance(text, tuple) else (text,)
        inputs = tokenizer(*parts, truncation=True, max_length=max_tokens, return_tensors="pt")
        if source.two_towers:
            found.append(_features(model.get_text_features(**inputs)))
        elif source.task is Task.MULTI:
            rows = model(**inputs).last_hidden_state[0]
            for layer in dense:
                bias = None if layer.bias is None else torch.from_numpy(layer.bias)
                rows = torch.nn.functional.linear(rows, torch.from_numpy(layer.weight.T.copy()), bias)
                rows = getattr(torch, layer.activation.lower())(rows) if layer.activation else rows
            found.append(np.asarray(rows.numpy(), np.float32))
        else:
            found.append(np.asarray(model(**inputs).logits.numpy(), np.float32))
    return found


def _by_sentence_transformers(
    source: Source, texts: list[str], max_tokens: int, pooling: tuple[str, ...]
) -> list[Floats]:
    import sentence_transformers  # noqa: PLC0415
    from sentence_transformers.sentence_transformer import modules  # noqa: PLC0415

    if source.task is Task.SPARSE:
        model: Any = sentence_transformers.SparseEncoder(
            str(source.path), device="cpu", trust_remote_code=False, local_files_only=True
        )
        model.max_seq_length = max_tokens
        rows = model.encode(texts, batch_size=1, convert_to_sparse_tensor=False, show_progress_bar=False)
    else:
        if source.modules:
            model = sentence_transformers.SentenceTransformer(
                str(source.path), device="cpu", trust_remote_code=False, local_files_only=True
            )
        else:
            transformer = modules.Transformer(str(source.weights), max_seq_length=max_tokens)
            width = transformer.get_word_embedding_dimension()
            layers = [transformer, modules.Pooling(width, pooling_mode=pooling)]
            model = sentence_transformers.SentenceTransformer(modules=layers, device="cpu")
        rows = model.encode(texts, batch_size=1, show_progress_bar=False, prompt="")
    return [np.asarray(row, np.float32)[None] for row in rows]


def _features(output: Any) -> Floats:
    tensor = getattr(output, "pooler_output", output)
    return np.asarray(tensor.numpy(), np.float32).reshape(1, -1)
