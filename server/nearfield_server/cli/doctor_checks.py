"""What can be wrong with an installation, each looked at by one small function that is given all it needs to know."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeAlias

from nearfield_server.backends.devices import Machine, choose_device
from nearfield_server.config.address import parse_address
from nearfield_server.config.hub_id import HubId
from nearfield_server.config.settings import Config
from nearfield_server.encoder.folder import file_sha256
from nearfield_server.encoder.spec import read_spec
from nearfield_server.errors import ModelLoadFailure

__all__ = [
    "PACKAGES",
    "RUNTIMES",
    "Check",
    "Cores",
    "Port",
    "Status",
    "check_container",
    "check_cores",
    "check_cpu",
    "check_files",
    "check_hub_model",
    "check_memory",
    "check_model",
    "check_packages",
    "check_port",
    "check_providers",
    "check_python",
    "check_runtime",
]

Status: TypeAlias = Literal["ok", "warn", "fail"]
Port: TypeAlias = Literal["free", "any", "nearfield", "taken", "denied", "nowhere"]
"""What is at an address: nothing, any free port is meant, this server, another program; or it can't be listened on."""

PACKAGES = (
    "grpcio",
    "protobuf",
    "numpy",
    "tokenizers",
    "pydantic",
    "starlette",
    "uvicorn",
    "prometheus-client",
    "uvloop",
)
RUNTIMES = ("onnxruntime", "onnxruntime-gpu", "onnxruntime-openvino")
"""Wheels that bring the module onnxruntime."""
_OLDEST_PYTHON = (3, 11)
_FAST_INT8 = ("amx_int8", "avx512_vnni", "avx_vnni", "i8mm", "asimddp")
_FAST_BF16 = ("amx_bf16",)
_MIB = 1 << 20
# The built-in model at work takes about 200 MiB; the rest is for queues and messages.
_SMALL_MEMORY_BYTES = 512 * _MIB


@dataclass(frozen=True, slots=True)
class Check:
    """One thing looked at: what was found, and what to do about it (empty: nothing)."""

    name: str
    status: Status
    found: str
    advice: str = ""


@dataclass(frozen=True, slots=True)
class Cores:
    """Cores of the host, those that the scheduler may use, the quota (`None`: none), and what is left of them."""

    host: int
    usable: int
    quota: float | None
    effective: int


def check_python(version: tuple[int, int, int]) -> Check:
    """Look at Python's version."""
    found = ".".join(map(str, version))
    if version[:2] < _OLDEST_PYTHON:
        return Check(
            "python", "fail", found, "Install Python 3.11 or newer and make a new virtual environment with it."
        )
    return Check("python", "ok", found)


def check_packages(versions: Mapping[str, str | None]) -> Check:
    """Look at `versions` of the packages that the server needs; `None`: not installed."""
    found = ", ".join(f"{name} {version or 'missing'}" for name, version in versions.items())
    missing = [name for name, version in versions.items() if version is None]
    if missing == ["uvloop"]:
        return Check("packages", "warn", found, "Install uvloop: the event loop is slower without it.")
    if missing:
        advice = f'Install what is missing ({", ".join(missing)}): pip install "nearfield[cpu]" or "nearfield[gpu]".'
        return Check("packages", "fail", found, advice)
    return Check("packages", "ok", found)


def check_runtime(versions: Mapping[str, str | None]) -> Check:
    """Look at the wheels that bring ONNX Runtime: exactly one may be installed."""
    installed = [name for name in RUNTIMES if versions.get(name)]
    found = ", ".join(f"{name} {versions[name]}" for name in installed) or "none"
    if not installed:
        advice = 'Install ONNX Runtime: pip install "nearfield[cpu]", "nearfield[gpu]" or "nearfield[openvino]".'
        return Check("onnxruntime", "fail", found, advice)
    if len(installed) > 1:
        advice = (
            "These wheels own the module onnxruntime and overwrite each other's files: "
            f'pip uninstall -y {" ".join(installed)}, then pip install "nearfield[cpu]" or one of its like.'
        )
        return Check("onnxruntime", "fail", found, advice)
    return Check("onnxruntime", "ok", found)


def check_providers(available: Sequence[str], device: str, *, nvidia: bool) -> Check:
    """Compare what ONNX Runtime offers with the `device` set; `nvidia`: the host has such a GPU."""
    found = f"device {device}; {', '.join(one.removesuffix('ExecutionProvider') for one in available) or 'none'}"
    if not available:
        return Check("providers", "fail", found, "Reinstall ONNX Runtime.")
    try:
        plan = choose_device(device, Machine(available, 1, nvidia), {})
    except ModelLoadFailure as error:
        return Check("providers", "fail", found, f"{error.message}.")
    if plan.kind in {"cuda", "tensorrt"} and not nvidia:
        return Check(
            "providers", "warn", found, "No NVIDIA device is visible: in a container, pass --gpus or its like."
        )
    if plan.kind == "cpu" and device == "auto" and nvidia:
        return Check("providers", "warn", found, f"{plan.choice}.")
    return Check("providers", "ok", found)


