"""What the last searches learnt of rows, so that the hits of an index needn't be looked up each time.

It never tells what the database doesn't: a write takes out what it touched before it is acknowledged, and what was read
before a write isn't put in after it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Mapping

from nearfield_server.engines.embedded.writes import Kept
from nearfield_server.types import PointId

__all__ = ["KnownRows", "Seen", "living"]

Seen = tuple[str, PointId, float | None, int]
"""Tenant, id, end and version of a row that is there."""


class KnownRows:
    """Up to `most` rows; the oldest go first. Safe for threads."""

    def __init__(self, most: int) -> None:
        """Know nothing."""
        self._most = most
        self._rows: dict[int, Seen] = {}
        self._sequence = 0
        self._lock = threading.Lock()

    @property
    def sequence(self) -> int:
        """The last write taken over; ask before reading what is to be learnt."""
        return self._sequence

    def find(self, rows: Iterable[int]) -> dict[int, Seen] | None:
        """Give what is known of `rows`; None where one isn't known."""
        known, found = self._rows, {}
        for row in rows:
            seen = known.get(row)
            if seen is None:
                return None
            found[row] = seen
        return found

    def learn(self, sequence: int, rows: Mapping[int, Seen]) -> None:
        """Take in what was read after `sequence` was asked for, unless there was a write since."""
        with self._lock:
            if sequence != self._sequence:
                return
            self._rows.update(rows)
            while len(self._rows) > self._most:
                del self._rows[next(iter(self._rows))]

    def take_over(self, kept: Kept) -> None:
        """Forget what a write touched."""
        with self._lock:
            self._sequence = kept.sequence
            for row in kept.removed:
                self._rows.pop(row, None)
            for one in kept.stored:
                self._rows.pop(one.row, None)


def living(rows: Mapping[int, Seen], tenant: str, now: float) -> dict[int, tuple[PointId, int | None]]:
    """Give the ids and versions of those that are the tenant's and not past their time."""
    return {
        row: (id_, version)
        for row, (owner, id_, expires_at, version) in rows.items()
        if owner == tenant and (expires_at is None or expires_at > now)
    }
