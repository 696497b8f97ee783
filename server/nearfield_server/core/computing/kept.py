"""Results on the disk, until they expire.

    <folder>/<id>/head.json   what it is
    <folder>/<id>/NAME        its parts, each as bytes

A folder is written under another name and then renamed: what is there is whole.
"""

from __future__ import annotations

import asyncio
import difflib
import errno
import json
import logging
import os
import shutil
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from pydantic import TypeAdapter

from nearfield_server.core.uncut import uncut
from nearfield_server.errors import DataDamaged, FailedPrecondition, NearfieldError, StorageFull

__all__ = ["Kept", "KeptHead", "KeptSettings"]

logger = logging.getLogger("nearfield.computing")

_FORMAT = 1
_MAKING = ".making"
_SWEEP_SECONDS = 30.0
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


class KeptHead(Protocol):
    """What a result is, without what is large. `expires_at` None: never."""

    @property
    def id(self) -> str:
        """Its name."""

    @property
    def created_at(self) -> datetime:
        """When it was made."""

    @property
    def expires_at(self) -> datetime | None:
        """When it is deleted."""


_HeadT = TypeVar("_HeadT", bound=KeptHead)


class KeptSettings(Generic[_HeadT]):
    """What is kept: its dataclass, what to raise for ids that there are none of (given near ones), and how many."""

    def __init__(
        self, kind: type[_HeadT], *, missing: Callable[[str, tuple[str, ...]], NearfieldError], most: int, setting: str
    ) -> None:
        """`setting` is the name of what bounds them."""
        self.adapter = TypeAdapter(kind)
        self.missing = missing
        self.most = most
        self.setting = setting


class Kept(Generic[_HeadT]):
    """Saves, gives and deletes results. Used on the event loop."""

    def __init__(
        self, folder: Path, settings: KeptSettings[_HeadT], counted: Callable[[int], None] = lambda _: None
    ) -> None:
        """Keep them in `folder`, which is made with the first. Nothing is read before `open`."""
        self._folder = folder
        self._settings = settings
        self._counted = counted
        self._heads: dict[str, _HeadT] = {}
        self._sweeper: asyncio.Task[None] | None = None

    def __repr__(self) -> str:
        """Show how many there are."""
        return f"<Kept {len(self._heads)} of {self._settings.most} in {self._folder.name}>"

    async def open(self) -> None:
        """Read what is there; do away with what a killed server left half written."""
        self._heads = await asyncio.to_thread(self._load)
        self._counted(len(self._heads))
        self._sweeper = asyncio.create_task(self._sweep(), name=f"nearfield-{self._folder.name}-sweeper")

    async def close(self) -> None:
        """Stop sweeping."""
        if self._sweeper is not None:
            self._sweeper.cancel()

    def all(self) -> list[_HeadT]:
        """Give those that haven't expired, newest first."""
        heads = [one for one in self._heads.values() if not _expired(one)]
        return sorted(heads, key=lambda one: one.created_at, reverse=True)

    def head(self, id_: str) -> _HeadT:
        """Give one. Raises what `KeptSettings.missing` gives."""
        found = self._heads.get(id_)
        if found is None or _expired(found):
            raise self._settings.missing(id_, tuple(difflib.get_close_matches(id_[:64], self._heads)))
        return found

    def has(self, id_: str) -> bool:
        """Whether there is one that hasn't expired."""
        return id_ in self._heads and not _expired(self._heads[id_])

    def check_room(self) -> None:
        """Raise `FailedPrecondition` where no more may be kept."""
        if len(self._heads) >= self._settings.most:
            text = (
                f"{len(self._heads)} are kept, as many as may be ({self._settings.setting}): delete some, or keep them "
                "for less long"
            )
            raise FailedPrecondition(self._folder.name, text)

    async def save(self, head: _HeadT, parts: Mapping[str, bytes]) -> None:
        """Keep one; it is on the disk afterwards. Raises `StorageFull`."""
        try:
            await uncut(asyncio.to_thread(self._write, head, parts))
        except OSError as error:
            if error.errno not in _FULL:
                raise
            raise StorageFull("the disk is full: make free space, then try again", retry_after_seconds=5.0) from error
        self._heads[head.id] = head
        self._counted(len(self._heads))

    async def part(self, id_: str, name: str) -> bytes:
        """Give a part of one. Raises what `KeptSettings.missing` gives, or `DataDamaged`."""
        self.head(id_)
        file = self._folder / id_ / name
        try:
            return await asyncio.to_thread(file.read_bytes)
        except OSError as error:
            if id_ not in self._heads:
                raise self._settings.missing(id_, ()) from None  # it expired this moment
            raise DataDamaged(f"{file} can't be read: delete {id_}") from error

    async def delete(self, id_: str) -> None:
        """Delete one. Raises what `KeptSettings.missing` gives."""
        self.head(id_)
        await self._remove(id_)

    async def _remove(self, id_: str) -> None:
        self._heads.pop(id_, None)
        self._counted(len(self._heads))
        await asyncio.to_thread(shutil.rmtree, self._folder / id_, ignore_errors=True)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(_SWEEP_SECONDS)
            for one in list(self._heads.values()):
                if _expired(one):
                    await self._remove(one.id)

    def _load(self) -> dict[str, _HeadT]:
        heads = {}
        for folder in self._folder.iterdir() if self._folder.is_dir() else ():
            if folder.suffix == _MAKING:
                shutil.rmtree(folder, ignore_errors=True)
                continue
            if not folder.is_dir():
                continue
            try:
                content = json.loads((folder / "head.json").read_bytes())
                if content["format"] != _FORMAT:
                    raise ValueError(content["format"])  # noqa: TRY301
                head = self._settings.adapter.validate_python(content["head"])
            except (OSError, ValueError, KeyError, TypeError) as error:
                logger.warning("%s can't be read (%s): it isn't served", folder, type(error).__name__)
                continue
            heads[head.id] = head
        return heads

    def _write(self, head: _HeadT, parts: Mapping[str, bytes]) -> None:
        making = self._folder / f"{head.id}{_MAKING}"
        shutil.rmtree(making, ignore_errors=True)
        making.mkdir(parents=True)
        content: dict[str, Any] = {"format": _FORMAT, "head": self._settings.adapter.dump_python(head, mode="json")}
        try:
            for name, data in {**parts, "head.json": json.dumps(content, separators=(",", ":")).encode()}.items():
                with (making / name).open("wb") as file:
                    file.write(data)
                    file.flush()
                    os.fsync(file.fileno())
            making.rename(self._folder / head.id)
        except BaseException:
            shutil.rmtree(making, ignore_errors=True)
            raise
        handle = os.open(self._folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def _expired(head: KeptHead) -> bool:
    return head.expires_at is not None and head.expires_at <= datetime.now(UTC)
