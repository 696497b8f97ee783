"""How far a run is, on stderr: a bar on a terminal, else a line now and then; nothing for what is over in a second."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from rich.progress import Progress as RichProgress
    from rich.progress import TaskID

__all__ = ["Progress", "counted", "duration", "status_line"]

_QUIET_SECONDS = 1.0
_BAR_SECONDS = 0.1
_LINE_SECONDS = 10.0


class Progress:
    """Told of every row; draws seldom.

    `fraction` says how much of the input has been read, where that is known; `total` how many rows there are;
    `done_before` rows were settled by an earlier run, and don't count for the rate.
    """

    def __init__(
        self,
        *,
        fraction: Callable[[], float | None],
        total: int | None = None,
        done_before: int = 0,
        unit: str = "texts",
        stream: IO[str] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Start the clock."""
        self._fraction = fraction
        self._total = total
        self._done_before = done_before
        self._unit = unit
        self._stream = stream or sys.stderr
        self._clock = clock
        self._terminal = self._stream.isatty()
        self._started = clock()
        self._next = self._started + (_QUIET_SECONDS if self._terminal else _LINE_SECONDS)
        self._bar: tuple[RichProgress, TaskID] | None = None

    @property
    def seconds(self) -> float:
        """Time since the start."""
        return self._clock() - self._started

    def update(self, rows: int) -> None:
        """Take note that `rows` rows are settled in all."""
        now = self._clock()
        if now < self._next:
            return
        self._next = now + (_BAR_SECONDS if self._terminal else _LINE_SECONDS)
        rate = (rows - self._done_before) / max(now - self._started, 1e-9)
        part = rows / self._total if self._total else self._fraction()
        rated = f"{rate:,.0f} {self._unit}/s"
        line = status_line(rows, self._total, rated, self._seconds_left(rows, rate, part), part)
        if self._terminal:
            self._draw(line, part)
        else:
            print(line, file=self._stream, flush=True)

    def close(self) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar[0].stop()
            self._bar = None

    def _seconds_left(self, rows: int, rate: float, part: float | None) -> float | None:
        if not part or not rate:
            return None
        return max(0.0, rows / part - rows) / rate

    def _draw(self, line: str, part: float | None) -> None:
        if self._bar is None:
            from rich.console import Console  # noqa: PLC0415  quick start
            from rich.progress import BarColumn, TextColumn  # noqa: PLC0415
            from rich.progress import Progress as RichProgress  # noqa: PLC0415

            console = Console(file=self._stream)
            bar = RichProgress(
                BarColumn(), TextColumn("{task.description}", markup=False), console=console, transient=True
            )
            bar.start()
            self._bar = bar, bar.add_task(line, total=1.0 if part is not None else None)
        bar, task = self._bar
        bar.update(task, description=line, completed=part or 0.0)


def status_line(rows: int, total: int | None, rate: str, seconds_left: float | None, part: float | None) -> str:
    """Give what is known in one line."""
    done = f"{rows:,}/{total:,} rows" if total else counted(rows)
    percent = f" ({part:.0%})" if part is not None else ""
    eta = f", {duration(seconds_left)} left" if seconds_left is not None else ""
    return f"{done}{percent}, {rate}{eta}"


def counted(rows: int) -> str:
    """Write a number of rows: 1 row, 2,000 rows."""
    return f"{rows:,} row{'' if rows == 1 else 's'}"


def duration(seconds: float) -> str:
    """Write a time span for people: 8.3s, 2m05s, 3h20m."""
    if round(seconds, 1) < 60:  # noqa: PLR2004
        return f"{seconds:.1f}s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:  # noqa: PLR2004
        return f"{minutes}m{rest:02d}s"
    hours, minutes = divmod(minutes, 60)
    return f"{hours}h{minutes:02d}m"
