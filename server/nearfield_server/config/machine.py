"""What the process may use of the machine: cores, memory, instructions. Files are read below `root`, for tests.

A container sees all cores of its host; what counts is the quota of its control group (version 1 or 2) and its affinity.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

__all__ = [
    "CPU_FLAGS",
    "cpu_flags",
    "cpu_quota",
    "effective_cpu_count",
    "effective_memory_bytes",
    "has_nvidia_gpu",
    "in_container",
    "in_kubernetes",
    "memory_limit_bytes",
]

CPU_FLAGS = ("avx2", "avx512_vnni", "avx_vnni", "amx_int8", "avx512_bf16", "amx_bf16", "asimddp", "i8mm")
"""Instructions that int8 and bf16 models run fast with, as Linux names them."""

_ROOT = Path("/")
# Version 1 writes "no limit" as the largest multiple of the page size.
_UNLIMITED_BYTES = 1 << 60
_UNKNOWN_BYTES = 4 << 30
"""Of a machine that doesn't tell."""


def effective_cpu_count(root: Path = _ROOT, affinity: int | None = None) -> int:
    """Give the number of compute threads that the process can keep busy, at least 1.

    A fractional quota is rounded down: a thread over the quota makes the kernel stop all of them for the rest of each
    period (100 ms), which every caller feels; the fraction is left to the event loop and the tokeniser.

    Args:
        root: of the file system.
        affinity: cores that the scheduler may use; asked for if not given.
    """
    usable = affinity if affinity is not None else _affinity()
    quota = cpu_quota(root)
    return max(1, usable if quota is None else min(usable, int(quota)))


def cpu_quota(root: Path = _ROOT) -> float | None:
    """Give the cores' worth of time that the control groups allow; `None`: no limit."""
    quotas = []
    for folder in _groups(root, ""):
        limit, _, period = _text(folder / "cpu.max").partition(" ")
        if limit.isdigit() and period.isdigit() and int(period):
            quotas.append(int(limit) / int(period))
    for folder in _groups(root, "cpu"):
        limit, period = _text(folder / "cpu.cfs_quota_us"), _text(folder / "cpu.cfs_period_us")
        if limit.isdigit() and period.isdigit() and int(period):
            quotas.append(int(limit) / int(period))
    return min((quota for quota in quotas if quota > 0), default=None)


def memory_limit_bytes(root: Path = _ROOT) -> int | None:
    """Give the bytes that the control groups allow; `None`: no limit."""
    texts = [_text(folder / "memory.max") for folder in _groups(root, "")]
    texts += [_text(folder / "memory.limit_in_bytes") for folder in _groups(root, "memory")]
    return min((int(one) for one in texts if one.isdigit() and int(one) < _UNLIMITED_BYTES), default=None)


def effective_memory_bytes(root: Path = _ROOT) -> int:
    """Give the memory that the process may fill: the machine's, or less by its control groups."""
    found = re.search(r"^MemTotal:\s+(\d+) kB", _text(root / "proc/meminfo"), re.MULTILINE)
    total = int(found[1]) * 1024 if found else _UNKNOWN_BYTES
    return min(total, memory_limit_bytes(root) or total)


def cpu_flags(root: Path = _ROOT) -> frozenset[str]:
    """Give those of `CPU_FLAGS` that the first core has."""
    for line in _text(root / "proc/cpuinfo").splitlines():
        key, _, value = line.partition(":")
        if key.strip() in {"flags", "Features"}:
            return frozenset(CPU_FLAGS) & frozenset(value.split())
    return frozenset()


def has_nvidia_gpu(root: Path = _ROOT) -> bool:
    """Whether an NVIDIA driver lets this process see a GPU: its control device, or the one of WSL."""
    return any((root / name).exists() for name in ("dev/nvidiactl", "dev/dxg", "dev/nvhost-gpu"))


def in_container(root: Path = _ROOT) -> bool:
    """Whether a container runtime left its marks."""
    marks = (".dockerenv", "run/.containerenv", "run/systemd/container")
    return any((root / mark).exists() for mark in marks) or in_kubernetes(root)


def in_kubernetes(root: Path = _ROOT) -> bool:
    """Whether Kubernetes left its marks."""
    if (root / "var/run/secrets/kubernetes.io").exists():
        return True
    return "kubepods" in _text(root / "proc/self/cgroup") or "kubernetes.io" in _text(root / "proc/self/mountinfo")


def _affinity() -> int:
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _groups(root: Path, controller: str) -> Iterator[Path]:
    """Give the folders of the process's own control group and those above it, whose limits hold too.

    Args:
        root: of the file system.
        controller: of version 1; empty for version 2.
    """
    for line in _text(root / "proc/self/cgroup").splitlines():
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        if controller not in controllers.split(","):
            continue
        base = root / "sys/fs/cgroup"
        if controller:
            mounts = (base / controllers, base / controller)
            base = next((one for one in mounts if one.is_dir()), mounts[-1])
        # A container's own namespace may hide the upper part of the path: then the mount is the group itself.
        group = base / path.lstrip("/")
        while group != base and group.is_relative_to(base) and ".." not in group.parts:
            yield group
            group = group.parent
        yield base


def _text(path: Path) -> str:
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
