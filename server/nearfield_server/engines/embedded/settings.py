"""What can be set of the engine."""

from __future__ import annotations

from dataclasses import dataclass, field

from nearfield_server.engines.embedded.index import IndexSettings

__all__ = ["EmbeddedSettings"]


@dataclass(frozen=True, slots=True, kw_only=True)
class EmbeddedSettings:
    """Collections of up to `exact_below` points have no index. `memory_bytes`: vectors of one collection in memory.

    Points past their time are deleted every `sweep_seconds`. The recall of indexes is measured every `recall_seconds`,
    0: never. `readers`: threads for short reads, and as many for scans.
    """

    exact_below: int = 5000
    memory_bytes: int = 64 * 2**20
    sweep_seconds: float = 60.0
    recall_seconds: float = 0.0
    readers: int = 2
    index: IndexSettings = field(default_factory=IndexSettings)
