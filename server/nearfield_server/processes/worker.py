"""The other end of `child`: what every module that runs in a process of its own begins with.

`python -m MODULE FD PARENT`: it hears from the server over the socket FD (`frames`), and ends with it.
"""

from __future__ import annotations

import ctypes
import os
import resource
import signal
import socket
import sys
from contextlib import suppress
from pathlib import Path

__all__ = ["attach", "forget_peak", "peak_bytes", "resident_bytes"]

_PR_SET_PDEATHSIG = 1


def attach() -> socket.socket:
    """Give the socket to the server; from now on this process ends with it, however it ends."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the terminal sends it to all; the server ends us
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(sys.argv[2]):
        os._exit(0)
    return socket.socket(fileno=int(sys.argv[1]))


def resident_bytes() -> int:
    """Give the memory that this process holds now."""
    return int(Path("/proc/self/statm").read_text("ascii").split()[1]) * resource.getpagesize()


def forget_peak() -> None:
    """Begin to measure the peak anew, where the kernel lets us."""
    with suppress(OSError):
        Path("/proc/self/clear_refs").write_text("5", "ascii")


def peak_bytes() -> int:
    """Give the greatest memory that this process held since `forget_peak`.

    getrusage would tell the server's, where that held more when it started this process.
    """
    status = Path("/proc/self/status").read_text("ascii")
    return next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmHWM:"))
