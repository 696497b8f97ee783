import re
from pathlib import Path

import pytest
from typer.main import get_command

from nearfield_server.cli.program import app
from nearfield_server.config.catalogue import SETTINGS
from nearfield_server.config.loader import load
from nearfield_server.config.sources import flag_name, variable_name

PAGE = (Path(__file__).parents[2] / "docs" / "configuration.md").read_text("utf-8")
SECTIONS = dict(re.findall(r"^### `([^`]+)`\n(.*?)(?=^##|\Z)", PAGE, re.MULTILINE | re.DOTALL))


def test_every_setting_has_a_heading_in_the_order_of_the_code():
    assert list(SECTIONS) == list(SETTINGS)


@pytest.mark.parametrize("key", SETTINGS)
def test_each_tells_meaning_default_and_variable(key):
    words = " ".join(SECTIONS[key].split())
    assert SETTINGS[key].description in words
    assert f"environment `{variable_name(key)}`" in words
    default = re.search(r"Default `([^`]*)`;", words)
    assert default
    if SETTINGS[key].default is not None:
        mapping = isinstance(SETTINGS[key].default, dict)
        value = {key: default[1]} if not mapping else {}
        environ = {variable_name(key): default[1]} if mapping else {}
        loaded = load(value, environ, None)
        assert _value(loaded.config, key) == SETTINGS[key].default


def test_flags_are_told_where_there_are_some():
    options = {name for one in get_command(app).commands["serve"].params for name in one.opts}
    expected = {key: flag_name(key) for key in SETTINGS if flag_name(key) in options}
    told = {key: re.search(r"The flag is `(--[a-z-]+)", " ".join(text.split())) for key, text in SECTIONS.items()}
    assert {key: found[1] for key, found in told.items() if found} == expected
    assert options - set(expected.values()) == {"--config", "--print-config"}


def test_the_example_loads_and_holds_every_default(tmp_path):
    (example,) = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)
    path = tmp_path / "nearfield.yaml"
    path.write_text(example)
    loaded = load({}, {}, path)
    assert {key: _value(loaded.config, key) for key in SETTINGS} == {key: one.default for key, one in SETTINGS.items()}
    left_out = {key for key, origin in loaded.origins.items() if origin == "default"}
    assert left_out == {
        "tls.certificate",
        "tls.private_key",
        "tls.client_ca",
        "hub.cache_dir",
        "hub.token_file",
        "repository.path",
        "qdrant.api_key_file",
    }
    with_tls = "\n".join(
        line.removeprefix("# ") if "tls" in line or ":   " in line else line for line in example.splitlines()
    )
    path.write_text(re.sub(r"^#   ", "  ", with_tls, flags=re.MULTILINE))
    assert load({}, {}, path).origins["tls.client_ca"] == "file nearfield.yaml"


def _value(config, key):
    for part in key.split("."):
        config = getattr(config, part)
    return config
