"""Files of an export: graphs with their external data, what is copied beside them, and what is hashed."""

from __future__ import annotations

import shutil
from pathlib import Path

import onnx

from nearfield_server.export.errors import SourceError
from nearfield_server.export.source import Source

__all__ = [
    "MOST_INLINE_BYTES",
    "copy_side_files",
    "graph_bytes",
    "graph_files",
    "load_graph",
    "save_graph",
    "weight_bytes",
]

# protobuf refuses messages of 2 GiB.
MOST_INLINE_BYTES = 1_900_000_000
_COPIED = (
    "artifact.metadata",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "preprocessor_config.json",
    "processor_config.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)


def load_graph(file: Path, *, weights: bool = True) -> onnx.ModelProto:
    """Reads a graph, with or without its external data. Raises SourceError that names the file."""
    try:
        return onnx.load(str(file), load_external_data=weights)
    except Exception as error:  # protobuf, onnx and the file system raise many kinds
        first = str(error).strip().partition("\n")[0][:200]
        raise SourceError(f"{file}: no ONNX graph can be read from it: {first}") from error


def save_graph(model: onnx.ModelProto, target: Path) -> None:
    """Writes a graph; weights beyond what one file may hold go beside it, into ``NAME.onnx.data``."""
    if weight_bytes(model) > MOST_INLINE_BYTES:
        data = f"{target.name}.data"
        onnx.save(model, str(target), save_as_external_data=True, location=data, size_threshold=1024)
    else:
        target.write_bytes(model.SerializeToString(deterministic=True))


def weight_bytes(model: onnx.ModelProto) -> int:
    """Size of a graph's constants, near enough that of the whole, which protobuf can't tell beyond 2 GiB."""
    return sum(len(tensor.raw_data) for tensor in model.graph.initializer)


def graph_bytes(file: Path) -> int:
    """Size of a graph with its external data."""
    return sum(one.stat().st_size for one in graph_files(file))


def graph_files(file: Path) -> list[Path]:
    """A graph and its external data."""
    return [one for one in (file, file.with_name(f"{file.name}.data")) if one.is_file()]


def copy_side_files(source: Source, target: Path) -> None:
    """Copies tokenizer, configs, licence and notices; those of the transformer come to the top, where they are read."""
    for folder in (source.path, source.weights):
        for name in _COPIED:
            if (folder / name).is_file():
                shutil.copyfile(folder / name, target / name)
    for kind, folder in source.modules:
        config = folder / "config.json"
        if kind not in ("Transformer", "MLMTransformer", "CLIPModel") and config.is_file():
            (target / folder.relative_to(source.path)).mkdir(parents=True, exist_ok=True)
            shutil.copyfile(config, target / config.relative_to(source.path))
    for pattern in ("LICEN[CS]E*", "NOTICE*", "README.md"):
        for file in source.path.glob(pattern):
            shutil.copyfile(file, target / file.name)
