"""A graph is loaded and run once in a process of its own before the server does so.

A hostile graph can keep ONNX Runtime calculating for ever while it folds constants, eat all memory or crash it, and
nothing in the same process can stop that. A process can be killed. It guards against hanging and crashing only: what a
graph may reach, ONNX Runtime decides, which refuses custom operators and files outside the graph's folder.
"""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.errors import BackendFailure, ModelLoadFailure

__all__ = ["try_load"]

logger = logging.getLogger("nearfield.backends")

_POLL_SECONDS = 0.2
_REFUSED = 3
_OOM_SCORE = Path("/proc/self/oom_score_adj")


def try_load(model_file: Path, *, optimize: bool, seconds: float, stopping: threading.Event | None = None) -> None:
    """Load `model_file` on the CPU and run it on one token, in another process.

    Args:
        model_file: an ONNX file.
        optimize: as for `OnnxBackend`.
        seconds: after which the process is killed.
        stopping: when it is set, the process is killed at once.

    Raises:
        ModelLoadFailure: it can't be loaded, takes longer than `seconds`, or ends the process.
    """
    started = time.monotonic()
    command = [sys.executable, "-m", __name__, str(model_file), str(int(optimize))]
    # What this process can import, that one can.
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=environment)  # noqa: S603 - ourselves
        try:
            _wait(process, model_file, seconds, stopping)
        finally:
            process.kill()
            process.wait()
        output.seek(0)
        last = output.read().decode("utf-8", "replace").strip().rpartition("\n")[2][:500]
    if process.returncode == _REFUSED:
        raise ModelLoadFailure(last)
    if process.returncode:
        problem = f"{_ended(process.returncode)} while it was loaded in a trial process: not safe to serve"
        msg = f"{model_file}: {problem}{f' ({last})' if last else ''}"
        raise ModelLoadFailure(msg)
    taken = round(time.monotonic() - started, 3)
    logger.info("graph tried in a process of its own", extra={"file": str(model_file), "seconds": taken})


def _wait(process: subprocess.Popen[bytes], model_file: Path, seconds: float, stopping: threading.Event | None) -> None:
    deadline = time.monotonic() + seconds
    while True:
        try:
            process.wait(_POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.monotonic() > deadline:
                msg = (
                    f"{model_file}: not loaded and run within {seconds:g} s in a trial process: a graph that never "
                    "ends, or a large one: then raise model_load_seconds, or state its SHA-256 in nearfield.yaml"
                )
                raise ModelLoadFailure(msg) from None
            if stopping is not None and stopping.is_set():
                msg = f"{model_file}: not loaded, the server stops"
                raise ModelLoadFailure(msg) from None
        else:
            return


def _ended(code: int) -> str:
    if code < 0:
        with contextlib.suppress(ValueError):
            return f"ONNX Runtime crashed ({signal.Signals(-code).name})"
    return f"the process ended with status {code}"


def _run_once(backend: OnnxBackend) -> None:
    """Run the graph on ones. What it says of them doesn't matter, only that it ends."""
    feeds = {}
    for one in backend.signature.inputs:
        shape = [size or 1 for size in one.shape]
        kind = np.float32 if "pixel" in one.name else np.int64
        feeds[one.name] = np.ones(shape, kind)
    with contextlib.suppress(BackendFailure):
        backend.run(feeds, [one.name for one in backend.signature.outputs])


def _main(model_file: str, optimize: str) -> int:
    with contextlib.suppress(OSError):
        _OOM_SCORE.write_text("1000")  # when memory runs out, this process goes first
    try:
        _run_once(OnnxBackend(Path(model_file), optimize=optimize == "1"))
    except ModelLoadFailure as refusal:
        sys.stdout.write(refusal.message)
        return _REFUSED
    return 0


if __name__ == "__main__":
    sys.exit(_main(*sys.argv[1:]))
