"""The facts at the head of a model's README.md, as the hub defines them."""

from __future__ import annotations

from pathlib import Path

import yaml

__all__ = ["card_license"]

_MAX_BYTES = 1 << 20
_FENCE = "---"


def card_license(folder: Path) -> str:
    """Give the licence that README.md states between its first two lines of `---`; empty: none that can be read."""
    try:
        with (folder / "README.md").open("rb") as file:
            text = file.read(_MAX_BYTES).decode("utf-8", "replace")
        first, _, rest = text.lstrip("\ufeff").partition("\n")
        head, fence, _ = rest.partition(f"\n{_FENCE}")
        values = yaml.safe_load(head) if first.strip() == _FENCE and fence else None
    except (OSError, yaml.YAMLError, ValueError, RecursionError):
        return ""
    if not isinstance(values, dict):
        return ""
    # "other" is the hub's word for a licence with a name of its own.
    stated = values.get("license_name") if values.get("license") == "other" else values.get("license")
    return stated[:100] if isinstance(stated, str) else ""