def check_cpu(flags: frozenset[str], machine: str) -> Check:
    """Look at the instructions that int8 models are fast with."""
    found = f"{machine}: {', '.join(sorted(flags)) or 'none of the instructions that matter'}"
    if not any(one in flags for one in _FAST_INT8):
        advice = "This CPU has no int8 dot products (VNNI, AMX or their like): int8 models work, but gain less speed."
        return Check("cpu", "warn", found, advice)
    extra = "; bf16 too" if any(one in flags for one in _FAST_BF16) else ""
    return Check("cpu", "ok", f"{found} (int8 fast path{extra})")


def check_cores(cores: Cores, workers: int) -> Check:
    """Look at the cores that the process may use, and the number of `workers` set (0: one per core)."""
    quota = "no quota" if cores.quota is None else f"quota {cores.quota:g}"
    found = f"{cores.effective} of {cores.host} (affinity {cores.usable}, {quota})"
    if workers > cores.effective:
        advice = f"batching.workers is {workers}, more than the {cores.effective} cores to run on: set it to 0."
        return Check("cores", "warn", found, advice)
    if cores.quota is not None and cores.quota < 1:
        return Check(
            "cores", "warn", found, "Less than one core: the kernel will pause the server often. Allow 1 or more."
        )
    if cores.quota is not None and cores.quota != int(cores.quota) and cores.quota < cores.usable:
        advice = "The part of a core over a whole number runs no worker: allow a whole number of cores."
        return Check("cores", "warn", found, advice)
    return Check("cores", "ok", found)


def check_memory(limit_bytes: int | None, host_bytes: int) -> Check:
    """Look at the memory that the process may use."""
    usable = min(limit_bytes or host_bytes, host_bytes)
    kind = "limit" if limit_bytes is not None and limit_bytes < host_bytes else "host, no limit"
    found = f"{usable // _MIB} MiB ({kind})"
    if usable < _SMALL_MEMORY_BYTES:
        advice = f"Allow {_SMALL_MEMORY_BYTES // _MIB} MiB or more, or lower batching.max_queue_tokens and limits."
        return Check("memory", "warn", found, advice)
    return Check("memory", "ok", found)


def check_model(name: str, folder: Path) -> Check:
    """Read a model folder and verify its hashes, without loading the graph."""
    try:
        read = read_spec(folder)
        sha256 = file_sha256(read.model_file)
    except (ModelLoadFailure, OSError) as error:
        return Check(f"model {name}", "fail", str(folder), f"{str(error).rstrip('.')}.")
    verified = "verified" if read.manifest.sha256 else "no hashes to verify with"
    size = read.model_file.stat().st_size / _MIB
    return Check(f"model {name}", "ok", f"{read.model_file.name} {size:.0f} MiB, SHA-256 {sha256[:12]} ({verified})")


def check_hub_model(name: str, hub_id: HubId, folder: Path, *, offline: bool) -> Check:
    """Look whether a model of a hub was downloaded into `folder`, without asking the hub."""
    if any(folder.glob("refs/*")) or any(folder.glob("nearfield/*.json")):
        return Check(f"model {name}", "ok", f"{hub_id}, downloaded to {folder}")
    if offline:
        advice = f"It isn't there and hub.offline is on: give a folder, see `nearfield export {hub_id.repo} --out DIR`."
        return Check(f"model {name}", "fail", f"{hub_id}, on a hub", advice)
    return Check(f"model {name}", "ok", f"{hub_id}, will be downloaded to {folder}")


def check_port(key: str, address: str, port: Port) -> Check:
    """Judge what is at the `address` that the setting `key` names."""
    name = f"{key} {address}"
    if port == "nearfield":
        advice = f"A Nearfield server answers at {address}: use it, stop it, or choose another address by --{key}."
        return Check(name, "warn", "served by Nearfield", advice)
    if port in {"free", "any"}:
        return Check(name, "ok", "free" if port == "free" else "any free port")
    found = {"taken": "taken by another program", "denied": "not allowed", "nowhere": "not an address of this machine"}
    return Check(name, "fail", found[port], f"Choose another address than {address} by --{key}.")


def check_files(soft_limit: int, config: Config) -> Check:
    """Compare the limit of open files with the calls allowed, each on a connection of its own at worst."""
    needed = config.limits.max_concurrent_calls + config.limits.max_concurrent_streams + 128
    if 0 <= soft_limit < needed:
        advice = f"Up to {needed} files may be open at once: ulimit -n 65536 (systemd: LimitNOFILE=65536)."
        return Check("open files", "warn", f"{soft_limit}", advice)
    return Check("open files", "ok", "no limit" if soft_limit < 0 else f"{soft_limit}")


def check_container(config: Config, *, container: bool, kubernetes: bool, quota: float | None) -> Check:
    """Look for what goes wrong in containers."""
    if not container:
        return Check("container", "ok", "no")
    found = "Kubernetes" if kubernetes else "yes"
    address = parse_address(config.listen)
    if address.is_local and not address.path:
        advice = f"Nothing outside the container reaches {address}: use --listen 0.0.0.0:{address.port}."
        return Check("container", "warn", found, advice)
    if quota is None:
        advice = "No CPU limit: the server starts a worker for each core of the host. Set a limit, or batching.workers."
        return Check("container", "warn", found, advice)
    return Check("container", "ok", found)
