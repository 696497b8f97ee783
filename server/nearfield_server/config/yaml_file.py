"""Reads YAML strictly: one document, one mapping, no key twice; and remembers the line of each key."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

__all__ = ["YamlProblem", "read_mapping"]


class YamlProblem(Exception):
    """What is wrong with the text, with its line."""


def read_mapping(text: str) -> tuple[dict[str, Any], dict[str, int]]:
    """Give the mapping that `text` holds, and the line of each key by its dotted path. An empty text is `{}`.

    Raises:
        YamlProblem: it isn't YAML, isn't a mapping, or has a key twice or one that isn't text.
    """
    try:
        node = yaml.compose(text, yaml.SafeLoader)
        if node is None:
            return {}, {}
        if not isinstance(node, yaml.MappingNode):
            msg = "must be a mapping of settings, such as `listen: 127.0.0.1:50051`"
            raise YamlProblem(msg)
        lines: dict[str, int] = {}
        for key, line in _keys(node, ""):
            if key in lines:
                msg = f"line {line}: {key} is set twice, before on line {lines[key]}"
                raise YamlProblem(msg)
            lines[key] = line
        return yaml.safe_load(text), lines
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        where = f"line {mark.line + 1}: " if mark else ""
        msg = f"{where}not YAML: {error.problem or error.context}"
        raise YamlProblem(msg) from error
    except (yaml.YAMLError, ValueError, RecursionError) as error:
        msg = f"not YAML: {str(error).partition(chr(10))[0]}"
        raise YamlProblem(msg) from error


def _keys(node: yaml.MappingNode, prefix: str) -> Iterator[tuple[str, int]]:
    for key, value in node.value:
        line = key.start_mark.line + 1
        if key.tag == "tag:yaml.org,2002:merge":
            msg = f"line {line}: `<<` isn't taken here"
            raise YamlProblem(msg)
        if key.tag != "tag:yaml.org,2002:str":
            msg = f"line {line}: the key {getattr(key, 'value', '')} is read as no text: put it in quotes"
            raise YamlProblem(msg)
        yield f"{prefix}{key.value}", line
        if isinstance(value, yaml.MappingNode):
            yield from _keys(value, f"{prefix}{key.value}.")
