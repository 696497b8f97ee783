import string
from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from nearfield_server.config.catalogue import SETTINGS
from nearfield_server.config.device import Device, parse_device
from nearfield_server.config.hub_id import hub_id_of
from nearfield_server.config.loader import load, render
from nearfield_server.config.settings import BUILTIN, BUILTIN_NAME, Config
from nearfield_server.config.sources import variable_name
from nearfield_server.errors import ConfigError


@pytest.fixture
def file(tmp_path):
    def writer(text: str | bytes) -> Path:
        path = tmp_path / "nearfield.yaml"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        return path

    return writer


def problem(flags=None, environ=None, file=None) -> str:
    with pytest.raises(ConfigError) as caught:
        load(flags or {}, environ or {}, file)
    return caught.value.message


def test_defaults():
    loaded = load({}, {"PATH": "/bin"}, None)
    assert loaded.config == Config()
    assert set(loaded.origins.values()) == {"default"}
    assert list(loaded.origins) == list(SETTINGS)
    assert loaded.config.models == {BUILTIN_NAME: BUILTIN}
    assert loaded.config.default_model == BUILTIN_NAME


def test_flags_beat_environment_beats_file_beats_defaults(file):
    path = file("listen: 1.1.1.1:1\nhttp: 1.1.1.1:2\nlimits: {max_inputs: 1, max_text_bytes: 100}\n")
    environ = {"NEARFIELD_LISTEN": "2.2.2.2:1", "NEARFIELD_LIMITS__MAX_INPUTS": "2"}
    loaded = load({"listen": "3.3.3.3:1", "device": None}, environ, path)
    config = loaded.config
    assert (config.listen, config.http) == ("3.3.3.3:1", "1.1.1.1:2")
    assert (config.limits.max_inputs, config.limits.max_text_bytes) == (2, 100)
    assert loaded.origins["listen"] == "flag --listen"
    assert loaded.origins["limits.max_inputs"] == "environment NEARFIELD_LIMITS__MAX_INPUTS"
    assert loaded.origins["limits.max_text_bytes"] == "file nearfield.yaml"
    assert loaded.origins["device"] == "default"
    assert load({"batching.workers": 2}, {}, None).origins["batching.workers"] == "flag --workers"


def test_the_environment_may_name_the_file_and_a_flag_another(file, tmp_path):
    path = file("log_level: debug\n")
    environ = {"NEARFIELD_CONFIG": str(path)}
    assert load({}, environ, None).config.log_level == "debug"
    (other := tmp_path / "other.yaml").write_text("log_level: error\n")
    loaded = load({}, environ, other)
    assert loaded.config.log_level == "error"
    assert loaded.origins["log_level"] == "file other.yaml"


def test_models_from_each_source(file):
    path = file("models:\n  a: builtin\n  b.c-d_e: /x y\ndefault_model: b.c-d_e\n")
    assert load({}, {}, path).config.models == {"a": "builtin", "b.c-d_e": "/x y"}
    assert load({}, {}, path).config.default_model == "b.c-d_e"
    environ = {"NEARFIELD_MODELS": '{"z": "/z", "a": "builtin"}', "NEARFIELD_DEFAULT_MODEL": "z"}
    assert load({}, environ, path).config.models == {"z": "/z", "a": "builtin"}
    loaded = load({"models": ("q=/a=b",)}, {"NEARFIELD_MODELS": "{z: /z}"}, None)
    assert loaded.config.models == {"q": "/a=b"}
    assert loaded.config.default_model == "q"
    assert loaded.origins["models"] == "flag --model"
    assert load({"models": {"m": "n"}}, {}, None).config.models == {"m": "n"}
    assert load({"models": []}, {}, path).config.models.keys() == {"a", "b.c-d_e"}
    assert load({}, {}, file("models:\n")).config.models == {BUILTIN_NAME: BUILTIN}


FORMS = "auto, cpu, cuda, cuda:N, cuda:N,M, tensorrt, tensorrt:N, openvino, coreml, dml or dml:N"


def test_all_that_is_wrong_is_told_at_once(file):
    path = file("listn: x\nlimits:\n  max_input: 5\n  max_text_bytes: true\nmax_inputs: 3\nstream: 3\n")
    message = problem({"device": "gpu"}, {"NEARFIELD_LIMITS__MAX_INPUTS": "many", "NEARFIELD_DRAIN": "3"}, path)
    assert message.splitlines() == [
        "8 settings are wrong:",
        "  listn: no such setting; did you mean listen? (file nearfield.yaml, line 1)",
        "  limits.max_input: no such setting; did you mean limits.max_inputs? (file nearfield.yaml, line 3)",
        "  max_inputs: no such setting; did you mean limits.max_inputs? (file nearfield.yaml, line 5)",
        "  stream: must be a mapping of settings (file nearfield.yaml, line 6)",
        "  NEARFIELD_DRAIN: no such setting; did you mean NEARFIELD_DRAIN_SECONDS? (environment)",
        f"  device: must be {FORMS}, not 'gpu' (flag --device)",
        "  limits.max_inputs: must be a whole number, not 'many' (environment NEARFIELD_LIMITS__MAX_INPUTS)",
        "  limits.max_text_bytes: must be a number, not True (file nearfield.yaml, line 4)",
    ]


