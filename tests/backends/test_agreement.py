"""Devices that give other numbers than the CPU, without an error."""

from dataclasses import replace

import numpy as np
import pytest
import small_model
from onnx import TensorProto, helper, save

from nearfield_server.backends import openvino
from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.encoder.agreement import check_agreement
from nearfield_server.encoder.folder import open_folder
from nearfield_server.encoder.loader import load
from nearfield_server.errors import ModelLoadFailure


@pytest.fixture
def small(tmp_path):
    for path, content in small_model.files().items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_bytes(content)
    model = load("m", tmp_path, device="cpu")
    yield open_folder(tmp_path), model.spec
    model.close()


class Wrong(OnnxBackend):
    """Gives noise for rows of some length."""

    wrong_at = 0
    scale = 1.0

    def run(self, feeds, outputs):
        found = [one * np.float32(self.scale) for one in super().run(feeds, outputs)]
        wrong = feeds["input_ids"].shape[1] == self.wrong_at
        return [np.roll(one, 1, axis=-1) for one in found] if wrong else found


@pytest.mark.parametrize("tokens", [1, 3, 9, 16])
def test_a_device_that_is_wrong_at_one_length_is_refused(small, tokens):
    folder, spec = small
    backend = Wrong(folder.model_file, optimize=True)
    backend.wrong_at = tokens
    with pytest.raises(ModelLoadFailure, match=rf"last_hidden_state differs from the CPU's by \d+% .* of {tokens} tok"):
        check_agreement(folder, spec, backend)


@pytest.mark.parametrize(("scale", "fine"), [(1.0, True), (1.02, True), (1.3, False), (np.nan, False)])
def test_a_lower_precision_is_no_fault(small, scale, fine):
    folder, spec = small
    backend = Wrong(folder.model_file, optimize=True)
    backend.scale = scale
    if fine:
        check_agreement(folder, spec, backend)
    else:
        with pytest.raises(ModelLoadFailure, match="differs"):
            check_agreement(folder, spec, backend)


def test_a_graph_that_the_cpu_cannot_load_is_not_compared(small, tmp_path, caplog):
    folder, spec = small
    node = helper.make_node("Special", ["input_ids"], ["y"], domain="vendor")
    infos = [helper.make_tensor_value_info(name, TensorProto.INT64, ["b", "s"]) for name in ("input_ids", "y")]
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("vendor", 1)]
    graph = helper.make_graph([node], "special", infos[:1], infos[1:])
    save(helper.make_model(graph, opset_imports=opsets, ir_version=9), tmp_path / "special.onnx")
    backend = OnnxBackend(folder.model_file, optimize=True)
    check_agreement(replace(folder, model_file=tmp_path / "special.onnx"), spec, backend)
    assert "not compared with the CPU" in caplog.text


def test_a_row_of_one_token_gets_a_hidden_second_one():
    ones = np.ones((3, 1), np.int64)
    feeds = {"input_ids": ones * 7, "attention_mask": ones, "pixel_values": np.zeros((1, 3, 2, 2))}
    wider = openvino.widen(feeds)
    assert wider["input_ids"].tolist() == [[7, 0]] * 3
    assert wider["attention_mask"].tolist() == [[1, 0]] * 3
    assert wider["pixel_values"] is feeds["pixel_values"]
    tokens, pooled = openvino.cut_back([np.zeros((3, 2, 4)), np.zeros((3, 4))])
    assert (tokens.shape, pooled.shape) == ((3, 1, 4), (3, 4))
    assert openvino.widen({"input_ids": ones}) is None
    assert openvino.widen({"input_ids": ones, "attention_mask": np.ones((3, 2))}) is None
