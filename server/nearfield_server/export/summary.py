"""The manifest of an export: what the loader needs, and what a person wants to know about its origin and accuracy."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import onnx

from nearfield_server.export import facts
from nearfield_server.export.files import graph_files, load_graph
from nearfield_server.export.manifest import digests, tool_versions
from nearfield_server.export.report import Report, Row
from nearfield_server.export.source import Source
from nearfield_server.export.tasks import FILE_NAMES, MANIFEST_NAMES, Task, vision_file

__all__ = ["manifest_of"]

# The first that was made is taken when nobody asks for a precision.
_CHOICES = {
    "cpu": ("int8", "fp32", "w8", "fp16"),
    "cuda": ("fp16", "fp32"),
    "tensorrt": ("fp16", "fp32"),
    "openvino": ("fp32",),
}
_HASHED = (
    "tokenizer.json",
    "config.json",
    "tokenizer_config.json",
    "config_sentence_transformers.json",
    "sentence_bert_config.json",
    "modules.json",
    "preprocessor_config.json",
    "artifact.metadata",
)
_POOLING_NAMES = {"mean": "mean", "cls": "cls", "max": "max", "lasttoken": "last_token"}


def manifest_of(
    source: Source, folder: Path, report: Report, pooling: tuple[str, ...], max_tokens: int
) -> dict[str, Any]:
    """Content of ``nearfield.yaml``; all other files lie in `folder` already."""
    made = tuple(report.rows)
    default = next(name for name in _CHOICES["cpu"] if name in made)
    width = _width(folder / FILE_NAMES[default])
    card = facts.card(source)
    content: dict[str, Any] = {
        "format": 1,
        "name": source.hub_id.rpartition("/")[2] or source.path.resolve().name,
        "source": source.hub_id or _origin(source, card),
        "license": facts.licence(source),
        "task": source.task.value,
        "max_tokens": max_tokens,
    }
    if source.task is Task.EMBED:
        content |= {"dimensions": width, "normalize": source.normalize or source.two_towers}
        if pooling:
            content["pooling"] = _POOLING_NAMES.get(pooling[0], "mean")
        content["output"] = {"name": _output(folder / FILE_NAMES[default]), "kind": "pooled"}
        content["matryoshka_dimensions"] = facts.matryoshka(source, width)
    elif source.task is Task.MULTI:
        content["dimensions"] = width
    content |= facts.prompts(source)
    content["precision"] = MANIFEST_NAMES[default]
    content["files"] = _files(made, default, report)
    content["optimize"] = {MANIFEST_NAMES[name]: row.written.optimize for name, row in report.rows.items()}
    hashed = [name for name in _HASHED if (folder / name).is_file()]
    graphs = [one for _, row in report.everything() for one in graph_files(folder / row.file)]
    content["sha256"] = digests(folder, [*(str(one.relative_to(folder)) for one in graphs), *hashed])
    content["parity"] = {name: _parity(row, report.task) for name, row in report.everything()}
    content["recipe"] = {
        "pooling": "+".join(pooling),
        **{name: row.written.facts for name, row in report.everything()},
        "versions": _versions(source),
    }
    return content


def _files(made: tuple[str, ...], default: str, report: Report) -> dict[str, Any]:
    providers = {
        kind: MANIFEST_NAMES[chosen]
        for kind, names in _CHOICES.items()
        if (chosen := next((name for name in names if name in made), None)) is not None
    }
    files: dict[str, Any] = {
        "tokenizer": "tokenizer.json",
        "model": FILE_NAMES[default],
        "precisions": {MANIFEST_NAMES[name]: FILE_NAMES[name] for name in made},
        "providers": providers,
    }
    if report.images:
        files["vision"] = {MANIFEST_NAMES[name]: vision_file(name) for name in report.images}
    return files


def _parity(row: Row, task: Task) -> dict[str, Any]:
    figures: dict[str, Any] = dict(row.closeness.named(task))
    figures["batch_dependence"] = float(f"{row.batch_dependence:.0e}")
    if row.judged is not None:
        figures["eval_spearman"] = round(row.judged, 2)
    figures["per_second"] = round(row.texts_per_second, 1)
    figures["megabytes"] = round(row.bytes / 1e6, 1)
    return figures


def _origin(source: Source, card: dict[str, Any]) -> str:
    """The hub's name of the model where a file tells it, else the folder's."""
    stated = source.config.get("_name_or_path") or card.get("base_model")
    return (
        stated if isinstance(stated, str) and stated and not Path(stated).is_absolute() else source.path.resolve().name
    )


def _versions(source: Source) -> dict[str, str]:
    from importlib.metadata import version  # noqa: PLC0415

    torch_side = (
        () if source.onnx_file else ("optimum", "optimum-onnx", "sentence-transformers", "torch", "transformers")
    )
    return tool_versions() | {name: version(name) for name in torch_side}


def _first_output(file: Path) -> onnx.ValueInfoProto:
    return load_graph(file, weights=False).graph.output[0]


def _output(file: Path) -> str:
    return str(_first_output(file).name)


def _width(file: Path) -> int:
    axes = _first_output(file).type.tensor_type.shape.dim
    return int(axes[-1].dim_value) if axes else 0
