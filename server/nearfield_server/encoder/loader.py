"""A model folder to everything that serves it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from nearfield_server.backends.base import Backend
from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.spec import read_tokenizer, resolve
from nearfield_server.encoder.tokenizer import TextTokenizer
from nearfield_server.errors import BackendFailure, ModelLoadFailure
from nearfield_server.types import ModelSpec

__all__ = ["LoadedEncoder", "load"]


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A model ready to run."""

    spec: ModelSpec
    tokenizer: TextTokenizer
    encoder: Encoder
    backend: Backend


def load(name: str, path: Path, *, device: str) -> LoadedEncoder:
    """Verify, read and open the model in the folder `path`, and try it on one token.

    Args:
        name: what it is called in requests.
        path: a folder; see docs/models.md for what may be in it.
        device: "auto", "cpu", "cuda" or "cuda:N".

    Raises:
        ModelLoadFailure: it can't be served; the message names the file and what is wrong with it.
    """
    folder = open_folder(path)
    sha256 = folder.verify()
    tokenizer = read_tokenizer(folder)
    optimize = folder.manifest.optimize
    if optimize is None:
        # Our own int8 graphs are written as they run fastest; ONNX Runtime's fusions slow them down.
        optimize = folder.manifest.precision != "int8-rowwise"
    backend = OnnxBackend(folder.model_file, device=device, optimize=optimize)
    spec = resolve(name, folder, sha256, tokenizer, backend.signature)
    encoder = Encoder(spec, backend)
    try:
        rows = encoder([np.array([spec.pad_id], np.int64)])
    except BackendFailure as error:
        msg = f"{folder.model_file}: the graph can't be run: {error.message}: {error.__cause__}"
        raise ModelLoadFailure(msg) from error
    if not np.isfinite(rows).all():
        msg = f"{folder.model_file}: the graph gives vectors that are not finite"
        raise ModelLoadFailure(msg)
    return LoadedEncoder(spec, TextTokenizer(spec, tokenizer), encoder, backend)
