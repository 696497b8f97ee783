"""When a new generation is worth its cost: a function of what is known, without a clock.

- While writes go on: when a half more was changed than the generation holds. So a load of n rows costs less than three
  times the work of one build, however long it takes.
- When writes have paused: once a hundredth was changed, and builds take at most a fifth of the time.
- When they have ceased: as soon as anything was changed. A quiet collection ends with all its points in the graph.
"""

from __future__ import annotations

from dataclasses import dataclass

from nearfield_server.engines.embedded.index.query import IndexSettings

__all__ = ["Situation", "worth_building"]

_PAUSE_SHARE = 0.01
_BUILD_REST = 4.0
_CEASED_PAUSES = 6.0
_CEASED_BUILDS = 10.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Situation:
    """What the policy sees: points in the generation, rows changed since, times, and what the last build took."""

    points: int
    changes: int
    since_build_seconds: float
    since_write_seconds: float
    build_seconds: float


def worth_building(now: Situation, settings: IndexSettings) -> bool:
    """Tell whether to build a new generation now."""
    if now.changes == 0:
        return False
    if now.changes >= max(settings.rebuild_rows, settings.busy_share * now.points):
        return True
    if now.since_write_seconds < settings.quiet_seconds:
        return False
    ceased = max(_CEASED_PAUSES * settings.quiet_seconds, _CEASED_BUILDS * now.build_seconds)
    if now.since_write_seconds >= ceased:
        return True
    rested = now.since_build_seconds >= _BUILD_REST * now.build_seconds
    return rested and now.changes >= max(1, _PAUSE_SHARE * now.points)
