"""Classifiers on the disk, by name and version: `computing.kept` with a counter of versions.

    <folder>/NAME@VERSION/head.json        what it is
    <folder>/NAME@VERSION/classifier.bin   all of it (`codec`)
    <folder>/versions.json                 of names whose newest version was deleted: the number that it had

A number is never given twice while a name has versions: `name@3` means one classifier for good.
"""

from __future__ import annotations

import asyncio
import difflib
import json
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from nearfield_server.core.classifiers.codec import decode, encode
from nearfield_server.core.classifiers.nouns import Classifier, Head
from nearfield_server.core.computing.kept import Kept, KeptSettings
from nearfield_server.core.json_file import write_json
from nearfield_server.errors import ClassifierNotFound, DataDamaged

__all__ = ["KeptClassifiers"]

_PART = "classifier.bin"
_MOST_LOADED = 64
"""Classifiers whose weights are held; the one that wasn't asked for longest goes."""


class KeptClassifiers(Kept[Head]):
    """Saves, gives and deletes classifiers. Used on the event loop."""

    def __init__(self, folder: Path, most: int, counted: Callable[[int], None]) -> None:
        """Keep up to `most` versions in `folder`; `counted` hears how many there are."""
        settings = KeptSettings(Head, missing=ClassifierNotFound, most=most, setting="cluster.max_kept")
        super().__init__(folder, settings, counted)
        self._counters = folder / "versions.json"
        self._highest: dict[str, int] = {}
        self._loaded: OrderedDict[str, Classifier] = OrderedDict()
        self._writing = asyncio.Lock()

    async def open(self) -> None:
        """Read what is there. Raises `DataDamaged` where the numbers of versions can't be read."""
        self._highest = await asyncio.to_thread(_read_counters, self._counters)
        await super().open()

    def versions(self, name: str) -> list[Head]:
        """Give all versions of a name, newest first."""
        # Asked for with every call: all others aren't put in order.
        found = [one for one in self._heads.values() if one.name == name]
        return sorted(found, key=lambda one: one.version, reverse=True)

    def listed(self) -> list[Head]:
        """Give all versions of all names, by name, newest first."""
        return sorted(self.all(), key=lambda one: (one.name, -one.version))

    def find(self, name: str) -> Head:
        """Give the version that `name@version` names, or the newest of `name`. Raises `ClassifierNotFound`."""
        if "@" in name and self.has(name):
            return self.head(name)
        if "@" not in name and (found := self.versions(name)):
            return found[0]
        known = sorted({one.name for one in self.all()} | {one.id for one in self.versions(name.partition("@")[0])})
        raise ClassifierNotFound(name, tuple(difflib.get_close_matches(name[:80], known)))

    async def add(self, one: Classifier) -> Classifier:
        """Keep it as the newest version of its name; it is on the disk afterwards. Raises `StorageFull`."""
        async with self._writing:
            self.check_room()
            name = one.head.name
            newest = max((head.version for head in self.versions(name)), default=0)
            version = 1 + (max(newest, self._highest.get(name, 0)) if newest else 0)
            made = Classifier(replace(one.head, version=version), one.weights)
            await self.save(made.head, {_PART: await asyncio.to_thread(encode, made)})
            return made

    async def load(self, name: str) -> Classifier:
        """Give one, whole, as `find` does. Raises `ClassifierNotFound` or `DataDamaged`."""
        id_ = self.find(name).id
        if (known := self._loaded.get(id_)) is not None:
            self._loaded.move_to_end(id_)
            return known
        data = await self.file(id_)
        try:
            found = await asyncio.to_thread(decode, data)
        except ValueError as error:
            raise DataDamaged(f"classifier {id_} {error}: delete it, and train or import it anew") from error
        if self.has(id_):
            self._loaded[id_] = found
            while len(self._loaded) > _MOST_LOADED:
                self._loaded.popitem(last=False)
        return found

    async def file(self, id_: str) -> bytes:
        """Give the file of a version. Raises `ClassifierNotFound` or `DataDamaged`."""
        return await self.part(id_, _PART)

    async def drop(self, name: str) -> int:
        """Delete a version, or all of a name; give how many that were. Raises `ClassifierNotFound`."""
        async with self._writing:
            head = self.find(name)
            there = self.versions(head.name)
            gone = [head] if "@" in name else there
            self._count(head.name, there[0].version if len(gone) < len(there) else 0)
            await asyncio.to_thread(write_json, self._counters, self._highest)
            for one in gone:
                self._loaded.pop(one.id, None)
                await self.delete(one.id)
            return len(gone)

    def _count(self, name: str, newest: int) -> None:
        if newest:
            self._highest[name] = max(newest, self._highest.get(name, 0))
        else:
            self._highest.pop(name, None)


def _read_counters(file: Path) -> dict[str, int]:
    try:
        content = json.loads(file.read_bytes())
        return {str(name): int(number) for name, number in content.items()}
    except FileNotFoundError:
        return {}
    except (OSError, ValueError, AttributeError, TypeError) as error:
        raise DataDamaged(
            f"{file} can't be read: delete it; numbers of deleted versions may then come again"
        ) from error
