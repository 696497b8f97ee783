"""Flags over environment over file over defaults, and where each value came from. All that is wrong is told at once."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError
from pydantic_core import ErrorDetails

from nearfield_server.config.catalogue import SECTIONS, SETTINGS
from nearfield_server.config.settings import Config
from nearfield_server.config.sources import CONFIG_VARIABLE, Source, from_environment, from_file, from_flags
from nearfield_server.errors import ConfigError

__all__ = ["Loaded", "load", "render"]

_DEFAULT = "default"
_MAX_SHOWN = 60


@dataclass(frozen=True, slots=True)
class Loaded:
    """The settings, and by dotted key where each came from: `default`, `file …`, `environment …` or `flag …`."""

    config: Config
    origins: Mapping[str, str]


def load(flags: Mapping[str, object], environ: Mapping[str, str], file: Path | None) -> Loaded:
    """Put the settings together.

    Args:
        flags: values by dotted key, such as `{"limits.max_inputs": 64}`; `None` means not given. `models` may be a
            sequence of NAME=PATH.
        environ: the environment; only names that start with NEARFIELD_ count.
        file: the YAML file; `None`: the one that NEARFIELD_CONFIG names, if any.

    Raises:
        ConfigError: unknown keys, wrong values, a file that can't be read; the message has a line for each.
    """
    if file is None and environ.get(CONFIG_VARIABLE):
        file = Path(environ[CONFIG_VARIABLE])
    sources = [from_file(file)] if file is not None else []
    sources += [from_environment(environ), from_flags(flags)]
    merged = Source()
    for source in sources:  # later ones win
        merged.values |= source.values
        merged.origins |= source.origins
        merged.places |= source.places
        merged.problems += source.problems
    config = _validate(merged)
    if merged.problems or config is None:
        raise _error(merged.problems)
    return Loaded(config, {key: merged.origins.get(key, _DEFAULT) for key in SETTINGS})


def render(loaded: Loaded) -> str:
    """Write the settings as YAML that `load` reads back, each line with its origin as a comment."""
    lines, section = [], ""
    for key in SETTINGS:
        head, dot, name = key.partition(".")
        if dot and head != section:
            section = head
            lines.append(f"{head}:")
        value: Any = loaded.config
        for part in key.split("."):
            value = getattr(value, part)
        origin = _comment(loaded.origins[key])
        indent = "  " if dot else ""
        if isinstance(value, dict):
            lines.append(f"{indent}{name or head}:{'' if value else ' {}'}  # {origin}")
            lines += [f"{indent}  {_scalar(inner)}: {_shallow(one)}" for inner, one in value.items()]
        else:
            lines.append(f"{indent}{name or head}: {_scalar(value)}  # {origin}")
    return "\n".join(lines) + "\n"


def _validate(source: Source) -> Config | None:
    """Give the settings, or `None` after adding what is wrong to the problems."""
    nested: dict[str, Any] = {}
    for key, value in source.values.items():
        head, _, name = key.partition(".")
        if name:
            nested.setdefault(head, {})[name] = value
        else:
            nested[head] = value
    try:
        return Config.model_validate(nested)
    except ValidationError as error:
        source.problems += [_problem(one, source.places) for one in error.errors(include_url=False)]
        return None


def _problem(error: ErrorDetails, places: Mapping[str, str]) -> str:
    """Write "key: what is wrong, not the value (where it was set)"."""
    loc = [str(part) for part in error["loc"]]
    key = ".".join(loc[:2]) if ".".join(loc[:2]) in SETTINGS else loc[0]
    if "[key]" in loc:
        message = f"a model's name has 1 to 64 of A-Z a-z 0-9 . _ - and starts with a letter or digit, not {loc[1]!r}"
        named = key
    else:
        message = _message(error)
        named = ".".join(loc)
        if key in SETTINGS and error["input"] not in (None, SETTINGS[key].default):
            message += f", not {_shown(error['input'])}"
    where = [places[one] for one in SECTIONS.get(key, (key,)) if one in places]
    return f"{named}: {message} ({'; '.join(dict.fromkeys(where)) or _DEFAULT})"


def _message(error: ErrorDetails) -> str:
    if error["type"].startswith("int_"):
        return "must be a whole number"
    if error["type"].startswith("float_"):
        return "must be a number"
    message = error["msg"].removeprefix("Value error, ")
    return message.replace("Input should be", "must be").replace("String should", "must")


def _error(problems: list[str]) -> ConfigError:
    if len(problems) == 1:
        return ConfigError(problems[0])
    return ConfigError("\n".join([f"{len(problems)} settings are wrong:", *(f"  {one}" for one in problems)]))


def _shown(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= _MAX_SHOWN else text[:_MAX_SHOWN] + "…"


def _comment(origin: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in origin)


def _shallow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{_scalar(key)}: {json.dumps(one)}" for key, one in value.items()) + "}"
    return _scalar(value)


def _scalar(value: Any) -> str:
    if value is None or isinstance(value, (bool, int, float)):
        return str(yaml.safe_dump(value)).partition("\n")[0]
    text = str(value)
    written = str(yaml.safe_dump(text, width=1 << 30, allow_unicode=True)).removesuffix("\n").removesuffix("\n...")
    if "\n" in written or not text.isprintable():
        written = str(yaml.safe_dump(text, width=1 << 30, default_style='"')).strip()
    return written
