"""Where a model runs: a function of what is asked for and what this machine and its ONNX Runtime have.

Rules:

1. What is asked for is taken or refused: nothing falls back to another device without a word.
2. `auto` takes CUDA when the wheel has it and a GPU is visible, else the CPU; the plan says which and why.
3. TensorRT has CUDA as its second provider, for the nodes that it can't run. Every session has the CPU as its last one.
4. Options of the settings go over ours.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from nearfield_server.config.device import parse_device
from nearfield_server.errors import ModelLoadFailure

__all__ = ["CPU", "PROVIDERS", "DevicePlan", "Machine", "Placement", "Provider", "choose_device"]

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
    "openvino": "OpenVINOExecutionProvider",
    "coreml": "CoreMLExecutionProvider",
    "dml": "DmlExecutionProvider",
}
"""ONNX Runtime's name of the provider for each kind of device."""

_LABELS = {"cuda": "CUDA", "tensorrt": "TensorRT", "openvino": "OpenVINO", "coreml": "CoreML", "dml": "DirectML"}
# All these wheels bring the module onnxruntime, and overwrite each other's files.
_UNINSTALL = "pip uninstall -y onnxruntime onnxruntime-gpu onnxruntime-openvino"
_INSTALL = {
    "cuda": f'{_UNINSTALL} && pip install "nearfield[gpu]"',
    "tensorrt": f'{_UNINSTALL} && pip install "nearfield[gpu]" tensorrt',
    "openvino": f'{_UNINSTALL} && pip install "nearfield[openvino]"',
    "coreml": 'pip install "nearfield[cpu]" on macOS, whose wheel has it',
    "dml": f"{_UNINSTALL} && pip install onnxruntime-directml, on Windows",
}
# With AVX512-BF16 alone, on a Sapphire Rapids whose AMX was hidden, bf16 took 1.8 times the time of fp32.
_BF16 = "amx_bf16"


@dataclass(frozen=True, slots=True)
class Machine:
    """What there is to choose from."""

    providers: Sequence[str]
    """Execution providers of the installed ONNX Runtime."""
    cores: int
    nvidia: bool = False
    """A GPU of NVIDIA is visible."""
    cpu_flags: frozenset[str] = frozenset()


@dataclass(frozen=True, slots=True)
class Provider:
    """An execution provider with its options, as ONNX Runtime takes them."""

    name: str
    options: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Placement:
    """Where one session runs: the device wanted, and the providers in the order in which they are given nodes."""

    kind: str
    number: int
    providers: tuple[Provider, ...]

    def __str__(self) -> str:
        """Name the device, such as cpu or cuda:1."""
        return f"{self.kind}:{self.number}" if self.kind in {"cuda", "tensorrt", "dml"} else self.kind


CPU = Placement("cpu", 0, (Provider(PROVIDERS["cpu"]),))
"""The CPU, with no options."""


@dataclass(frozen=True, slots=True)
class DevicePlan:
    """What was chosen: one placement for each device, and why."""

    kind: str
    """By which a model's precision is chosen: one of `config.device.DEVICE_KINDS`."""
    placements: tuple[Placement, ...]
    choice: str


def choose_device(asked: str, machine: Machine, options: Mapping[str, Mapping[str, str]]) -> DevicePlan:
    """Choose what a model runs on.

    Args:
        asked: as in the setting `device`.
        machine: what there is.
        options: of the providers, by kind of device.

    Raises:
        ModelLoadFailure: the installed ONNX Runtime can't run on it; the message says what to install.
    """
    device = parse_device(asked)
    if device.kind == "auto":
        kind, choice = _automatic(machine)
    else:
        kind, choice = device.kind, f"device {asked} is asked for"
        _require(asked, kind, machine.providers)
    numbers = device.numbers or (0,)
    placements = tuple(Placement(kind, number, _providers(kind, number, machine, options)) for number in numbers)
    return DevicePlan(kind, placements, choice)


def _automatic(machine: Machine) -> tuple[str, str]:
    if PROVIDERS["cuda"] not in machine.providers:
        others = [kind for kind in ("openvino", "coreml", "dml") if PROVIDERS[kind] in machine.providers]
        hint = f", but {' and '.join(_LABELS[one] for one in others)}: --device {others[0]}" if others else ""
        gpu = "; a GPU is visible: install nearfield[gpu] to use it" if machine.nvidia else ""
        return "cpu", f"device auto: the CPU, for this ONNX Runtime has no CUDA{hint}{gpu}"
    if not machine.nvidia:
        return "cpu", "device auto: the CPU, for no NVIDIA GPU is visible; in a container, pass --gpus or its like"
    return "cuda", "device auto: CUDA, for this ONNX Runtime has it and a GPU is visible"


def _require(asked: str, kind: str, available: Sequence[str]) -> None:
    if PROVIDERS[kind] not in available:
        has = ", ".join(one.removesuffix("ExecutionProvider") for one in available)
        msg = (
            f"device {asked}: the installed ONNX Runtime has no {_LABELS.get(kind, kind)}; it has {has}. "
            f"Install it with: {_INSTALL.get(kind, 'pip install onnxruntime')}"
        )
        raise ModelLoadFailure(msg)


def _providers(
    kind: str, number: int, machine: Machine, options: Mapping[str, Mapping[str, str]]
) -> tuple[Provider, ...]:
    kinds = ("tensorrt", "cuda", "cpu") if kind == "tensorrt" else (kind, "cpu") if kind != "cpu" else ("cpu",)
    return tuple(Provider(PROVIDERS[one], {**_defaults(one, number, machine), **options.get(one, {})}) for one in kinds)


def _defaults(kind: str, number: int, machine: Machine) -> dict[str, str]:
    """Give our options of a provider; docs/devices.md lists them."""
    if kind == "cuda":
        return {
            "device_id": str(number),
            # Grows by what is needed, and not to the next power of two: other models share the memory.
            "arena_extend_strategy": "kSameAsRequested",
            # The exhaustive search, ONNX Runtime's default, would run for every new shape of an image model.
            "cudnn_conv_algo_search": "HEURISTIC",
            # One stream for all worker threads of the session.
            "use_ep_level_unified_stream": "1",
        }
    if kind == "tensorrt":
        return {"device_id": str(number)}
    if kind == "openvino":
        # A stream, hence a thread, for each worker: with one stream two workers got 0.4 times the speed on busy cores.
        cores = str(machine.cores)
        chosen = {"device_type": "CPU", "num_streams": cores, "num_of_threads": cores}
        if _BF16 in machine.cpu_flags:
            chosen["load_config"] = json.dumps({"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}})
        return chosen
    if kind == "coreml":
        return {"ModelFormat": "MLProgram", "MLComputeUnits": "ALL"}
    return {"device_id": str(number)} if kind == "dml" else {}
