"""Graphs run by ONNX Runtime. The only file that imports it."""

from __future__ import annotations

import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from nearfield_server.backends.base import GraphSignature, TensorInfo
from nearfield_server.errors import BackendFailure, ModelLoadFailure

__all__ = ["OnnxBackend", "available_providers"]

logger = logging.getLogger("nearfield.backends")

_CPU, _CUDA = "CPUExecutionProvider", "CUDAExecutionProvider"
# Fatal errors only: what it prints of the others holds token ids, and they are raised anyway.
_QUIET = 4
# After a run of more padded tokens than this the memory goes back to the system: else the process keeps the size of the
# worst batch ever seen. Doing so after every run costs some percent of speed.
_USUAL_TOKENS = 2048
_OUT_OF_MEMORY = ("bad_alloc", "failed to allocate", "out of memory")


def available_providers() -> list[str]:
    """Give the execution providers that the installed ONNX Runtime wheel has."""
    return list(_onnxruntime().get_available_providers())


class OnnxBackend:
    """One session, shared by all workers; implements `Backend`.

    On a CPU each call runs on the calling thread alone: parallelism comes from the workers. The CUDA path has not been
    run on a GPU here.
    """

    def __init__(self, model_file: Path, *, device: str, optimize: bool) -> None:
        """Load `model_file`.

        Args:
            model_file: an ONNX file; external data must lie beside it.
            device: "auto", "cpu", "cuda" or "cuda:N".
            optimize: let ONNX Runtime rewrite the graph. Off for graphs that were made for speed already.

        Raises:
            ModelLoadFailure: the file is broken, needs custom operators or files from elsewhere, or the device can't be
                had.
        """
        onnxruntime = _onnxruntime()
        onnxruntime.set_default_logger_severity(_QUIET)
        providers = _providers(device)
        try:
            self._session = onnxruntime.InferenceSession(
                str(model_file), sess_options=_options(onnxruntime, optimize=optimize), providers=providers
            )
        except Exception as error:
            msg = f"{model_file}: ONNX Runtime can't load it: {_first_line(error)}"
            raise ModelLoadFailure(msg) from error
        wanted = providers[0] if isinstance(providers[0], str) else providers[0][0]
        if (got := self._session.get_providers()[0]) != wanted:
            # ONNX Runtime falls back without a word when a provider can't start.
            msg = f"device {device}: ONNX Runtime gave {got} instead of {wanted}; see its log, or choose --device cpu"
            raise ModelLoadFailure(msg)
        self._provider = got
        self._usual = onnxruntime.RunOptions()
        self._large = onnxruntime.RunOptions()
        if got == _CPU:
            self._large.add_run_config_entry("memory.enable_memory_arena_shrinkage", "cpu:0")

    @property
    def provider(self) -> str:
        """Name of the execution provider in use."""
        return str(self._provider)

    @property
    def signature(self) -> GraphSignature:
        """The graph's inputs and outputs."""
        return GraphSignature(
            inputs=tuple(_tensor(one) for one in self._session.get_inputs()),
            outputs=tuple(_tensor(one) for one in self._session.get_outputs()),
        )

    def run(self, feeds: Mapping[str, npt.NDArray[Any]], outputs: Sequence[str]) -> list[npt.NDArray[Any]]:
        """Give the named outputs, floats as float32. Raises `BackendFailure`; its text never holds input."""
        try:
            size = max(one.size for one in feeds.values())
            options = self._usual if size <= _USUAL_TOKENS else self._large
            results = self._session.run(list(outputs), dict(feeds), options)
        except Exception as error:
            if any(sign in str(error).lower() for sign in _OUT_OF_MEMORY):
                msg = "the model ran out of memory on this input"
                raise BackendFailure(msg, out_of_memory="true") from error
            msg = "the model failed on this input"
            raise BackendFailure(msg) from error
        return [one.astype(np.float32, copy=False) if one.dtype == np.float16 else one for one in results]

    def close(self) -> None:
        """Give the session's memory back."""
        del self._session


def _onnxruntime() -> Any:
    # It sends usage reports by default, the first one perhaps while it is imported: only the variable prevents that.
    os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
    import onnxruntime  # noqa: PLC0415 - costs a quarter of a second, which not every command needs

    onnxruntime.disable_telemetry_events()
    return onnxruntime


def _providers(device: str) -> list[Any]:
    kind, _, number = device.partition(":")
    available = available_providers()
    if kind == "cpu":
        return [_CPU]
    if _CUDA in available:
        logger.info("device chosen", extra={"device": "cuda", "asked": device})
        return [(_CUDA, {"device_id": number or "0", "arena_extend_strategy": "kSameAsRequested"}), _CPU]
    if kind == "cuda":
        msg = (
            f"device {device}: the installed ONNX Runtime has no CUDA; it has {', '.join(available)}. "
            'Install it with: pip uninstall onnxruntime && pip install "nearfield[gpu]"'
        )
        raise ModelLoadFailure(msg)
    logger.info("device chosen", extra={"device": "cpu", "asked": device, "reason": "this ONNX Runtime has no CUDA"})
    return [_CPU]


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


def _tensor(one: Any) -> TensorInfo:
    return TensorInfo(one.name, tuple(size if isinstance(size, int) else None for size in one.shape))


def _first_line(error: Exception) -> str:
    return str(error).strip().partition("\n")[0][:300]
