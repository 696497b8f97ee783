"""A model named by its hub id becomes a folder, where the machine is online."""

from __future__ import annotations

import os
import re
from pathlib import Path

from nearfield_server.export.errors import SourceError

__all__ = ["resolve"]

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*(/[A-Za-z0-9][\w.-]*)?(@[\w.-]+)?")
# No pickles, and nothing of other frameworks.
_FILES = ["*.json", "*.safetensors", "*.txt", "*.model", "*.md", "LICENSE*", "NOTICE*", "artifact.metadata"]


def resolve(model: str) -> tuple[Path, str]:
    """The folder of `model` and its hub id; the id is empty for a folder of the user's own.

    Raises SourceError when it is neither a folder nor an id that can be downloaded.
    """
    path = Path(model).expanduser()
    if path.is_dir():
        return path, ""
    if path.exists() or path.is_absolute() or not _HUB_ID.fullmatch(model) or model.startswith("."):
        raise SourceError(f"{model} is no folder; give a model folder, or a hub id such as intfloat/e5-small-v2")
    from huggingface_hub import constants, snapshot_download  # noqa: PLC0415 - seldom needed

    name, _, revision = model.partition("@")
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    advice = f"{model} is no folder here, and the hub can't be asked for it"
    if constants.HF_HUB_OFFLINE:
        raise SourceError(f"{advice} (HF_HUB_OFFLINE is set): give a model folder instead")
    try:
        folder = snapshot_download(name, revision=revision or None, allow_patterns=_FILES, etag_timeout=5)
    except Exception as error:  # the library and its HTTP client raise many kinds
        first = str(error).strip().partition("\n")[0][:200]
        raise SourceError(f"{advice} ({type(error).__name__}: {first}): give a model folder instead") from error
    return Path(folder), name
