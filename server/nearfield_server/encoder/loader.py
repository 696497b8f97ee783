"""A model folder to everything that serves it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from nearfield_server.backends.base import Backend
from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.folder import ModelFolder, open_folder
from nearfield_server.encoder.images import ImageProcessor
from nearfield_server.encoder.spec import read_tokenizer, resolve
from nearfield_server.encoder.tokenizer import TextTokenizer
from nearfield_server.errors import BackendFailure, ModelLoadFailure
from nearfield_server.types import ModelSpec, Tokens

__all__ = ["LoadedEncoder", "load"]


@dataclass(frozen=True, slots=True)
class LoadedEncoder:
    """A model ready to run. `replicas`: the same on further devices."""

    spec: ModelSpec
    tokenizer: TextTokenizer
    encoder: Encoder
    backend: Backend
    replicas: tuple[Encoder, ...] = ()
    images: ImageProcessor | None = None
    device: str = "cpu"
    choice: str = ""
    """Why this device and precision."""

    @property
    def encoders(self) -> tuple[Encoder, ...]:
        """One per device."""
        return (self.encoder, *self.replicas)

    def close(self) -> None:
        """Give the memory of all graphs back. Nothing may run."""
        for one in self.encoders:
            one.close()


def load(name: str, path: Path, *, device: str, precision: str = "") -> LoadedEncoder:
    """Verify, read and open the model in the folder `path`, and try it on one token.

    Args:
        name: what it is called in requests.
        path: a folder; see docs/models.md for what may be in it.
        device: "auto", "cpu", "cuda" or "cuda:N".
        precision: the one asked for; empty: the manifest's choice for the device.

    Raises:
        ModelLoadFailure: it can't be served; the message names the file and what is wrong with it.
    """
    folder = open_folder(path, precision=precision)
    sha256 = folder.verify()
    tokenizer = read_tokenizer(folder)
    optimize = folder.manifest.optimized(folder.precision)
    backend = OnnxBackend(folder.model_file, device=device, optimize=optimize)
    vision = OnnxBackend(folder.vision_file, device=device, optimize=optimize) if folder.vision_file else None
    spec = resolve(name, folder, sha256, tokenizer, backend.signature, vision.signature if vision else None)
    images = None
    if spec.vision is not None:
        images = ImageProcessor.from_folder(path)
        if images is None:
            raise folder.failure("preprocessor_config.json", "no such file; it says how images are resized")
        spec = replace(spec, vision=replace(spec.vision, size=images.size))
    encoder = Encoder(spec, backend, vision)
    _try(folder, spec, encoder)
    return LoadedEncoder(spec, TextTokenizer(spec, tokenizer), encoder, backend, images=images)


def _try(folder: ModelFolder, spec: ModelSpec, encoder: Encoder) -> None:
    """Run one token, and one image if it takes any."""
    kinds = frozenset(spec.outputs)
    trials = [Tokens(np.array([spec.pad_id], np.int64), wanted=kinds)]
    if spec.vision is not None:
        pixels = np.zeros((3, *spec.vision.size), np.float32)
        trials.append(Tokens(np.array([], np.int64), pixels=pixels, patches=spec.vision.patches))
    try:
        rows = encoder(trials)
    except BackendFailure as error:
        msg = f"{folder.model_file}: the graph can't be run: {error.message}: {error.__cause__}"
        raise ModelLoadFailure(msg) from error
    found = [part for row in rows for part in (row.dense, row.multi, row.scores) if part is not None]
    if not all(np.isfinite(part).all() for part in found):
        msg = f"{folder.model_file}: the graph gives vectors that are not finite"
        raise ModelLoadFailure(msg)
