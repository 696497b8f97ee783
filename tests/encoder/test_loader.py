"""Graphs: which are run, which output is taken, and which files are refused."""

from dataclasses import replace

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.encoder.encoder import Encoder
from nearfield_server.encoder.loader import load
from nearfield_server.errors import BackendFailure, ModelLoadFailure
from nearfield_server.types import OutputShape, Tokens

IDS = [np.array([2, 4, 3]), np.array([2, 4, 5, 6, 3])]


def dense(encoder):
    return np.stack([row.dense for row in encoder([Tokens(ids) for ids in IDS])])


TABLE = np.arange(28, dtype=np.float32).reshape(7, 4)


def loaded(folder):
    return load("tiny", folder, device="cpu")


def test_token_vectors_are_pooled_without_padding(tiny):
    model = loaded(tiny.write())
    assert dense(model.encoder) == pytest.approx(np.array([TABLE[ids].mean(axis=0) for ids in IDS]))
    assert model.backend.provider == "CPUExecutionProvider"
    model.backend.close()


@pytest.mark.parametrize(
    "inputs",
    [
        ("input_ids",),
        ("input_ids", "attention_mask", "token_type_ids"),
        ("input_ids", "attention_mask", "position_ids"),
    ],
)
def test_graphs_get_the_inputs_that_they_want(tiny, inputs):
    model = loaded(tiny.write(model=tiny.graph(inputs=inputs)))
    assert dense(model.encoder).shape == (2, 4)


@pytest.mark.parametrize(
    ("outputs", "files", "chosen", "normalized"),
    [
        (("last_hidden_state", "sentence_embedding"), {}, "last_hidden_state", False),
        (("sentence_embedding",), {}, "sentence_embedding", True),
        (("odd", "pooled_too"), {}, "odd", False),
        (("pooled_odd",), {}, "pooled_odd", True),
        (("last_hidden_state", "sentence_embedding"), {"modules.json": "dense"}, "sentence_embedding", True),
        (("a", "b"), {"nearfield.yaml": "output: {name: b}"}, "b", False),
        (("x", "pooled_y"), {"nearfield.yaml": "output: {name: pooled_y}"}, "pooled_y", False),
        (("x", "pooled_y"), {"nearfield.yaml": "output: {name: pooled_y, normalized: true}"}, "pooled_y", True),
    ],
)
def test_the_output_that_holds_the_vectors(tiny, outputs, files, chosen, normalized):
    if "modules.json" in files:
        kinds = ["Transformer", "Pooling", "Dense", "Normalize"]
        files = {"modules.json": [{"path": "1_Pooling" * (kind == "Pooling"), "type": f"x.{kind}"} for kind in kinds]}
    spec = loaded(tiny.write(files, tiny.graph(outputs=outputs))).spec
    assert (spec.output_name, spec.output_normalized) == (chosen, normalized)
    pooled = "pooled" in chosen or "sentence" in chosen
    assert spec.output_shape is (OutputShape.POOLED if pooled else OutputShape.TOKENS)


def test_an_output_that_could_be_any_must_be_named(tiny):
    folder = tiny.write(model=tiny.graph(outputs=("a", "b")))
    with pytest.raises(
        ModelLoadFailure, match=r"which output holds the vectors\? add `output: \{name: …\}`; there are: a"
    ):
        loaded(folder)


def test_a_graph_that_needs_more_than_texts_give(tiny):
    folder = tiny.write(model=tiny.graph(inputs=("input_ids", "bbox")))
    with pytest.raises(ModelLoadFailure, match="inputs that texts don't give: bbox"):
        loaded(folder)


