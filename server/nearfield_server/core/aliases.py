"""Names that stand for models: from the settings, then as callers set them, kept in a file of the data folder."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

from nearfield_server.core.json_file import write_json
from nearfield_server.errors import ConfigError

__all__ = ["DEFAULT", "Aliases"]

DEFAULT = "default"
"""The alias that a call without a model name means."""


class Aliases:
    """Alias to target: a model's name, or `name@version`."""

    def __init__(self, file: Path, configured: Mapping[str, str]) -> None:
        """Read `file`, if there is one. Raises `ConfigError` that names it when it is damaged."""
        self._file = file
        self._configured = dict(configured)
        # None: an alias of the settings that somebody deleted.
        self._set: dict[str, str | None] = _read(file)

    def all(self) -> dict[str, str]:
        """Targets by alias, in the order of the aliases."""
        merged: dict[str, str | None] = {**self._configured, **self._set}
        return {alias: target for alias, target in sorted(merged.items()) if target is not None}

    def target(self, alias: str) -> str | None:
        """What `alias` stands for."""
        return self._set.get(alias, self._configured.get(alias))

    def place(self, alias: str) -> str:
        """Where `alias` was set, for messages."""
        return str(self._file) if alias in self._set else "the settings"

    def of(self, *targets: str) -> tuple[str, ...]:
        """Aliases that stand for one of `targets`."""
        return tuple(alias for alias, target in self.all().items() if target in targets)

    def put(self, targets: Mapping[str, str]) -> None:
        """Let each alias stand for its target, or for nothing (empty), all at once. On the disk when this returns."""
        changed = dict(self._set)
        for alias, target in targets.items():
            if target:
                changed[alias] = target
            elif alias in self._configured:
                changed[alias] = None
            else:
                changed.pop(alias, None)
        write_json(self._file, changed)
        self._set = changed


def _read(file: Path) -> dict[str, str | None]:
    try:
        content = json.loads(file.read_text("utf-8"))
    except FileNotFoundError:
        return {}
    except (OSError, ValueError) as error:
        msg = f"{file}: can't be read: {error}; mend or delete it, and set the aliases again"
        raise ConfigError(msg) from error
    if not isinstance(content, dict) or not all(one is None or isinstance(one, str) for one in content.values()):
        msg = f"{file}: must map aliases to models; mend or delete it, and set the aliases again"
        raise ConfigError(msg)
    return content
