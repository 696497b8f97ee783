"""An ONNX Runtime that records what it is asked for, and misbehaves as the real one does, without any accelerator.

Seen with onnxruntime-gpu 1.31.1 and onnxruntime-openvino 1.23.0 and 1.24.1 on a machine without a GPU:

- a provider whose library can't be loaded, or one of whose options has a bad value, is left out with a line in the log;
- an option of an unknown name raises;
- after a failure, unless `enable_fallback=0`, it prints to standard output and tries again on the CPU.
"""

from types import SimpleNamespace

import numpy as np

# Names from the tables of options in ONNX Runtime's documentation, pages "CUDA Execution Provider", "TensorRT Execution
# Provider", "OpenVINO Execution Provider", "CoreML Execution Provider" and "DirectML Execution Provider"; each of the
# first three is also in the library of that provider, in the wheels named above.
OPTIONS = {
    "CPUExecutionProvider": {"use_arena"},
    "CUDAExecutionProvider": {
        "device_id", "user_compute_stream", "do_copy_in_default_stream", "use_ep_level_unified_stream", "gpu_mem_limit",
        "arena_extend_strategy", "cudnn_conv_algo_search", "cudnn_conv_use_max_workspace", "cudnn_conv1d_pad_to_nc1d",
        "enable_cuda_graph", "enable_skip_layer_norm_strict_mode", "use_tf32", "gpu_external_alloc",
        "gpu_external_free", "gpu_external_empty_cache", "prefer_nhwc", "sdpa_kernel", "fuse_conv_bias",
    },
    "TensorrtExecutionProvider": {
        "device_id", "user_compute_stream", "trt_max_workspace_size", "trt_max_partition_iterations",
        "trt_min_subgraph_size", "trt_fp16_enable", "trt_bf16_enable", "trt_int8_enable", "trt_engine_cache_enable",
        "trt_engine_cache_path", "trt_engine_cache_prefix", "trt_timing_cache_enable", "trt_timing_cache_path",
        "trt_profile_min_shapes", "trt_profile_max_shapes", "trt_profile_opt_shapes", "trt_builder_optimization_level",
        "trt_cuda_graph_enable", "trt_context_memory_sharing_enable", "trt_layer_norm_fp32_fallback",
    },
    "OpenVINOExecutionProvider": {
        "device_type", "precision", "num_of_threads", "num_streams", "cache_dir", "load_config", "model_priority",
        "enable_opencl_throttling", "enable_qdq_optimizer", "disable_dynamic_shapes", "reshape_input", "layout",
    },
    "CoreMLExecutionProvider": {
        "ModelFormat", "MLComputeUnits", "RequireStaticInputShapes", "EnableOnSubgraphs", "SpecializationStrategy",
        "ProfileComputePlan", "AllowLowPrecisionAccumulationOnGPU", "ModelCacheDirectory",
    },
    "DmlExecutionProvider": {"device_id", "performance_preference", "device_filter", "disable_metacommands"},
}  # fmt: skip


class FakeOnnxRuntime:
    """Takes the place of the module. `silent` providers are left out; `assigned` tells where the nodes went."""

    def __init__(self, *available):
        self.available = [*available, "CPUExecutionProvider"]
        self.silent = set()
        self.assigned = {}
        self.sessions = []
        self.severities = []
        self.inputs = [("input_ids", ["batch", "seq"]), ("attention_mask", ["batch", "seq"])]
        self.dtype = np.float32
        self.on_run = lambda: None
        self.preloaded = 0
        self.GraphOptimizationLevel = SimpleNamespace(ORT_ENABLE_ALL="all", ORT_DISABLE_ALL="none")
        self.SessionOptions = Options
        self.RunOptions = Options
        fake = self

        class InferenceSession(Session):
            def __init__(self, path, **arguments):
                super().__init__(fake, path, **arguments)

        self.InferenceSession = InferenceSession

    def get_available_providers(self):
        return self.available

    def disable_telemetry_events(self):
        pass

    def set_default_logger_severity(self, severity):
        self.severities.append(severity)

    def preload_dlls(self):
        self.preloaded += 1
        print("Failed to load libcublas")  # as it does


class Options:
    def __init__(self):
        self.entries = {}

    def add_session_config_entry(self, key, value):
        self.entries[key] = value

    add_run_config_entry = add_session_config_entry


class Session:
    def __init__(self, fake, path, *, sess_options, providers, enable_fallback=1):
        self.fake, self.path, self.options, self.enable_fallback = fake, path, sess_options, enable_fallback
        self.requested = providers
        self.runs = []
        self.bindings = []
        for name, options in providers:
            assert name in fake.available, "the real one warns and goes on"
            assert all(isinstance(one, str) for one in options.values())
            if unknown := set(options) - OPTIONS[name]:
                if enable_fallback:
                    print("Falling back to ['CPUExecutionProvider'] and retrying.")
                    self.requested = [("CPUExecutionProvider", {})]
                    break
                raise RuntimeError(f"Unknown provider option: {min(unknown)!r}")
        fake.sessions.append(self)

    def get_providers(self):
        names = [name for name, _ in self.requested if name not in self.fake.silent]
        return names if "CPUExecutionProvider" in names else [*names, "CPUExecutionProvider"]

    def get_provider_graph_assignment_info(self):
        assert self.options.entries["session.record_ep_graph_assignment_info"] == "1"
        return [
            SimpleNamespace(ep_name=name, get_nodes=lambda count=count: [None] * count)
            for name, count in self.fake.assigned.items()
        ]

    def get_inputs(self):
        return [SimpleNamespace(name=name, shape=shape) for name, shape in self.fake.inputs]

    def get_outputs(self):
        return [SimpleNamespace(name="sentence_embedding", shape=["batch", 4])]

    def run(self, outputs, feeds, options):
        self.fake.on_run()
        self.runs.append((outputs, feeds, options))
        rows = max(len(one) for one in feeds.values())
        return [np.arange(rows * 4).reshape(rows, 4).astype(self.fake.dtype) for _ in outputs]

    def io_binding(self):
        self.bindings.append(Binding())
        return self.bindings[-1]

    def run_with_iobinding(self, binding, options):
        names = [name for name, *_ in binding.outputs]
        binding.results = self.run(names, binding.inputs, options)


class Binding:
    """Outputs may be copied once only: each copy waits for the GPU."""

    def __init__(self):
        self.inputs, self.outputs, self.results = {}, [], None

    def bind_cpu_input(self, name, array):
        assert array.flags.c_contiguous, "the real one raises"
        self.inputs[name] = array

    def bind_output(self, name, device_type="cpu", device_id=0):
        self.outputs.append((name, device_type, device_id))

    def copy_outputs_to_cpu(self):
        results, self.results = self.results, None
        return results