@pytest.mark.parametrize("damage", [lambda data: data[: len(data) // 2], lambda data: b"", lambda data: b"\xff" * 100])
def test_a_damaged_graph(tiny, damage):
    folder = tiny.write()
    file = folder / "onnx/model.onnx"
    file.write_bytes(damage(file.read_bytes()))
    with pytest.raises(ModelLoadFailure, match=r"onnx/model\.onnx: ONNX Runtime can't load it"):
        loaded(folder)


def test_custom_operators_are_refused(tiny):
    node = helper.make_node("Evil", ["input_ids"], ["harm"], domain="custom.domain")
    with pytest.raises(ModelLoadFailure, match=r"ONNX Runtime can't load it: .*Evil"):
        loaded(tiny.write(model=tiny.graph(nodes=[node])))


def with_external_data(tiny, location):
    made = tiny.graph()
    (table,) = (one for one in made.graph.initializer if one.name == "table")
    table.ClearField("raw_data")
    table.data_location = TensorProto.EXTERNAL
    table.external_data.add(key="location", value=str(location))
    folder = tiny.write(model_file="")
    (folder / "onnx").mkdir()
    (folder / "onnx/model.onnx").write_bytes(made.SerializeToString())
    return folder


def test_external_data_beside_the_graph_is_read(tiny):
    folder = with_external_data(tiny, "weights.bin")
    (folder / "onnx/weights.bin").write_bytes(TABLE.tobytes())
    assert dense(loaded(folder).encoder)[0] == pytest.approx(TABLE[IDS[0]].mean(axis=0))


@pytest.mark.parametrize("kind", ["parent", "absolute", "link", "absent"])
def test_external_data_from_elsewhere_is_refused(tiny, tmp_path, kind):
    outside = tmp_path / "outside.bin"
    outside.write_bytes(TABLE.tobytes())
    location = {"parent": "../../outside.bin", "absolute": outside, "link": "link.bin", "absent": "absent.bin"}[kind]
    folder = with_external_data(tiny, location)
    if kind == "link":
        (folder / "onnx/link.bin").symlink_to(outside)
    with pytest.raises(ModelLoadFailure, match="ONNX Runtime can't load it"):
        loaded(folder)


def test_a_graph_that_cannot_be_run(tiny):
    node = helper.make_node("Reshape", ["table", "seven"], ["shaped"])
    made = tiny.graph(nodes=[node])
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([7, 5]), "seven"))
    made.graph.output.append(helper.make_tensor_value_info("shaped", TensorProto.FLOAT, [7, 5]))
    folder = tiny.write({"nearfield.yaml": "output: {name: shaped}\noptimize: false\ndimensions: 5"}, made)
    with pytest.raises(ModelLoadFailure, match=r"onnx/model\.onnx: "):
        loaded(folder)


def test_a_graph_whose_vectors_are_not_finite(tiny):
    table = TABLE.copy()
    table[0] = np.nan  # the padding token, on which it is tried
    with pytest.raises(ModelLoadFailure, match="the graph gives vectors that are not finite"):
        loaded(tiny.write(model=tiny.graph(table=table)))


def test_a_graph_that_gives_another_width_than_its_files_say(tiny):
    model = loaded(tiny.write())
    encoder = Encoder(replace(model.spec, dimensions=6), model.backend)
    with pytest.raises(BackendFailure, match=r"shape \(2, 4\) where \(2, 6\) was due"):
        dense(encoder)


def test_an_allocation_beyond_all_memory_fails_the_call_only(tiny):
    nodes = [
        helper.make_node("ReduceMax", ["input_ids"], ["greatest"], keepdims=0),
        helper.make_node("Mul", ["greatest", "ten_to_the_13"], ["huge"]),
        helper.make_node("ConstantOfShape", ["huge"], ["harm"]),
    ]
    made = tiny.graph(nodes=nodes)
    made.graph.initializer.append(onnx.numpy_helper.from_array(np.array([10**13]), "ten_to_the_13"))
    backend = OnnxBackend(tiny.write(model=made) / "onnx/model.onnx", optimize=False)
    harmful, harmless = ({"input_ids": np.array([[one]]), "attention_mask": np.array([[1]])} for one in (1, 0))
    with pytest.raises(BackendFailure, match="ran out of memory") as caught:
        backend.run(harmful, ["last_hidden_state"])
    assert caught.value.metadata == {"out_of_memory": "true"}
    assert backend.run(harmless, ["last_hidden_state"])[0].shape == (1, 1, 4)


def test_a_failing_run_tells_no_input(tiny, capfd):
    backend = loaded(tiny.write()).backend
    with pytest.raises(BackendFailure) as caught:
        backend.run({"input_ids": np.array([[12345]]), "attention_mask": np.array([[1]])}, ["last_hidden_state"])
    assert caught.value.message == "the model failed on this input"
    assert capfd.readouterr() == ("", "")  # ONNX Runtime would print the id


@pytest.mark.parametrize("device", ["cuda", "cuda:1"])
def test_a_gpu_that_this_build_cannot_use(tiny, device):
    with pytest.raises(ModelLoadFailure, match=r"the installed ONNX Runtime has no CUDA.*nearfield\[gpu\]"):
        load("tiny", tiny.write(), device=device)