def test_a_wrong_value_that_is_overridden_does_not_matter(file):
    assert load({"device": "cpu"}, {}, file("device: gpu\n")).config.device == "cpu"


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("a: b: c", "line 1: not YAML"),
        ("- listen", "must be a mapping"),
        ("just words", "must be a mapping"),
        ("listen: a:1\nlisten: b:1", "line 2: listen is set twice, before on line 1"),
        ("limits:\n  max_inputs: 1\n  max_inputs: 1", "line 3: limits.max_inputs is set twice"),
        ("limits: {max_inputs: 1}\nlimits: {max_inputs: 2}", "line 2: limits is set twice"),
        ("a: &x {}\n<<: *x", "`<<`"),
        ("1: x", "put it in quotes"),
        ("listen: !!python/object/apply:os.getcwd []", "not YAML"),
        ("listen: a:1\n---\nlisten: b:1", "another document"),
        ("limits: &a {max_inputs: *a}", "not YAML"),
        (b"listen: \xff", "isn't UTF-8"),
        ("#" * ((1 << 20) + 1), "no settings file"),
    ],
)
def test_files_that_are_refused(file, text, part):
    assert part in problem(file=file(text))


def test_a_missing_file_is_an_error(tmp_path):
    assert "No such file" in problem(file=tmp_path / "none.yaml")
    assert "Is a directory" in problem(environ={"NEARFIELD_CONFIG": str(tmp_path)})


def test_an_empty_file_is_none(file):
    assert load({}, {"NEARFIELD_CONFIG": ""}, file("# nothing\n")).config == Config()
    assert load({}, {}, file("limits:\n")).config == Config()


@pytest.mark.parametrize(
    ("name", "part"),
    [
        ("NEARFIELD_LIMIT__MAX_INPUTS", "did you mean NEARFIELD_LIMITS__MAX_INPUTS?"),
        ("NEARFIELD_LIMITS_MAX_INPUTS", "did you mean NEARFIELD_LIMITS__MAX_INPUTS?"),
        ("NEARFIELD_LIMITS", "such as NEARFIELD_LIMITS__MAX_INPUTS"),
        ("NEARFIELD_PORT_50051_TCP", "enableServiceLinks"),
        ("NEARFIELD_SERVICE_HOST", "enableServiceLinks"),
        ("NEARFIELD_XYZZY", "no such setting (environment)"),
        ("NEARFIELD_", "no such setting (environment)"),
    ],
)
def test_unknown_variables(name, part):
    message = problem(environ={name: "1"})
    assert message.startswith(f"{name}: ")
    assert part in message


@pytest.mark.parametrize("text", ["a", "[a]", "{a: b", "{1: b}", "{a: b, a: c}"])
def test_models_in_the_environment_must_be_a_mapping(text):
    message = problem(environ={"NEARFIELD_MODELS": text})
    assert message.startswith("models: ")
    assert message.endswith('it takes a mapping such as {"name": "folder"} (environment NEARFIELD_MODELS)')


def test_variables_that_are_no_settings_of_the_server():
    environ = {"NEARFIELD_TARGET": "x", "NEARFIELD_TEST_QDRANT_URL": "x", "nearfield_listen": "x", "NEARFIELDX": "x"}
    assert load({}, environ, None).config == Config()


@pytest.mark.parametrize(
    ("flags", "part"),
    [
        ({"models": ["a"]}, "'a' must be NAME=PATH"),
        ({"models": ["a="]}, "must be NAME=PATH"),
        ({"models": ["a=b", "a=c"]}, "a is given twice"),
        ({"models": {"-a": "b"}}, "a model's name"),
        ({"models": {"a" * 65: "b"}}, "a model's name"),
        ({"models": {"a": ""}}, "models.a"),
        ({"models": {"a": "b"}, "default_model": "c"}, "must be one of models (a), not 'c' (flag --default-model)"),
        ({"tls.certificate": "x"}, "set both tls.certificate and tls.private_key"),
        ({"tls.client_ca": "x"}, "set both tls.certificate and tls.private_key"),
        ({"http": "127.0.0.1:50051"}, "must differ from listen"),
        ({"limits.max_request_bytes": 2000}, "must be at least limits.max_text_bytes (262144)"),
        ({"batching.max_queue_items": 5}, "at least limits.max_inputs (512)"),
        ({"batching.max_padding_ratio": 1.0}, "less than 1"),
        ({"drain_seconds": float("nan")}, "finite"),
        ({"data_dir": ""}, "must not be empty"),
        ({"log_level": "x" * 100}, "…"),
        ({"lissten": "x"}, "did you mean listen? (flag --lissten)"),
    ],
)
def test_values_that_are_refused(flags, part):
    assert part in problem(flags)


def test_words_that_yaml_reads_as_truth_values(file):
    assert load({}, {}, file("reflection: on\nchannelz: yes\n")).config.reflection == "on"
    assert load({}, {}, file("reflection: off\n")).config.reflection == "off"


