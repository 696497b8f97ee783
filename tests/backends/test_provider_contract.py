"""What ONNX Runtime is asked for on each device, and that none of its silences is believed. No GPU is needed."""

import threading

import numpy as np
import pytest
from fake_onnxruntime import OPTIONS

from nearfield_server.backends.devices import CPU, PROVIDERS, Machine, choose_device
from nearfield_server.backends.onnx import OnnxBackend
from nearfield_server.backends.tensorrt import Engine
from nearfield_server.errors import BackendFailure, ModelLoadFailure

ACCELERATED = ("cuda", "tensorrt", "openvino", "coreml", "dml")


def placements(fake, device, options=None):
    return choose_device(device, Machine(fake.available, 2), options or {}).placements


def backend(fake, device, tmp_path, options=None, engine=None):
    (placement,) = placements(fake, device, options)
    return OnnxBackend(tmp_path / "model.onnx", placement, optimize=True, engine=engine)


def wheel(fake, kind):
    return fake(*(["TensorrtExecutionProvider", "CUDAExecutionProvider"] if kind == "tensorrt" else [PROVIDERS[kind]]))


FEEDS = {"input_ids": np.ones((6, 5), np.int64), "attention_mask": np.ones((6, 5), np.int64)}


@pytest.mark.parametrize("kind", ACCELERATED)
def test_sessions_on(fake, tmp_path, kind, capfd):
    module = wheel(fake, kind)
    made = backend(module, kind, tmp_path)
    (session,) = module.sessions
    assert session.requested[0][0] == made.provider == PROVIDERS[kind]
    assert all(set(options) <= OPTIONS[name] for name, options in session.requested)
    assert session.enable_fallback == 0
    assert session.options.graph_optimization_level == "all"
    assert not session.options.enable_mem_pattern  # DirectML wants it off too
    (rows,) = made.run(FEEDS, ["sentence_embedding"])
    assert rows.shape == (6, 4)
    assert module.severities == [3, 4]  # errors are shown while it is made, and never afterwards
    assert module.preloaded == (kind in {"cuda", "tensorrt"})
    assert capfd.readouterr().out == ""


@pytest.mark.parametrize("kind", ACCELERATED)
def test_a_provider_left_out_without_a_word_is_noticed(fake, tmp_path, kind):
    module = wheel(fake, kind)
    module.silent = {PROVIDERS[kind]}
    with pytest.raises(ModelLoadFailure, match=rf"left out {PROVIDERS[kind]} and would use .*provider_options"):
        backend(module, kind, tmp_path)


def test_tensorrt_without_its_second_provider_is_noticed(fake, tmp_path):
    module = wheel(fake, "tensorrt")
    module.silent = {"CUDAExecutionProvider"}
    with pytest.raises(ModelLoadFailure, match="left out CUDAExecutionProvider"):
        backend(module, "tensorrt", tmp_path)


@pytest.mark.parametrize("kind", ACCELERATED)
def test_an_unknown_option_is_an_error_and_never_tried_again_on_the_cpu(fake, tmp_path, kind, capfd):
    module = wheel(fake, kind)
    with pytest.raises(ModelLoadFailure, match=r"model\.onnx: ONNX Runtime can't load it on .*'nonsense'"):
        backend(module, kind, tmp_path, {kind: {"nonsense": "1"}})
    assert "Falling back" not in capfd.readouterr().out


def test_the_missing_library_is_named(fake, tmp_path):
    module = fake("CUDAExecutionProvider")
    module.silent = {"CUDAExecutionProvider"}
    module.__file__ = str(tmp_path / "__init__.py")
    (tmp_path / "capi").mkdir()
    (tmp_path / "capi/libonnxruntime_providers_cuda.so").write_bytes(b"no library")
    with pytest.raises(ModelLoadFailure, match=r"can't be loaded: .*providers_cuda\.so.*onnxruntime-gpu\[cuda,cudnn\]"):
        backend(module, "cuda", tmp_path)


def test_a_graph_of_which_nothing_runs_on_the_device_is_refused(fake, tmp_path):
    module = fake("OpenVINOExecutionProvider")
    module.assigned = {"CPUExecutionProvider": 7}
    with pytest.raises(ModelLoadFailure, match="none of its 7 operators can run on OpenVINOExecutionProvider"):
        backend(module, "openvino", tmp_path)
    module.assigned = {"CPUExecutionProvider": 2, "OpenVINOExecutionProvider": 5}
    assert backend(module, "openvino", tmp_path).assigned == module.assigned


def test_cuda_binds_inputs_where_they_are_and_copies_outputs_once(fake, tmp_path):
    module = fake("CUDAExecutionProvider")
    module.dtype = np.float16
    made = backend(module, "cuda:3", tmp_path)
    feeds = FEEDS | {"input_ids": np.ones((5, 6), np.int64).T}  # not contiguous
    (rows,) = made.run(feeds, ["sentence_embedding"])
    (binding,) = module.sessions[0].bindings
    assert binding.outputs == [("sentence_embedding", "cuda", 3)]
    assert set(binding.inputs) == set(FEEDS)
    assert rows.dtype == np.float32
    assert made.device == "cuda:3"


