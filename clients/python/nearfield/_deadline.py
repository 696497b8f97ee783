"""How long a call may still take, retries and parts included."""

from __future__ import annotations

import time

from nearfield._errors import DeadlineExceeded

__all__ = ["Deadline"]


class Deadline:
    """A point in time, or none."""

    def __init__(self, seconds: float | None) -> None:
        """Let it pass in `seconds` from now; None: never."""
        self._end = None if seconds is None else time.monotonic() + seconds

    def left(self) -> float | None:
        """Give the seconds left, from 0 on; None without a deadline."""
        return None if self._end is None else max(0.0, self._end - time.monotonic())

    def timeout(self) -> float | None:
        """Give the timeout for a call that starts now. Raises DeadlineExceeded when nothing is left."""
        left = self.left()
        if left == 0.0:
            raise DeadlineExceeded("the deadline passed before the call was sent")
        return left
