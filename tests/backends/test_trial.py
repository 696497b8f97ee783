"""Graphs that hang, crash or are refused: in a process that can be killed."""

import sys
import threading
import time

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from nearfield_server.backends.trial import try_load
from nearfield_server.encoder.loader import LoadOptions, load
from nearfield_server.errors import ModelLoadFailure


def endless(path, trips=2**62):
    """A loop that nobody will see the end of."""
    body = helper.make_graph(
        [helper.make_node("Identity", ["go"], ["go_on"]), helper.make_node("Add", ["sum", "one"], ["next"])],
        "body",
        [
            helper.make_tensor_value_info("round", TensorProto.INT64, []),
            helper.make_tensor_value_info("go", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum", TensorProto.INT64, [1]),
        ],
        [
            helper.make_tensor_value_info("go_on", TensorProto.BOOL, []),
            helper.make_tensor_value_info("next", TensorProto.INT64, [1]),
        ],
        [numpy_helper.from_array(np.array([1]), "one")],
    )
    graph = helper.make_graph(
        [
            helper.make_node("Loop", ["trips", "yes", "zero"], ["total"], body=body),
            helper.make_node("Add", ["input_ids", "total"], ["last_hidden_state"]),
        ],
        "endless",
        [helper.make_tensor_value_info("input_ids", TensorProto.INT64, ["batch", "seq"])],
        [helper.make_tensor_value_info("last_hidden_state", TensorProto.INT64, ["batch", "seq"])],
        [
            numpy_helper.from_array(np.array(trips), "trips"),
            numpy_helper.from_array(np.array(True), "yes"),
            numpy_helper.from_array(np.array([0]), "zero"),
        ],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("optimize", [True, False])
def test_a_graph_that_never_ends_is_given_up(tmp_path, optimize):
    file = endless(tmp_path / "model.onnx")
    started = time.monotonic()
    with pytest.raises(ModelLoadFailure, match=r"model\.onnx: not loaded and run within 1\.5 s.*model_load_seconds"):
        try_load(file, optimize=optimize, seconds=1.5)
    assert time.monotonic() - started < 10


@pytest.mark.slow
def test_a_graph_that_ends_is_fine(tmp_path):
    try_load(endless(tmp_path / "model.onnx", trips=3), optimize=True, seconds=60)


@pytest.mark.slow
def test_a_refusal_is_that_of_the_process(tmp_path):
    file = tmp_path / "model.onnx"
    file.write_bytes(b"\xff" * 100)
    with pytest.raises(ModelLoadFailure, match=rf"^{file}: ONNX Runtime can't load it: "):
        try_load(file, optimize=True, seconds=60)


@pytest.mark.slow
def test_a_server_that_stops_waits_for_no_trial(tmp_path):
    stopping = threading.Event()
    stopping.set()
    started = time.monotonic()
    with pytest.raises(ModelLoadFailure, match="the server stops"):
        try_load(endless(tmp_path / "model.onnx"), optimize=True, seconds=60, stopping=stopping)
    assert time.monotonic() - started < 10


def test_a_crash_is_told(tmp_path, monkeypatch):
    python = tmp_path / "python"
    python.write_text("#!/bin/sh\nkill -SEGV $$\n")
    python.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(python))
    with pytest.raises(ModelLoadFailure, match=r"m\.onnx: ONNX Runtime crashed \(SIGSEGV\).*not safe to serve"):
        try_load(tmp_path / "m.onnx", optimize=True, seconds=60)
    python.write_text("#!/bin/sh\nexit 9\n")
    with pytest.raises(ModelLoadFailure, match="the process ended with status 9"):
        try_load(tmp_path / "m.onnx", optimize=True, seconds=60)


@pytest.mark.slow
def test_a_stated_sha256_needs_no_trial(monkeypatch, fp32_folder):
    tried = []
    monkeypatch.setattr("nearfield_server.encoder.loader.try_load", lambda file, **_: tried.append(file.name))
    load("m", fp32_folder, device="cpu", options=LoadOptions(trial_seconds=60)).close()
    assert tried == []


def test_a_graph_that_nobody_vouches_for_is_tried_first(monkeypatch, tmp_path):
    def refuse(file, *, optimize, seconds, stopping):
        raise ModelLoadFailure(f"{file.name} {optimize} {seconds}")

    monkeypatch.setattr("nearfield_server.encoder.loader.try_load", refuse)
    endless(tmp_path / "model.onnx")
    (tmp_path / "tokenizer.json").write_text(
        '{"model": {"type": "WordLevel", "vocab": {"[UNK]": 0}, "unk_token": "[UNK]"}}'
    )
    with pytest.raises(ModelLoadFailure, match=r"^model\.onnx True 7$"):
        load("m", tmp_path, device="cpu", options=LoadOptions(trial_seconds=7))