def test_several_gpus_have_a_session_each(fake, tmp_path):
    module = fake("CUDAExecutionProvider")
    made = [OnnxBackend(tmp_path / "m.onnx", one, optimize=False) for one in placements(module, "cuda:0,1")]
    assert [one.device for one in made] == ["cuda:0", "cuda:1"]
    assert [dict(session.requested)["CUDAExecutionProvider"]["device_id"] for session in module.sessions] == ["0", "1"]


def test_out_of_memory_on_a_gpu_is_told_apart(fake, tmp_path):
    module = fake("CUDAExecutionProvider")

    def fail():
        raise RuntimeError("BFCArena::AllocateRawInternal Failed to allocate memory for requested buffer of size 12345")

    module.on_run = fail
    with pytest.raises(BackendFailure, match="out of memory") as caught:
        backend(module, "cuda", tmp_path).run(FEEDS, ["sentence_embedding"])
    assert "12345" not in caught.value.message


def engine(tmp_path, **fields):
    return Engine(**{"cache": tmp_path / "engines/abc", "max_tokens": 256, "batch_tokens": 1024} | fields)


def test_tensorrt_is_given_shapes_and_a_folder_for_its_engine(fake, tmp_path):
    module = wheel(fake, "tensorrt")
    backend(module, "tensorrt:1", tmp_path, {"tensorrt": {"trt_timing_cache_enable": "0"}}, engine(tmp_path, fp16=True))
    signature, session = module.sessions
    assert signature.requested == [("CPUExecutionProvider", {})]  # tells the inputs
    options = dict(session.requested)["TensorrtExecutionProvider"]
    folder = str(tmp_path / "engines/abc")
    assert options == {
        "device_id": "1",
        "trt_engine_cache_enable": "1",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "0",
        "trt_timing_cache_path": folder,
        "trt_fp16_enable": "1",
        "trt_profile_min_shapes": "input_ids:1x1,attention_mask:1x1",
        "trt_profile_opt_shapes": "input_ids:2x64,attention_mask:2x64",
        "trt_profile_max_shapes": "input_ids:4x256,attention_mask:4x256",
    }
    assert (tmp_path / "engines/abc").is_dir()


def test_tensorrt_never_gets_a_batch_beyond_its_profile(fake, tmp_path):
    module = wheel(fake, "tensorrt")
    made = backend(module, "tensorrt", tmp_path, engine=engine(tmp_path))
    (rows,) = made.run({name: np.ones((10, 5), np.int64) for name in FEEDS}, ["sentence_embedding"])
    assert [len(binding.inputs["input_ids"]) for binding in module.sessions[1].bindings] == [4, 4, 2]
    assert rows.shape == (10, 4)


@pytest.mark.parametrize(
    ("inputs", "largest"),
    [
        ([("pixel_values", ["batch", 3, 32, 32])], "pixel_values:4x3x32x32"),
        ([("input_ids", ["batch", 128])], "input_ids:4x128"),
        ([("pixel_values", ["batch", "channels", "height", "width"])], None),
        ([("input_ids", ["b", "s"]), ("pixel_values", ["b", 3, "h", "w"])], None),
    ],
)
def test_profiles_of_other_inputs(fake, tmp_path, inputs, largest):
    module = wheel(fake, "tensorrt")
    module.inputs = inputs
    backend(module, "tensorrt", tmp_path, engine=engine(tmp_path))
    options = dict(module.sessions[1].requested)["TensorrtExecutionProvider"]
    assert options.get("trt_profile_max_shapes") == largest


def test_directml_gets_one_call_at_a_time(fake, tmp_path):
    module = fake("DmlExecutionProvider")
    made = backend(module, "dml", tmp_path)
    inside, overlaps, all_started = threading.Lock(), [], threading.Barrier(4)

    def on_run():
        overlaps.append(not inside.acquire(blocking=False))
        inside.release()

    module.on_run = on_run

    def call():
        all_started.wait()
        for _ in range(20):
            made.run(FEEDS, ["sentence_embedding"])

    threads = [threading.Thread(target=call) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    assert overlaps == [False] * 80


def test_the_cpu_is_left_as_it_was(fake, tmp_path):
    module = fake()
    made = OnnxBackend(tmp_path / "model.onnx", CPU, optimize=False)
    (session,) = module.sessions
    assert session.requested == [("CPUExecutionProvider", {})]
    assert session.options.graph_optimization_level == "none"
    assert session.options.entries == {"session.intra_op.allow_spinning": "0"}
    assert made.assigned == {}
    made.run(FEEDS, ["sentence_embedding"])
    made.run({name: np.ones((30, 100), np.int64) for name in FEEDS}, ["sentence_embedding"])
    usual, large = (options.entries for _, _, options in session.runs)
    assert (usual, large) == ({}, {"memory.enable_memory_arena_shrinkage": "cpu:0"})
