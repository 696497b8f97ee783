"""The default engine: one folder per collection.

<folder>/.lock                       held while the server runs
<folder>/<name>/points.sqlite3       the truth
<folder>/<name>/spec.json            a copy of the spec, to list a collection whose truth can't be read
<folder>/<name>/index/               derived
<folder>/.new-…, <folder>/.gone-…    being made, being deleted: removed at the start
"""

from __future__ import annotations

import asyncio
import logging
import re
import secrets
import shutil
import sqlite3
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path

from nearfield_server.engines.base import Store
from nearfield_server.engines.embedded.codec import pack_spec
from nearfield_server.engines.embedded.collection import EmbeddedStore
from nearfield_server.engines.embedded.database import FILE, connect_writer, explain, sync_folder
from nearfield_server.engines.embedded.failed import FailedStore, unknown_spec
from nearfield_server.engines.embedded.lock import FolderLock
from nearfield_server.engines.embedded.payload_index import change_fields
from nearfield_server.engines.embedded.schema import create_tables
from nearfield_server.engines.embedded.settings import EmbeddedSettings
from nearfield_server.engines.embedded.spec_file import read_spec_file, write_spec_file
from nearfield_server.engines.embedded.threads import Threads
from nearfield_server.errors import AlreadyExists, CollectionNotFound, ConfigError, InvalidInput, NearfieldError
from nearfield_server.types import CollectionSpec, Durability

__all__ = ["EmbeddedEngine"]

logger = logging.getLogger("nearfield.search")

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_NEW = ".new-"
_GONE = ".gone-"


class EmbeddedEngine:
    """Collections in `folder`; see `Engine`."""

    def __init__(self, folder: Path, settings: EmbeddedSettings, clock: Callable[[], float] = time.time) -> None:
        """`clock` gives seconds since the epoch; points vanish by it."""
        self._folder = folder
        self._settings = settings
        self._clock = clock
        self._lock = FolderLock(folder)
        self._threads = Threads(settings.readers)
        self._stores: dict[str, EmbeddedStore | FailedStore] = {}
        self._making: set[str] = set()
        self._upkeep: list[asyncio.Task[None]] = []

    def __repr__(self) -> str:
        """Tell what it holds."""
        return f"EmbeddedEngine({str(self._folder)!r}, collections={sorted(self._stores)})"

    async def start(self) -> None:
        """Open what is there; see `Engine`."""
        folders = await asyncio.to_thread(self._take_folder)
        opened = await asyncio.gather(*[self._open(folder) for folder in folders])
        self._stores = {store.spec.name: store for store in opened}
        loop = asyncio.get_running_loop()
        self._upkeep = [loop.create_task(self._repeat(self._settings.sweep_seconds, self.sweep))]
        if self._settings.recall_seconds:
            self._upkeep.append(loop.create_task(self._repeat(self._settings.recall_seconds, self.measure_recall)))

    async def create(self, spec: CollectionSpec) -> Store:
        """Make a collection. Raises `AlreadyExists`."""
        if not _NAME.fullmatch(spec.name):
            raise InvalidInput("name", "it must be 1 to 64 letters, digits, dots, dashes or underscores")
        if spec.name in self._stores or spec.name in self._making:
            raise AlreadyExists("there is a collection of that name", spec.name)
        self._making.add(spec.name)
        try:
            folder = await asyncio.to_thread(self._make, spec)
            store = EmbeddedStore(folder, self._settings, self._threads, self._clock)
            try:
                await store.open()
            except BaseException:
                await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)
                raise
        except (sqlite3.Error, OSError) as error:
            raise explain(error, spec.name) from error
        finally:
            self._making.discard(spec.name)
        self._stores[spec.name] = store
        return store

    async def drop(self, name: str) -> None:
        """Delete a collection with its points. Raises `CollectionNotFound`."""
        store = self._stores.pop(name, None)
        if store is None:
            raise CollectionNotFound(name)
        store.refuse()
        self._making.add(name)  # until its folder is away
        try:
            gone = await asyncio.to_thread(self._move_away, name)
        finally:
            self._making.discard(name)
        await store.close()
        await asyncio.to_thread(shutil.rmtree, gone, ignore_errors=True)

    def stores(self) -> dict[str, Store]:
        """Give all collections by name, as they are now."""
        return dict(self._stores)

    async def sweep(self) -> None:
        """Delete what is past its time, now."""
        for store in list(self._stores.values()):
            try:
                await store.sweep()
            except (NearfieldError, sqlite3.Error) as error:
                logger.warning("points past their time stay for now: %s", type(error).__name__)

    async def measure_recall(self) -> None:
        """Compare indexes with exact search, now, one after the other."""
        for store in list(self._stores.values()):
            try:
                await store.measure_recall()
            except (NearfieldError, sqlite3.Error) as error:
                logger.warning("the recall of an index isn't measured for now: %s", type(error).__name__)

    async def close(self) -> None:
        """Let calls end, and give everything back."""
        for task in self._upkeep:
            task.cancel()
        await asyncio.gather(*self._upkeep, return_exceptions=True)
        await asyncio.gather(*[store.close() for store in self._stores.values()])
        self._stores = {}
        await asyncio.to_thread(self._threads.close)
        self._lock.give_back()

    @staticmethod
    async def _repeat(seconds: float, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            await asyncio.sleep(seconds)
            await work()

    async def _open(self, folder: Path) -> EmbeddedStore | FailedStore:
        store = EmbeddedStore(folder, self._settings, self._threads, self._clock)
        try:
            await store.open()
        except Exception as error:
            why = error.message if isinstance(error, NearfieldError) else f"it can't be opened: {type(error).__name__}"
            logger.exception("collection %s can't be opened", folder.name)
            spec = await asyncio.to_thread(read_spec_file, folder)
            return FailedStore(replace(spec, name=folder.name) if spec else unknown_spec(folder.name), why)
        return store

    def _take_folder(self) -> list[Path]:
        """Take the lock, remove what was half-made or half-deleted, and give the folders of collections."""
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            self._lock.take()
            for folder in self._folder.iterdir():
                if folder.name.startswith((_NEW, _GONE)):
                    shutil.rmtree(folder, ignore_errors=True)
            return [one for one in sorted(self._folder.iterdir()) if one.is_dir() and _NAME.fullmatch(one.name)]
        except OSError as error:
            raise ConfigError(f"the data folder {self._folder} can't be used: {error.strerror}") from error

    def _make(self, spec: CollectionSpec) -> Path:
        """Make a collection's folder under another name, then give it its own: there is none that is half-made."""
        made = self._folder / f"{_NEW}{secrets.token_hex(8)}"
        made.mkdir()
        try:
            write_spec_file(made, spec)
            connection = connect_writer(made / FILE, Durability.DISK)
            try:
                create_tables(connection, pack_spec(spec))
                change_fields(connection, spec.payload_indexes)
            finally:
                connection.close()
            sync_folder(made)
            folder = self._folder / spec.name
            made.rename(folder)
            sync_folder(self._folder)
        except BaseException:
            shutil.rmtree(made, ignore_errors=True)
            raise
        return folder

    def _move_away(self, name: str) -> Path:
        gone = self._folder / f"{_GONE}{secrets.token_hex(8)}"
        (self._folder / name).rename(gone)
        sync_folder(self._folder)
        return gone
