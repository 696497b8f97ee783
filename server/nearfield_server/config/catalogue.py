"""All settings by dotted key, read off the models, and which one somebody may have meant."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from nearfield_server.config.settings import Config

__all__ = ["SECTIONS", "SETTINGS", "Setting", "nearest"]


@dataclass(frozen=True, slots=True)
class Setting:
    """One setting: its dotted key, its default, and its meaning with unit and range."""

    key: str
    default: Any
    description: str


def _leaves(model: BaseModel, prefix: str) -> Iterator[Setting]:
    for name, info in type(model).model_fields.items():
        value = getattr(model, name)
        if isinstance(value, BaseModel):
            yield from _leaves(value, f"{prefix}{name}.")
        else:
            yield Setting(f"{prefix}{name}", value, info.description or "")


SETTINGS: Mapping[str, Setting] = {one.key: one for one in _leaves(Config(), "")}
"""Every setting by its dotted key, in the order of the models."""
SECTIONS: Mapping[str, tuple[str, ...]] = {
    section: tuple(key for key in SETTINGS if key.startswith(f"{section}."))
    for section in dict.fromkeys(key.partition(".")[0] for key in SETTINGS if "." in key)
}
"""Dotted keys of each section."""


def nearest(key: str, show: Callable[[str], str] = str) -> str:
    """Give "; did you mean …?" with the most likely setting as `show` writes it, or nothing."""
    wanted = key.lower().replace("-", "_")
    last = wanted.rpartition(".")[2]
    same = [one for one in SETTINGS if one.rpartition(".")[2] == last]
    close = difflib.get_close_matches(wanted, SETTINGS, n=1, cutoff=0.7)
    close = close or difflib.get_close_matches(wanted, SECTIONS, n=1, cutoff=0.75)
    if not same and not close:
        tails: dict[str, str] = {}
        for one in SETTINGS:  # of two that end alike, the one that comes first, such as drain_seconds
            tails.setdefault(one.rpartition(".")[2], one)
        alike = difflib.get_close_matches(last, tails, n=1, cutoff=0.75)
        alike += [one for one in tails if last and one.startswith(f"{last}_")]
        close = [tails[one] for one in alike]
    found = [*same, *close]
    return f"; did you mean {show(found[0])}?" if found else ""