def test_every_setting_has_a_variable_that_works():
    samples = {
        "models": "{a: builtin}", "default_model": "a", "device": "cuda:1", "log_format": "json", "log_level": "debug",
        "reflection": "on", "channelz": "true", "data_dir": "/d", "listen": "a:1", "http": "", "tls.certificate": "/c",
        "tls.private_key": "/k", "tls.client_ca": "/a", "batching.max_padding_ratio": "0.5",
        "limits.max_text_bytes": "5000", "limits.max_request_bytes": "6000", "limits.max_response_bytes": "6000",
        "batching.max_queue_items": "1000", "precision": "int8", "provider_options": "{cuda: {gpu_mem_limit: 1}}",
        "limits.max_image_bytes": "5000", "hub.endpoint": "https://h", "hub.offline": "1",
        "aliases": "{b: a}", "admin": "off", "repository.startup": "none", "repository.unload_first": "true",
        "search.engine": "memory", "search.durability": "disk", "search.ef": "8",
        "qdrant.url": "http://q:6333", "qdrant.read_consistency": "all", "qdrant.write_ordering": "weak",
    }  # fmt: skip
    environ = {variable_name(key): samples.get(key, "3") for key in SETTINGS}
    loaded = load({}, environ, None)
    assert loaded.origins == {key: f"environment {variable_name(key)}" for key in SETTINGS}


def test_print_config_tells_the_origins():
    text = render(load({"models": ["a=builtin"], "drain_seconds": 1}, {"NEARFIELD_HTTP": ""}, None))
    lines = text.splitlines()
    assert "listen: 127.0.0.1:50051  # default" in lines
    assert "http: ''  # environment NEARFIELD_HTTP" in lines
    assert "drain_seconds: 1.0  # flag --drain-seconds" in lines
    assert "models:  # flag --model" in lines
    assert "  a: builtin" in lines
    assert "  max_inputs: 512  # default" in lines


@pytest.mark.slow
@given(
    models=st.dictionaries(
        st.text(string.ascii_letters + string.digits, min_size=1, max_size=8),
        st.text(min_size=1, max_size=20),
        max_size=4,
    ),
    folder=st.text(min_size=1, max_size=20),
)
def test_what_is_printed_loads_again(tmp_path_factory, models, folder):
    loaded = load({"models": models, "data_dir": folder, "tls.certificate": "on", "tls.private_key": "1e3"}, {}, None)
    assert load({}, {}, _written(tmp_path_factory, render(loaded))).config == loaded.config


def _written(tmp_path_factory, text):
    path = tmp_path_factory.mktemp("config") / "printed.yaml"
    path.write_bytes(text.encode())
    assert yaml.safe_load(text)
    return path


@pytest.mark.parametrize(
    ("text", "kind", "numbers"),
    [("auto", "auto", ()), ("cuda:1,0", "cuda", (1, 0)), ("tensorrt:3", "tensorrt", (3,)), ("dml:0", "dml", (0,))],
)
def test_devices(text, kind, numbers):
    assert parse_device(text) == Device(kind, numbers)
    assert str(parse_device(text)) == text


@pytest.mark.parametrize(
    "text", ["", "CUDA", "cpu:0", "auto:1", "cuda:", "cuda:x", "cuda:1,", "cuda:0,0", "tensorrt:0,1", "cuda:100", "gpu"]
)
def test_devices_that_are_refused(text):
    with pytest.raises(ValueError, match=r"must be auto|takes one device|names a device twice"):
        parse_device(text)


def test_provider_options_are_texts_by_kind(file):
    options = {"cuda": {"gpu_mem_limit": 4294967296, "use_tf32": False}}
    path = file("provider_options: {cuda: {gpu_mem_limit: 4294967296, use_tf32: off}}")
    expected = {"cuda": {"gpu_mem_limit": "4294967296", "use_tf32": "0"}}
    assert load({"provider_options": options}, {}, None).config.provider_options == expected
    loaded = load({}, {}, path)
    assert loaded.config.provider_options == expected
    path.write_text(render(loaded))
    assert load({}, {}, path).config == loaded.config
    assert "did you mean cuda?" in problem({"provider_options": {"cudda": {}}})
    assert "must be a valid string" in problem({"provider_options": {"cuda": {"a": [1]}}})
    environ = {"NEARFIELD_PROVIDER_OPTIONS": "{cuda: "}
    assert '{"cuda": {"gpu_mem_limit": 4294967296}}' in problem(environ=environ)


def test_hub_ids_need_no_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    models = load({"models": ["org/Model-1.5@v2", "b=org/other"]}, {}, None).config.models
    assert models == {"Model-1.5": "org/Model-1.5@v2", "b": "org/other"}
    (tmp_path / "org/other").mkdir(parents=True)
    assert hub_id_of("org/other") is None
    assert "must be NAME=PATH" in problem({"models": ["org/other"]})


@pytest.mark.parametrize(
    "text", ["org", "/org/model", "./org", "a/b/c", "org/", "org/..", "org/m@", "org/m@../x", "a b/c"]
)
def test_what_is_no_hub_id(text):
    assert hub_id_of(text) is None
