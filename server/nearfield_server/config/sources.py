"""The three places where settings are given, each read into dotted keys with the place of each."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from nearfield_server.config.catalogue import SECTIONS, SETTINGS, nearest
from nearfield_server.config.hub_id import hub_id_of
from nearfield_server.config.yaml_file import YamlProblem, read_mapping

__all__ = ["CONFIG_VARIABLE", "Source", "flag_name", "from_environment", "from_file", "from_flags", "variable_name"]

_PREFIX = "NEARFIELD_"
CONFIG_VARIABLE = "NEARFIELD_CONFIG"
"""Names the file when no flag does."""
_NOT_SETTINGS = {CONFIG_VARIABLE, "NEARFIELD_TARGET"}  # the second is the client commands'
_TESTS = "NEARFIELD_TEST_"
_FLAGS = {"models": "--model", "batching.workers": "--workers", "repository.path": "--model-repository"}
_MAX_FILE_BYTES = 1 << 20
# Settings that are mappings, with an example of each.
_MAPPINGS = {
    "models": '{"name": "folder"}',
    "aliases": '{"alias": "model"}',
    "provider_options": '{"cuda": {"gpu_mem_limit": 4294967296}}',
}


@dataclass(slots=True)
class Source:
    """Values by dotted key, where each was set, and what is wrong with the source itself."""

    values: dict[str, Any] = field(default_factory=dict)
    origins: dict[str, str] = field(default_factory=dict)
    places: dict[str, str] = field(default_factory=dict)
    """Like `origins`, but with the line, for messages."""
    problems: list[str] = field(default_factory=list)

    def add(self, key: str, value: Any, origin: str, place: str = "") -> None:
        """Keep one value."""
        self.values[key] = value
        self.origins[key] = origin
        self.places[key] = place or origin


def variable_name(key: str) -> str:
    """Give the environment variable of a dotted key."""
    return _PREFIX + key.upper().replace(".", "__")


def flag_name(key: str) -> str:
    """Give the flag of a dotted key."""
    return _FLAGS.get(key) or "--" + key.replace("_", "-").replace(".", "-")


def from_flags(flags: Mapping[str, object]) -> Source:
    """Read flags by dotted key; those that are `None` weren't given.

    `models` may be a mapping, or a sequence of NAME=PATH.
    """
    source = Source()
    for key, value in flags.items():
        if value is None:
            continue
        origin = f"flag {flag_name(key)}"
        if key not in SETTINGS:
            source.problems.append(f"{key}: no such setting{nearest(key)} ({origin})")
        elif key == "models" and isinstance(value, Sequence) and not isinstance(value, str):
            if value:
                source.add(key, _pairs(value, origin, source.problems), origin)
        else:
            source.add(key, value, origin)
    return source


def from_environment(environ: Mapping[str, str]) -> Source:
    """Read the variables NEARFIELD_*."""
    source = Source()
    keys = {variable_name(key): key for key in SETTINGS}
    for name, text in sorted(environ.items()):
        if not name.startswith(_PREFIX) or name in _NOT_SETTINGS or name.startswith(_TESTS):
            continue
        if (key := keys.get(name)) is None:
            source.problems.append(_unknown_variable(name))
        elif key in _MAPPINGS:
            _read_mapping(key, text, name, source)
        else:
            source.add(key, text, f"environment {name}")
    return source


def from_file(path: Path) -> Source:
    """Read a YAML file."""
    source = Source()
    try:
        with path.open("rb") as file:
            data = file.read(_MAX_FILE_BYTES + 1)
        if len(data) > _MAX_FILE_BYTES:
            source.problems.append(f"{path}: over {_MAX_FILE_BYTES} bytes: no settings file")
            return source
        values, lines = read_mapping(data.decode("utf-8-sig"))
    except OSError as error:
        source.problems.append(f"{path}: can't be read: {error.strerror or error}")
    except UnicodeDecodeError:
        source.problems.append(f"{path}: isn't UTF-8")
    except YamlProblem as problem:
        source.problems.append(f"{path}: {problem}")
    else:
        _flatten(values, "", _File(path.name, lines), source)
    return source


@dataclass(frozen=True, slots=True)
class _File:
    name: str
    lines: Mapping[str, int]

    @property
    def origin(self) -> str:
        return f"file {self.name}"

    def place(self, key: str) -> str:
        return f"{self.origin}, line {self.lines.get(key, 1)}"


def _flatten(values: Mapping[str, Any], prefix: str, file: _File, source: Source) -> None:
    for name, value in values.items():
        key = f"{prefix}{name}"
        if key in SETTINGS:
            source.add(key, {} if key in _MAPPINGS and value is None else value, file.origin, file.place(key))
        elif key not in SECTIONS:
            source.problems.append(f"{key}: no such setting{nearest(key)} ({file.place(key)})")
        elif isinstance(value, Mapping):
            _flatten(value, f"{key}.", file, source)
        elif value is not None:
            source.problems.append(f"{key}: must be a mapping of settings ({file.place(key)})")


def _pairs(texts: Sequence[object], origin: str, problems: list[str]) -> dict[str, str]:
    models: dict[str, str] = {}
    for text in map(str, texts):
        name, equals, folder = text.partition("=")
        if not equals and (on_hub := hub_id_of(text)):
            name, equals, folder = on_hub.name, "=", text
        if not (name and equals and folder):
            problems.append(f"models: {text!r} must be NAME=PATH, NAME=builtin, or ORG/MODEL of a hub ({origin})")
        elif name in models:
            problems.append(f"models: {name} is given twice ({origin})")
        else:
            models[name] = folder
    return models


def _read_mapping(key: str, text: str, name: str, source: Source) -> None:
    try:
        value = read_mapping(text)[0]
    except YamlProblem as problem:
        source.problems.append(f"{key}: {problem}; it takes a mapping such as {_MAPPINGS[key]} (environment {name})")
    else:
        source.add(key, value, f"environment {name}")


def _unknown_variable(name: str) -> str:
    key = name.removeprefix(_PREFIX).lower().replace("__", ".")
    if key in SECTIONS:
        return f"{name}: set its keys one by one, such as {variable_name(next(iter(SECTIONS[key])))} (environment)"
    found = nearest(key, show=variable_name)
    if not found and (name.startswith(f"{_PREFIX}PORT") or name.endswith(("_PORT", "_HOST", "_ADDR", "_PROTO"))):
        found = "; Kubernetes sets such variables for a service named nearfield: set enableServiceLinks: false"
    return f"{name}: no such setting{found} (environment)"
