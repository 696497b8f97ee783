"""The metrics of the embedding cache; part of `metrics`, which explains the rules."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge

__all__ = ["CacheMetrics"]


class CacheMetrics:
    """Implements `core.cache.CacheObserver`. Safe on any thread. All stay 0 while the cache is off."""

    def __init__(self, registry: CollectorRegistry) -> None:
        """Make all series."""
        self._hits = Counter("nearfield_cache_hits", "Inputs found in the cache", registry=registry)
        self._misses = Counter("nearfield_cache_misses", "Inputs not found in the cache", registry=registry)
        self._evictions = Counter("nearfield_cache_evictions", "Vectors that gave way to others", registry=registry)
        self._bytes = Gauge("nearfield_cache_bytes", "Memory of the vectors kept", registry=registry)
        self._entries = Gauge("nearfield_cache_entries", "Vectors kept", registry=registry)

    def looked_up(self, *, hits: int, misses: int) -> None:
        """Count keys that were asked for."""
        self._hits.inc(hits)
        self._misses.inc(misses)

    def evicted(self, count: int) -> None:
        """Count vectors that gave way to others."""
        self._evictions.inc(count)

    def holds(self, *, entries: int, bytes_: int) -> None:
        """Set what is held now."""
        self._entries.set(entries)
        self._bytes.set(bytes_)
