"""Ids of models on a hub: ORG/MODEL, with @REVISION where one is pinned."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

__all__ = ["HubId", "hub_id_of"]

# Names as the Hugging Face hub allows them, see huggingface_hub.utils.validate_repo_id.
_PART = r"[A-Za-z0-9](?:[A-Za-z0-9_]|[.-](?![.-]))*(?<![.-])"
_ID = re.compile(rf"(?P<repo>{_PART}/{_PART})(?:@(?P<revision>[A-Za-z0-9][A-Za-z0-9._/-]*))?")
_MAX_LENGTH = 96


@dataclass(frozen=True, slots=True)
class HubId:
    """A repository and a branch, tag or commit of it."""

    repo: str
    revision: str = "main"

    def __str__(self) -> str:
        """Write it as it is given."""
        return f"{self.repo}@{self.revision}"

    @property
    def name(self) -> str:
        """The last part, which the model is called by if nothing else is said."""
        return self.repo.rpartition("/")[2]


def hub_id_of(text: str) -> HubId | None:
    """Read an id; `None`: `text` doesn't look like one, or is a path that exists, which goes first."""
    found = _ID.fullmatch(text)
    if found is None or len(found["repo"]) > _MAX_LENGTH or ".." in text or Path(text).exists():
        return None
    return HubId(found["repo"], found["revision"] or "main")
