"""Which versions of the model repository may be loaded, under the names that settings and aliases leave free."""

from __future__ import annotations

import logging
from collections.abc import Callable, Container
from dataclasses import dataclass
from pathlib import Path

from nearfield_server.core.aliases import DEFAULT, Aliases
from nearfield_server.core.models import Key
from nearfield_server.core.repository import Repository, natural_order
from nearfield_server.errors import FailedPrecondition, ModelLoadFailure, ModelNotFound

__all__ = ["Catalogue"]

logger = logging.getLogger("nearfield.models")


@dataclass(frozen=True, slots=True)
class Catalogue:
    """A repository seen through the aliases. Reads folders: call it off the event loop."""

    repository: Repository
    aliases: Aliases

    def has(self, name: str) -> bool:
        """Whether `name` is a model of the repository, or `name@version` one of its versions."""
        model, _, version = name.partition("@")
        versions = self.repository.versions(model)
        return version in versions if version else bool(versions)

    def at_start(self, configured: Container[str]) -> dict[Key, Path]:
        """Give folders of the latest version of each name, and of those that aliases stand for.

        Names that are `configured` or aliases are left out.
        """
        aliases = self.aliases.all()
        listed: dict[Key, Path] = {}
        for name in self.repository.names():
            if name in configured or name in aliases:
                holder = "the settings name a model so" if name in configured else "an alias has its name"
                logger.warning("a model of the repository is not served: %s", holder, extra={"model": name})
                continue
            pinned = [target.partition("@")[2] for target in aliases.values() if target.startswith(f"{name}@")]
            for version in (self.repository.latest(name), *sorted(pinned, key=natural_order)):
                folder = self.repository.folder(name, version) if version else None
                if version and folder is not None:
                    listed[Key(name, version)] = folder
        return listed

    def check_aliases(self, is_model: Callable[[str], bool]) -> None:
        """Warn of aliases that stand for nothing. Raises `ModelLoadFailure` if `default` is one."""
        for alias, target in self.aliases.all().items():
            if is_model(target):
                continue
            if alias == DEFAULT:
                msg = f"the alias default stands for {target}, which the repository {self.repository.path} lacks: put "
                raise ModelLoadFailure(msg + f"it there, or take the alias out of {self.aliases.place(alias)}")
            logger.warning("an alias stands for a model that isn't there", extra={"alias": alias, "model": target})

    def find(self, name: str, version: str) -> tuple[Key, Path]:
        """Give a version to be loaded, empty: the latest, and its folder.

        Raises:
            ModelNotFound: the repository has none of that name or version.
            FailedPrecondition: an alias has its name.
        """
        found = version or self.repository.latest(name) or ""
        folder = self.repository.folder(name, found)
        if folder is None:
            versions = self.repository.versions(name)
            if versions:
                raise ModelNotFound(f"{name}@{version}", tuple(f"{name}@{one}" for one in versions[-3:]))
            raise ModelNotFound(name, tuple(self.repository.names()[:3]))
        key = Key(name, found)
        for taken in (name, str(key)):
            if (target := self.aliases.target(taken)) is not None:
                text = f"{taken} is an alias of {target}: delete the alias, or give the model another name"
                raise FailedPrecondition(f"aliases/{taken}", text)
        return key, folder
