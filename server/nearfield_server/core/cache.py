"""Raw vectors kept for inputs that come again (opt-in: `cache.max_bytes`).

Rules:

1. A row is kept as the model gave it, full width and not normalised: dimensions, element type and unit length are made
   from it for each reply.
2. A key is a keyed hash over everything that the raw row depends on, and over the tenant, which the server itself
   knows and no request can name. Two tenants never meet: a hit would tell one what the other embedded, by its speed.
3. The bytes stay within the bound at every moment. The least recently used row gives way first.
"""

from __future__ import annotations

import hashlib
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol, TypeAlias

import numpy as np
import numpy.typing as npt

__all__ = ["CacheKey", "CacheObserver", "CacheStatistics", "EmbeddingCache", "KeyMaker", "Misses", "plan_misses"]

Row: TypeAlias = npt.NDArray[Any]
"""Whatever the model gave for one input, of any shape."""

_KEY_BYTES = 16
# What an entry takes beside its numbers: array, key, digest and their places in three tables, measured.
_ENTRY_OVERHEAD_BYTES = 512
# Rows dropped at a time: lookups wait for no more.
_SLICE = 4096


class CacheKey(NamedTuple):
    """`model` is the SHA-256 of the model's file, by which its rows are dropped; `digest` holds all else."""

    model: str
    digest: bytes


@dataclass(frozen=True, slots=True)
class CacheStatistics:
    """What a cache holds, and what it did since it was made."""

    hits: int = 0
    misses: int = 0
    evictions: int = 0
    entries: int = 0
    bytes: int = 0


class CacheObserver(Protocol):
    """Is told what happens; `telemetry.cache_metrics.CacheMetrics` is one. Called under the cache's lock: be quick."""

    def looked_up(self, *, hits: int, misses: int) -> None:
        """Count keys that were asked for."""

    def evicted(self, count: int) -> None:
        """Count rows that gave way to others."""

    def holds(self, *, entries: int, bytes_: int) -> None:
        """Set what is held now."""


class KeyMaker:
    """Makes the keys of one tenant, model and variant."""

    def __init__(self, secret: bytes, tenant: str, model: str, variant: str) -> None:
        """Take what all keys have in common; `EmbeddingCache.keys` knows the secret."""
        self._model = model
        self._common = hashlib.blake2b(digest_size=_KEY_BYTES, key=secret)
        for part in (tenant, model, variant):
            _add(self._common, part.encode())

    def __call__(self, *parts: bytes | npt.NDArray[Any]) -> CacheKey:
        """Give the key of one input: its token ids, then its type ids if it has any; or the bytes of an image."""
        made = self._common.copy()
        for part in parts:
            if isinstance(part, bytes):
                _add(made, b"bytes")
                _add(made, part)
            else:
                _add(made, f"{part.dtype.str}{part.shape}".encode())
                _add(made, part.tobytes())
        return CacheKey(self._model, made.digest())


