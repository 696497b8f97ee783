"""Paths into payloads.

Dots stand between keys: `author.name`. A key that itself holds a dot is put in double quotes: `"a.b".c`. Within quotes
everything stands for itself; a key that begins with a quote, or holds both a quote and a dot, can't be named.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any

from nearfield_server.types import Json, Selection

__all__ = ["MAX_PATH", "path_of", "select_payload", "split_path", "values_at"]

MAX_PATH = 256
"""Characters of a path."""


@lru_cache(maxsize=4096)
def split_path(path: str) -> tuple[str, ...]:
    """Give the keys of a path. Raises `ValueError`, which says what is wrong, for what is no path."""
    if not 1 <= len(path) <= MAX_PATH:
        raise ValueError(f"a path has 1 to {MAX_PATH} characters")
    keys, at = [], 0
    while True:
        if path.startswith('"', at):
            end = path.find('"', at + 1)
            if end < 0 or path[end + 1 : end + 2] not in {"", "."}:
                raise ValueError("a key in quotes must end with a quote, and a dot or nothing behind it")
            keys.append(path[at + 1 : end])
            end += 1
        else:
            end = path.find(".", at)
            end = len(path) if end < 0 else end
            if end == at:
                raise ValueError("a key is missing before or after a dot")
            keys.append(path[at:end])
        if end == len(path):
            return tuple(keys)
        at = end + 1


def path_of(keys: Sequence[str]) -> str:
    """Give the path of some keys: what `split_path` divides."""
    return ".".join(f'"{key}"' if not key or "." in key else key for key in keys)


def values_at(payload: Mapping[str, Json], path: str) -> Iterator[Json]:
    """Give what stands at a path: lists on the way and at its end are gone through, lists in lists too."""
    return _below(payload, split_path(path), 0)


def _below(value: Json, keys: tuple[str, ...], depth: int) -> Iterator[Json]:
    if isinstance(value, list):
        for one in value:
            yield from _below(one, keys, depth)
    elif depth == len(keys):
        yield value
    elif isinstance(value, Mapping) and keys[depth] in value:
        yield from _below(value[keys[depth]], keys, depth + 1)


def select_payload(payload: Mapping[str, Json], select: Selection) -> dict[str, Json]:
    """Give the parts of a payload at `include` (empty: all of it) less those at `exclude`. Lists keep their length."""
    if not select.payload:
        return {}
    found: Any = dict(payload)
    if select.include:
        found = _only(payload, _tree(select.include))
    return dict(_without(found, _tree(select.exclude))) if select.exclude else dict(found)


_Tree = dict[str, Any]
"""Key to what is wanted below it; an empty one: all."""


def _tree(paths: Sequence[str]) -> _Tree:
    root: _Tree = {}
    for path in sorted(map(split_path, paths), key=len):
        node = root
        for number, key in enumerate(path):
            if key in node and not node[key]:  # a shorter path has it all
                break
            node = node.setdefault(key, {})
            if number == len(path) - 1:
                node.clear()
    return root


def _only(value: Json, tree: _Tree) -> Json:
    if isinstance(value, list):
        return [_only(one, tree) for one in value if isinstance(one, (dict, list))]
    found = {}
    for key, below in tree.items():
        if key in value:
            inner = value[key]
            if not below:
                found[key] = inner
            elif isinstance(inner, (dict, list)):
                found[key] = _only(inner, below)
    return found


def _without(value: Json, tree: _Tree) -> Json:
    if isinstance(value, list):
        return [_without(one, tree) for one in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: inner for key, inner in value.items() if tree.get(key, True)}
    return {key: _without(inner, tree[key]) if key in tree else inner for key, inner in kept.items()}
