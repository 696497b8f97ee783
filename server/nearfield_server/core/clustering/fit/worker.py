"""The child process (`processes.worker`) that fits, one job after another, until the server ends it.

    {"op": "fit", …}       ─▶  {"op": "progress", "stage", "fraction"} …  ─▶  {"op": "done", …} and the arrays
                                                                       or  {"op": "failed", "kind"}

It stays warm between jobs: its libraries are imported, and what numba compiled is there. It yields to the server:
its priority is the lowest.
"""

from __future__ import annotations

import json
import os
import resource
import socket
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from nearfield_server.core.clustering.codec import pack_arrays, pack_fitted, unpack_options
from nearfield_server.core.clustering.fit.fitting import FitJob, Previous, fit
from nearfield_server.core.clustering.matter import read_rows, read_strings
from nearfield_server.processes.frames import Frame, receive_frame, to_bytes
from nearfield_server.processes.worker import attach, peak_bytes, resident_bytes

__all__ = ["main"]

_NICE = 19
_TELL_SECONDS = 0.2


def main() -> None:
    """Fit what the server sends."""
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
        _bound_memory(header["memory_bytes"])
        fitted, arrays = fit(_job(header, data), telling.tell)
        fitted = replace(fitted, peak_memory_bytes=peak_bytes())
        layout, body = pack_arrays(arrays)
        told = {"op": "done", "arrays": layout, "resident": resident_bytes()}
        connection.sendall(to_bytes({**told, "fitted": pack_fitted(fitted)}, body))
    except (EOFError, ConnectionError):
        raise
    except MemoryError:
        connection.sendall(to_bytes({"op": "failed", "kind": "memory"}))
    except Exception as error:  # noqa: BLE001 - the server tells the caller; texts may hold what callers sent
        kind = "memory" if "bad_alloc" in str(error) else type(error).__name__
        connection.sendall(to_bytes({"op": "failed", "kind": kind}))


def _job(header: dict[str, Any], data: bytes) -> FitJob:
    rows = read_rows(header["rows"])
    texts, keys = read_strings(header["texts"]), read_strings(header["keys"])
    names, previous = None, None
    width = header["rows"]["dimensions"]
    at = 0
    if header["names"]:
        at = header["names"] * width * 4
        names = np.frombuffer(data[:at], "<f4").reshape(header["names"], width)
    if header["previous"] is not None:
        ids = header["previous"]["ids"]
        end = at + len(ids) * width * 4
        previous = Previous(
            ids=ids,
            next_id=header["previous"]["next_id"],
            centroids=np.frombuffer(data[at:end], "<f4").reshape(len(ids), width),
            clusters=np.frombuffer(data[end:], "<i4").astype(np.int32),
        )
    return FitJob(
        rows=rows,
        options=unpack_options(json.dumps(header["options"])),
        texts=texts,
        keys=keys or (texts if all(texts) else []),
        names=names,
        previous=previous,
    )


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
