"""The child process (`processes.worker`) that computes, one operation after another, until the server ends it.

    {"op": OPERATION, …}   ─▶  {"op": "progress", "stage", "fraction"} …  ─▶  {"op": "done", …} and bytes
                                                                       or  {"op": "failed", "kind"}

It stays warm between operations: their libraries are imported, and what numba compiled is there. It yields to the
server: its priority is the lowest.
"""

from __future__ import annotations

import importlib
import os
import resource
import socket
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from nearfield_server.processes.frames import Frame, receive_frame, to_bytes
from nearfield_server.processes.worker import attach, forget_peak, resident_bytes

__all__ = ["main"]

_NICE = 19
_TELL_SECONDS = 0.2
_OPERATIONS = {
    "fit": "nearfield_server.core.clustering.fit.operation",
    "project": "nearfield_server.core.projection.fit.operation",
    "train": "nearfield_server.core.classifiers.fit.operation",
}
"""Modules that have `run(header, data, told) -> (header, bytes)`, imported when they are first asked for."""

Operation = Callable[[dict[str, Any], bytes, Callable[[str, float], None]], Frame]


def main() -> None:
    """Do what the server sends."""
    connection = attach()
    os.nice(_NICE)
    try:
        connection.sendall(to_bytes({"op": "ready"}))
        while True:
            _answer(connection, receive_frame(connection))
    except (EOFError, ConnectionError):
        pass
    os._exit(0)  # threads of libraries aren't waited for


def _answer(connection: socket.socket, frame: Frame) -> None:
    header, data = frame
    telling = _Telling(connection)
    try:
        telling.tell("start", 0.0)  # the first time libraries are imported, which may take a while
        run: Operation = importlib.import_module(_OPERATIONS[header["op"]]).run
        _bound_memory(header["memory_bytes"])
        forget_peak()
        result, body = run(header, data, telling.tell)
        connection.sendall(to_bytes({**result, "op": "done", "resident": resident_bytes()}, body))
    except (EOFError, ConnectionError):
        raise
    except MemoryError:
        connection.sendall(to_bytes({"op": "failed", "kind": "memory"}))
    except Exception as error:  # noqa: BLE001 - the server tells the caller; texts may hold what callers sent
        kind = "memory" if "bad_alloc" in str(error) else type(error).__name__
        connection.sendall(to_bytes({"op": "failed", "kind": kind}))


def _bound_memory(more: int) -> None:
    """Let this process take so many bytes more than it has now; what is over that raises MemoryError."""
    status = Path("/proc/self/status").read_text("ascii")
    held = next(int(line.split()[1]) * 1024 for line in status.splitlines() if line.startswith("VmData:"))
    _, hard = resource.getrlimit(resource.RLIMIT_DATA)
    resource.setrlimit(resource.RLIMIT_DATA, (held + more, hard))


class _Telling:
    """Tells how far it is, not too often."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._stage = ""
        self._told = 0.0

    def tell(self, stage: str, fraction: float) -> None:
        now = time.monotonic()
        if stage == self._stage and now - self._told < _TELL_SECONDS:
            return
        self._stage, self._told = stage, now
        self._connection.sendall(to_bytes({"op": "progress", "stage": stage, "fraction": round(fraction, 4)}))


if __name__ == "__main__":
    main()
