"""A model folder to everything that serves it."""

from __future__ import annotations

import logging
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from nearfield_server.backends.base import Backend
from nearfield_server.backends.devices import DevicePlan, Machine, choose_device
from nearfield_server.backends.onnx import OnnxBackend, available_providers
from nearfield_server.backends.tensorrt import ENGINE_BATCH_TOKENS, Engine
from nearfield_server.backends.trial import try_load
from nearfield_server.config.machine import cpu_flags, effective_cpu_count, has_nvidia_gpu
from nearfield_server.config.settings import Config
from nearfield_server.encoder.agreement import COMPILED, check_agreement
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.folder import ModelFolder, open_folder
from nearfield_server.encoder.hub import HubOptions, find_source
from nearfield_server.encoder.images import ImageProcessor
from nearfield_server.encoder.spec import read_tokenizer, resolve
from nearfield_server.encoder.tokenizer import TextTokenizer
from nearfield_server.errors import BackendFailure, ModelLoadFailure
from nearfield_server.types import ModelSpec, Tokens

__all__ = ["LoadOptions", "LoadedEncoder", "load", "load_options", "this_machine"]

logger = logging.getLogger("nearfield.models")


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


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadOptions:
    """How graphs are run, and where models of a hub come from; see the settings of the same names."""

    provider_options: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    hub: HubOptions | None = None
    """`None`: folders only."""
    data_dir: Path = Path("nearfield-data")
    """Engines of TensorRT are kept in it."""
    batch_tokens: int = 0
    """Padded tokens of a batch at most, as the settings say; 0: they don't."""
    trial_seconds: float = 0.0
    """For a graph that nobody vouches for, in a process of its own; 0: no trial."""
    stopping: threading.Event = field(default_factory=threading.Event, compare=False)
    """Set by who no longer waits: trials and downloads end at once."""


def load(
    name: str, path: Path, *, device: str, precision: str = "", options: LoadOptions = LoadOptions()
) -> LoadedEncoder:
    """Verify, read and open the model in the folder `path`, and try it on one token.

    Args:
        name: what it is called in requests.
        path: a folder, see docs/models.md for what may be in it; or the id of a model on a hub.
        device: as in the setting of that name.
        precision: the one asked for; empty or "auto": the one for the device.
        options: the rest of the settings.

    Raises:
        ModelLoadFailure: it can't be served; the message names the file and what is wrong with it.
    """
    plan = choose_device(device, this_machine(), options.provider_options)
    precision = "" if precision == "auto" else precision
    place = find_source(str(path), options.hub, plan.kind, precision)
    folder = open_folder(place.folder, device=plan.kind, precision=place.precision)
    sha256 = folder.verify()
    tokenizer = read_tokenizer(folder)
    opened = _open(folder, plan, options, sha256)
    backend, vision = opened[0]
    spec = resolve(name, folder, sha256, tokenizer, backend.signature, vision.signature if vision else None)
    spec = replace(
        spec, source=folder.manifest.source or place.source or spec.source, license=spec.license or place.license
    )
    images = None
    if spec.vision is not None:
        images = ImageProcessor.from_folder(folder.path)
        if images is None:
            raise folder.failure("preprocessor_config.json", "no such file; it says how images are resized")
        spec = replace(spec, vision=replace(spec.vision, size=images.size))
    encoders = [Encoder(spec, *graphs) for graphs in opened]
    for encoder in encoders:
        _try(folder, spec, encoder, plan.kind)
    if plan.kind in COMPILED:
        check_agreement(folder, spec, backend)
    choice = "; ".join(filter(None, (plan.choice, place.choice or folder.choice, _placed(backend))))
    logger.info("device chosen", extra={"model": name, "device": backend.device, "choice": choice})
    tokenizers = TextTokenizer(spec, tokenizer)
    if (greatest := max(tokenizers.special_ids, default=0)) >= spec.vocab_size:
        text = f"puts id {greatest} around each text, the model knows {spec.vocab_size}: it belongs to another model"
        raise folder.failure(folder.tokenizer_file.name, text)
    device = ",".join(graphs[0].device for graphs in opened)
    return LoadedEncoder(spec, tokenizers, encoders[0], backend, tuple(encoders[1:]), images, device, choice)


