"""Graphs run by ONNX Runtime. The only file that imports it.

What it does if left alone, found by trying its versions 1.23 to 1.32: a provider whose libraries are missing, or whose
option has a bad value, is left out with a line in its log; an unknown option raises, and then it tries again on the CPU
with a line on standard output. So that is off, and what the session runs on is compared with what was wanted.
"""

from __future__ import annotations

import contextlib
import ctypes
import io
import logging
import os
import re
import threading
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends import openvino
from nearfield_server.backends.base import GraphSignature, TensorInfo
from nearfield_server.backends.devices import CPU, PROVIDERS, Placement
from nearfield_server.backends.tensorrt import Engine, engine_options, profile_of
from nearfield_server.errors import BackendFailure, ModelLoadFailure

__all__ = ["OnnxBackend", "available_providers"]

logger = logging.getLogger("nearfield.backends")

# Fatal errors only: what it prints of the others holds token ids, and they are raised anyway.
_QUIET = 4
# While a session on an accelerator is made, no input is near, and only its log tells what is wrong.
_ERRORS = 3
# After a run of more padded tokens than this the memory goes back to the system: else the process keeps the size of the
# worst batch ever seen. Doing so after every run costs some percent of speed.
_USUAL_TOKENS = 2048
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "out of memory")
# Their outputs stay on the GPU until they are copied once, and inputs are copied by the run itself.
_BOUND = {"cuda", "tensorrt"}
_RECORD_ASSIGNMENT = "session.record_ep_graph_assignment_info"
_LIBRARIES = {"cuda": "cuda", "tensorrt": "tensorrt", "openvino": "openvino"}
_LIBRARIES_FROM = {
    "cuda": '; CUDA and cuDNN come with pip install "onnxruntime-gpu[cuda,cudnn]"',
    "tensorrt": '; CUDA and cuDNN come with pip install "onnxruntime-gpu[cuda,cudnn]", TensorRT with tensorrt',
}
_WHERE = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : |[\w./]+\.cc:\d+ \w+ ")
_REFUSED = "no such device, or a value in provider_options that it doesn't take; its own words are on standard error"


def available_providers() -> list[str]:
    """Give the execution providers that the installed ONNX Runtime wheel has."""
    return list(_onnxruntime().get_available_providers())


