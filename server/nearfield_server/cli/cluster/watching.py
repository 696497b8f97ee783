"""How far a clustering is, on stderr: one line that changes on a terminal, else a line for each stage and now and then.

Nothing is shown of what is over in a second.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

from nearfield_server.cli.progress import duration

if TYPE_CHECKING:
    from nearfield import ClusteringJob

__all__ = ["Watching", "job_line"]

_QUIET_SECONDS = 1.0
_LINE_SECONDS = 10.0


class Watching:
    """Told of every step."""

    def __init__(self, stream: IO[str] | None = None, clock: Callable[[], float] = time.monotonic) -> None:
        """Start the clock."""
        self._stream = stream or sys.stderr
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._started = self._said = clock()
        self._stage = ""
        self._drawn = False

    def update(self, job: ClusteringJob) -> None:
        """Take note of how far it is."""
        now = self._clock()
        if now - self._started < _QUIET_SECONDS:
            return
        if self._terminal:
            self._stream.write(f"\r\x1b[2K{job_line(job)}")
            self._stream.flush()
            self._drawn = True
        elif job.stage != self._stage or now - self._said >= _LINE_SECONDS:
            print(job_line(job), file=self._stream, flush=True)
            self._stage, self._said = job.stage, now

    def close(self) -> None:
        """Take the line away."""
        if self._drawn:
            self._stream.write("\r\x1b[2K")
            self._stream.flush()
            self._drawn = False


def job_line(job: ClusteringJob) -> str:
    """Write how far a clustering is: stage, share, time left."""
    items = f", {job.items:,} items" if job.items else ""
    left = f", {duration(job.remaining.total_seconds())} left" if job.remaining is not None else ""
    return f"{job.stage} {job.fraction:.0%}{items}{left}"