def load_options(config: Config) -> LoadOptions:
    """Take them from the settings."""
    hub, stopping = config.hub, threading.Event()
    return LoadOptions(
        provider_options=config.provider_options,
        hub=HubOptions(
            cache_dir=hub.cache_dir or config.data_dir / "hub",
            endpoint=hub.endpoint,
            offline=hub.offline,
            token_file=hub.token_file,
            timeout_seconds=hub.timeout_seconds,
            stopping=stopping,
        ),
        data_dir=config.data_dir,
        batch_tokens=config.batching.token_budget,
        trial_seconds=config.model_load_seconds,
        stopping=stopping,
    )


def this_machine() -> Machine:
    """Look at what models can run on here."""
    return Machine(available_providers(), effective_cpu_count(), has_nvidia_gpu(), cpu_flags())


def _open(
    folder: ModelFolder, plan: DevicePlan, options: LoadOptions, sha256: str
) -> list[tuple[OnnxBackend, OnnxBackend | None]]:
    """Make the sessions of the texts' graph and of the images', for each device."""
    files = [one for one in (folder.model_file, folder.vision_file) if one is not None]
    optimize = folder.manifest.optimized(folder.precision)
    if options.trial_seconds and not folder.trusted:
        for file in files:
            try_load(file, optimize=optimize, seconds=options.trial_seconds, stopping=options.stopping)
    engine = None
    if plan.kind == "tensorrt":
        engine = Engine(
            cache=options.data_dir / "tensorrt" / sha256,
            max_tokens=folder.max_tokens,
            batch_tokens=options.batch_tokens or ENGINE_BATCH_TOKENS,
            fp16=folder.precision == "fp16",
        )
    opened: list[tuple[OnnxBackend, OnnxBackend | None]] = []
    for placement in plan.placements:
        graphs = [OnnxBackend(file, placement, optimize=optimize, engine=engine) for file in files]
        opened.append((graphs[0], graphs[1] if len(graphs) > 1 else None))
    return opened


def _placed(backend: OnnxBackend) -> str:
    """Say where the graph's operators went, if not all to one place."""
    counts = backend.assigned
    if len(counts) < 2:  # noqa: PLR2004 - nothing to tell of one
        return ""
    return "operators: " + ", ".join(
        f"{count} on {one.removesuffix('ExecutionProvider')}" for one, count in counts.items()
    )


def _try(folder: ModelFolder, spec: ModelSpec, encoder: Encoder, device: str) -> None:
    """Run one token, and one image if it takes any."""
    kinds = frozenset(spec.outputs)
    trials = [Tokens(np.array([spec.pad_id], np.int64), wanted=kinds)]
    if spec.vision is not None:
        pixels = np.zeros((3, *spec.vision.size), np.float32)
        trials.append(Tokens(np.array([], np.int64), pixels=pixels, patches=spec.vision.patches))
    try:
        rows = encoder(trials)
    except BackendFailure as error:
        where, hint = (f" on {device}", "; try --precision fp32 or --device cpu") if device != "cpu" else ("", "")
        cause = str(error.__cause__).partition("\n")[0][:300]
        msg = f"{folder.model_file}: the graph can't be run{where}: {error.message}: {cause}{hint}"
        raise ModelLoadFailure(msg) from error
    found = [part for row in rows for part in (row.dense, row.multi, row.scores) if part is not None]
    if not all(np.isfinite(part).all() for part in found):
        msg = f"{folder.model_file}: the graph gives vectors that are not finite"
        raise ModelLoadFailure(msg)