class OnnxBackend:
    """One session on one device, shared by its workers; implements `Backend`.

    On a CPU each call runs on the calling thread alone: parallelism comes from the workers. Only the CPU and OpenVINO
    have been run here; the others are tested against a fake ONNX Runtime.
    """

    def __init__(
        self, model_file: Path, placement: Placement = CPU, *, optimize: bool, engine: Engine | None = None
    ) -> None:
        """Load `model_file`.

        Args:
            model_file: an ONNX file; external data must lie beside it.
            placement: where it runs.
            optimize: let ONNX Runtime rewrite the graph. Off for graphs that were made for speed already.
            engine: what TensorRT builds its engine for; only it takes one.

        Raises:
            ModelLoadFailure: the file is broken, needs custom operators or files from elsewhere, or the device can't be
                had.
        """
        self._placement = placement
        self._rows = 0
        if placement.kind == "tensorrt" and engine is not None:
            self._placement = self._with_engine(model_file, engine)
        self._session = _session(model_file, self._placement, optimize=optimize)
        self._require_provider(model_file)
        onnxruntime = _onnxruntime()
        self._usual = onnxruntime.RunOptions()
        self._large = onnxruntime.RunOptions()
        if placement.kind == "cpu":
            self._large.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")
        # DirectML's sessions take one call at a time.
        self._one_call: contextlib.AbstractContextManager[Any] = (
            threading.Lock() if placement.kind == "dml" else contextlib.nullcontext()
        )

    @property
    def provider(self) -> str:
        """Name of the execution provider in use."""
        return PROVIDERS[self._placement.kind]

    @property
    def device(self) -> str:
        """Name of the device, such as "cpu" or "cuda:1"."""
        return str(self._placement)

    @property
    def signature(self) -> GraphSignature:
        """The graph's inputs and outputs."""
        return _signature(self._session)

    @property
    def assigned(self) -> Mapping[str, int]:
        """Number of nodes that each provider runs; empty: this ONNX Runtime doesn't tell, or all run on the CPU."""
        if self._placement.kind == "cpu" or not hasattr(self._session, "get_provider_graph_assignment_info"):
            return {}
        counts: Counter[str] = Counter()
        for part in self._session.get_provider_graph_assignment_info():
            counts[part.ep_name] += len(part.get_nodes())
        return counts

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Give the named outputs, floats as float32. Raises `BackendFailure`; its text never holds input."""
        try:
            with self._one_call:
                parts = [self._run(part, outputs) for part in self._parts(feeds)]
        except Exception as error:
            if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                msg = "the model ran out of memory on this input"
                raise BackendFailure(msg, out_of_memory="true") from error
            msg = "the model failed on this input"
            raise BackendFailure(msg) from error
        results = parts[0] if len(parts) == 1 else [np.concatenate(one) for one in zip(*parts, strict=True)]
        return [one.astype(np.float32, copy=False) if one.dtype == np.float16 else one for one in results]

    def close(self) -> None:
        """Give the session's memory back."""
        del self._session

    def _run(self, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        size = max(one.size for one in feeds.values())
        options = self._usual if size <= _USUAL_TOKENS else self._large
        if self._placement.kind == "openvino" and (wider := openvino.widen(feeds)):
            return openvino.cut_back(list(self._session.run(list(outputs), dict(wider), options)))
        if self._placement.kind not in _BOUND:
            return list(self._session.run(list(outputs), dict(feeds), options))
        binding = self._session.io_binding()
        for name, array in feeds.items():
            binding.bind_cpu_input(name, np.ascontiguousarray(array))
        for name in outputs:
            binding.bind_output(name, "cuda", self._placement.number)
        self._session.run_with_iobinding(binding, options)
        return list(binding.copy_outputs_to_cpu())

    def _parts(self, feeds: Mapping[str, npt.NDArray[Any]]) -> list[Mapping[str, npt.NDArray[Any]]]:
        """Cut a batch into runs of as many rows as a TensorRT engine takes."""
        rows = max(len(one) for one in feeds.values())
        if not self._rows or rows <= self._rows:
            return [feeds]
        starts = range(0, rows, self._rows)
        return [{name: one[start : start + self._rows] for name, one in feeds.items()} for start in starts]

    def _with_engine(self, model_file: Path, engine: Engine) -> Placement:
        """Give the placement with options for this graph. A session on the CPU tells its inputs."""
        profile = profile_of(_signature(_session(model_file, CPU, optimize=False)).inputs, engine)
        self._rows = profile.rows if profile else 0
        engine.cache.mkdir(parents=True, exist_ok=True)
        first, *others = self._placement.providers
        # What the settings say goes over ours.
        first = replace(first, options={**engine_options(engine, profile), **first.options})
        return replace(self._placement, providers=(first, *others))

    def _require_provider(self, model_file: Path) -> None:
        """Refuse a session that runs elsewhere than wanted."""
        wanted = [one.name for one in self._placement.providers]
        got = list(self._session.get_providers())
        device = self.device
        if missing := [one for one in wanted if one not in got]:
            msg = (
                f"device {device}: ONNX Runtime left out {missing[0]} and would use {got[0]}: "
                f"{_library_fault(self._placement.kind) or _REFUSED}. Or choose --device cpu"
            )
            raise ModelLoadFailure(msg)
        assigned = self.assigned
        if assigned and not any(assigned.get(one) for one in wanted[:-1]):
            msg = (
                f"{model_file}: none of its {sum(assigned.values())} operators can run on {wanted[0]}, all would run "
                f"on the CPU: choose another precision, such as --precision fp32, or --device cpu"
            )
            raise ModelLoadFailure(msg)
        if assigned:
            logger.info("operators placed", extra={"device": device, "file": model_file.name, **assigned})


def _onnxruntime() -> Any:
    # It sends usage reports by default, the first one perhaps while it is imported: only the variable prevents that.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 - costs a quarter of a second, which not every command needs

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _session(model_file: Path, placement: Placement, *, optimize: bool) -> Any:
    onnxruntime = _onnxruntime()
    accelerated = placement.kind != "cpu"
    if placement.kind in _BOUND and hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(io.StringIO()):  # it prints what it doesn't find
            onnxruntime.preload_dlls()
    onnxruntime.set_default_logger_severity(_ERRORS if accelerated else _QUIET)
    options = _options(onnxruntime, optimize=optimize)
    if accelerated and hasattr(onnxruntime.InferenceSession, "get_provider_graph_assignment_info"):
        options.add_session_config_entry(_RECORD_ASSIGNMENT, "1")
    try:
        return onnxruntime.InferenceSession(
            str(model_file),
            sess_options=options,
            providers=[(one.name, dict(one.options)) for one in placement.providers],
            enable_fallback=0,
        )
    except Exception as error:
        where = f" on {placement}" if accelerated else ""
        problem = (accelerated and _library_fault(placement.kind)) or _first_line(error)
        msg = f"{model_file}: ONNX Runtime can't load it{where}: {problem}"
        raise ModelLoadFailure(msg) from error
    finally:
        onnxruntime.set_default_logger_severity(_QUIET)


def _options(onnxruntime: Any, *, optimize: bool) -> Any:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = _QUIET
    # Shapes differ from batch to batch: a memory plan for each would only pile up.
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    levels = onnxruntime.GraphOptimizationLevel
    options.graph_optimization_level = levels.ORT_ENABLE_ALL if optimize else levels.ORT_DISABLE_ALL
    return options


def _library_fault(kind: str) -> str:
    """Say which library of a provider can't be loaded, as the dynamic loader tells; empty: all can, or it has none."""
    folder = Path(str(getattr(_onnxruntime(), "__file__", ""))).parent / "capi"
    for name in ("shared", _LIBRARIES.get(kind, "")):
        library = folder / f"libonnxruntime_providers_{name}.so"
        if name and library.is_file():
            try:
                ctypes.CDLL(str(library), mode=os.RTLD_GLOBAL)
            except OSError as error:
                return f"a library can't be loaded: {error}{_LIBRARIES_FROM.get(kind, '')}"
    return ""


def _signature(session: Any) -> GraphSignature:
    return GraphSignature(
        inputs=tuple(_tensor(one) for one in session.get_inputs()),
        outputs=tuple(_tensor(one) for one in session.get_outputs()),
    )


def _tensor(one: Any) -> TensorInfo:
    return TensorInfo(one.name, tuple(size if isinstance(size, int) else None for size in one.shape))


def _first_line(error: Exception) -> str:
    """Give what an error says, without where in ONNX Runtime it was raised."""
    return _WHERE.sub("", str(error).strip().partition("\n")[0])[:300]
