"""Shows how far a download is: a bar on a terminal, lines in the log elsewhere."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["showing_progress"]

logger = logging.getLogger("nearfield.hub")

_EVERY_SECONDS = 2.0
_BAR_SECONDS = 0.1
# A terminal shows one bar at a time; further downloads write lines.
_terminal = threading.Lock()


@contextmanager
def showing_progress(label: str, folder: Path, total_bytes: int) -> Iterator[None]:
    """Watch the files in `folder` grow by `total_bytes` until the block ends.

    The library that downloads tells nobody how far it is, but its files do, also the half-done ones.
    """
    before = _size(folder)
    done = threading.Event()
    bar = sys.stderr.isatty() and _terminal.acquire(blocking=False)
    watch = _draw if bar else _log
    arguments = (label, lambda: min(max(_size(folder) - before, 0), total_bytes), total_bytes, done)
    thread = threading.Thread(target=watch, args=arguments, name="nearfield-download", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
        if bar:
            _terminal.release()


def _log(label: str, measure: Callable[[], int], total: int, done: threading.Event) -> None:
    while not done.wait(_EVERY_SECONDS):
        fetched = measure()
        logger.info(
            "downloading",
            extra={"model": label, "bytes": fetched, "of": total, "percent": round(100 * fetched / max(total, 1), 1)},
        )


def _draw(label: str, measure: Callable[[], int], total: int, done: threading.Event) -> None:
    from rich.console import Console  # noqa: PLC0415 - on terminals only
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn  # noqa: PLC0415

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task(label, total=total)
        while not done.wait(_BAR_SECONDS):
            progress.update(task, completed=measure())


def _size(folder: Path) -> int:
    total = 0
    for one in folder.glob("*"):
        try:
            total += one.stat().st_size
        except OSError:  # renamed meanwhile
            continue
    return total
