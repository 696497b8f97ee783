import json
import re

import pytest
from fake_onnxruntime import OPTIONS

from nearfield_server.backends.devices import PROVIDERS, Machine, choose_device
from nearfield_server.config.device import DEVICE_KINDS
from nearfield_server.errors import ModelLoadFailure

ALL = tuple(PROVIDERS.values())


def machine(*providers, **fields):
    return Machine(**{"providers": (*providers, PROVIDERS["cpu"]), "cores": 3} | fields)


def test_every_kind_has_a_provider():
    assert tuple(PROVIDERS) == DEVICE_KINDS
    assert set(PROVIDERS.values()) == set(OPTIONS)


@pytest.mark.parametrize(
    ("asked", "names"),
    [
        ("cpu", ["cpu"]),
        ("cuda", ["cuda", "cpu"]),
        ("tensorrt:1", ["tensorrt", "cuda", "cpu"]),
        ("openvino", ["openvino", "cpu"]),
        ("coreml", ["coreml", "cpu"]),
        ("dml:2", ["dml", "cpu"]),
    ],
)
def test_providers_in_their_order(asked, names):
    plan = choose_device(asked, machine(*ALL), {})
    (placement,) = plan.placements
    assert plan.kind == placement.kind == names[0]
    assert [one.name for one in placement.providers] == [PROVIDERS[name] for name in names]
    assert plan.choice == f"device {asked} is asked for"
    for provider in placement.providers:
        assert set(provider.options) <= OPTIONS[provider.name]


def test_each_of_several_gpus_has_a_placement():
    plan = choose_device("cuda:2,0", machine(*ALL), {"cuda": {"gpu_mem_limit": "1000"}})
    assert [str(one) for one in plan.placements] == ["cuda:2", "cuda:0"]
    options = [one.providers[0].options for one in plan.placements]
    assert [one["device_id"] for one in options] == ["2", "0"]
    assert options[0] == {
        "device_id": "2",
        "arena_extend_strategy": "kSameAsRequested",
        "cudnn_conv_algo_search": "HEURISTIC",
        "use_ep_level_unified_stream": "1",
        "gpu_mem_limit": "1000",
    }


def test_options_of_the_settings_go_over_ours_and_reach_the_second_provider():
    options = {"cuda": {"cudnn_conv_algo_search": "EXHAUSTIVE"}, "tensorrt": {"trt_max_workspace_size": "1"}}
    (placement,) = choose_device("tensorrt", machine(*ALL), options).placements
    assert placement.providers[0].options["trt_max_workspace_size"] == "1"
    assert placement.providers[1].options["cudnn_conv_algo_search"] == "EXHAUSTIVE"


def test_openvino_takes_bf16_where_the_cpu_is_fast_with_it():
    def options(flags):
        (placement,) = choose_device("openvino", machine(*ALL, cpu_flags=flags), {}).placements
        return dict(placement.providers[0].options)

    assert options(frozenset({"avx512_bf16"})) == {"device_type": "CPU", "num_streams": "3", "num_of_threads": "3"}
    config = json.loads(options(frozenset({"amx_bf16", "avx512_bf16"}))["load_config"])
    assert config == {"CPU": {"INFERENCE_PRECISION_HINT": "bf16"}}


@pytest.mark.parametrize(
    ("providers", "nvidia", "kind", "reason"),
    [
        (["cuda"], True, "cuda", "CUDA, for this ONNX Runtime has it and a GPU is visible"),
        (["tensorrt", "cuda"], True, "cuda", "CUDA"),
        (["cuda"], False, "cpu", "no NVIDIA GPU is visible"),
        ([], False, "cpu", "the CPU, for this ONNX Runtime has no CUDA"),
        ([], True, "cpu", "install nearfield[gpu] to use it"),
        (["openvino"], False, "cpu", "but OpenVINO: --device openvino"),
    ],
)
def test_auto_tells_why(providers, nvidia, kind, reason):
    plan = choose_device("auto", machine(*(PROVIDERS[one] for one in providers), nvidia=nvidia), {})
    assert plan.kind == kind
    assert reason in plan.choice


@pytest.mark.parametrize(
    ("asked", "install"),
    [
        ("cuda", 'pip install "nearfield[gpu]"'),
        ("cuda:0,1", 'pip install "nearfield[gpu]"'),
        ("tensorrt", 'pip install "nearfield[gpu]" tensorrt'),
        ("openvino", 'pip install "nearfield[openvino]"'),
        ("coreml", 'pip install "nearfield[cpu]" on macOS'),
        ("dml", "pip install onnxruntime-directml"),
    ],
)
def test_what_the_wheel_lacks_is_refused_with_the_extra_to_install(asked, install):
    with pytest.raises(ModelLoadFailure, match=re.escape(install)) as caught:
        choose_device(asked, machine(), {})
    assert caught.value.message.startswith(f"device {asked}: the installed ONNX Runtime has no ")
    assert "; it has CPU. " in caught.value.message