class EmbeddingCache:
    """Rows by key, bounded in bytes. Safe on any thread; nothing here blocks for longer than a few thousand entries."""

    def __init__(self, max_bytes: int, observer: CacheObserver | None = None) -> None:
        """Hold at most `max_bytes`, 1 or more, everything that belongs to an entry included."""
        self.max_bytes = max_bytes
        self._observer = observer
        # Digests mean nothing outside this process, and nobody can search for two inputs with the same one.
        self._secret = os.urandom(32)
        self._lock = threading.Lock()
        self._rows: OrderedDict[CacheKey, Row] = OrderedDict()
        self._by_model: dict[str, set[CacheKey]] = {}
        self._bytes = self._hits = self._misses = self._evictions = 0

    def __repr__(self) -> str:
        """Show what it holds."""
        return f"<EmbeddingCache of {self.max_bytes} bytes: {self.statistics()}>"

    def keys(self, *, tenant: str, model: str, variant: str) -> KeyMaker:
        """Give the maker of keys for one call.

        Args:
            tenant: who asks, as the server itself knows it; "" where there is but one.
            model: SHA-256 of the model's file.
            variant: whatever else the raw row depends on beside the input: output, pooling, provider.
        """
        return KeyMaker(self._secret, tenant, model, variant)

    def lookup(self, keys: Sequence[CacheKey]) -> list[Row | None]:
        """Give the row of each key, read-only, or `None`. What is found counts as used now."""
        with self._lock:
            found = [self._rows.get(key) for key in keys]
            hits = 0
            for key, row in zip(keys, found, strict=True):
                if row is not None:
                    self._rows.move_to_end(key)
                    hits += 1
            self._hits += hits
            self._misses += len(keys) - hits
            if self._observer is not None:
                self._observer.looked_up(hits=hits, misses=len(keys) - hits)
        return found

    def store(self, key: CacheKey, row: Row) -> None:
        """Keep a copy of `row`. One that is larger than the whole cache is not kept."""
        size = _size(row)
        if size > self.max_bytes:
            return
        kept = np.array(row, order="C")
        kept.flags.writeable = False
        with self._lock:
            if (old := self._rows.pop(key, None)) is not None:
                self._bytes -= _size(old)
            evicted = self._make_room(size)
            self._rows[key] = kept
            self._by_model.setdefault(key.model, set()).add(key)
            self._bytes += size
            self._tell(evicted)

    def drop_model(self, model: str) -> None:
        """Forget all rows of a model, by the SHA-256 of its file, when it is unloaded."""
        while True:
            with self._lock:
                keys = self._by_model.get(model, set())
                # `pop`, for the first of a set is found the slower the more were taken out before.
                for _ in range(min(_SLICE, len(keys))):
                    self._bytes -= _size(self._rows.pop(keys.pop()))
                if not keys:
                    self._by_model.pop(model, None)
                self._tell(0)
            if not keys:
                return

    def statistics(self) -> CacheStatistics:
        """Give what it holds and what it did."""
        with self._lock:
            return CacheStatistics(self._hits, self._misses, self._evictions, len(self._rows), self._bytes)

    def _make_room(self, size: int) -> int:
        evicted = 0
        while self._bytes + size > self.max_bytes:
            self._remove(next(iter(self._rows)))
            evicted += 1
        self._evictions += evicted
        return evicted

    def _remove(self, key: CacheKey) -> None:
        self._bytes -= _size(self._rows.pop(key))
        keys = self._by_model[key.model]
        keys.discard(key)
        if not keys:
            del self._by_model[key.model]

    def _tell(self, evicted: int) -> None:
        if self._observer is not None:
            if evicted:
                self._observer.evicted(evicted)
            self._observer.holds(entries=len(self._rows), bytes_=self._bytes)


@dataclass(frozen=True, slots=True)
class Misses:
    """What is left to compute of one call."""

    compute: tuple[int, ...]
    """Positions of the inputs to run: the first of each key that wasn't found."""
    source: tuple[int, ...]
    """For each input its place in `compute`, or -1 where the row was found."""


def plan_misses(keys: Sequence[CacheKey], found: Sequence[Row | None]) -> Misses:
    """Divide a call into what was found and what must run; an input that stands in it twice runs once."""
    places: dict[CacheKey, int] = {}
    compute: list[int] = []
    source: list[int] = []
    for index, (key, row) in enumerate(zip(keys, found, strict=True)):
        if row is not None:
            source.append(-1)
            continue
        if key not in places:
            places[key] = len(compute)
            compute.append(index)
        source.append(places[key])
    return Misses(tuple(compute), tuple(source))


def _size(row: Row) -> int:
    return row.nbytes + _ENTRY_OVERHEAD_BYTES


def _add(made: hashlib.blake2b, part: bytes) -> None:
    # Each part with its length before it: no two lists of parts make the same bytes.
    made.update(len(part).to_bytes(8, sys.byteorder))
    made.update(part)
