"""Waiting for a server to be ready: when to ask again and what to say in the end. The clients do the asking."""

from __future__ import annotations

from nearfield._channel import check_timeout
from nearfield._deadline import Deadline
from nearfield._errors import Cancelled, DeadlineExceeded, NearfieldError, Unavailable

__all__ = ["ReadyWait"]

_FIRST_PAUSE_SECONDS = 0.02
_LONGEST_PAUSE_SECONDS = 0.2


class ReadyWait:
    """One wait. A server that isn't there yet is waited for; one that refuses us is not."""

    def __init__(self, timeout: float) -> None:
        """Wait for `timeout` seconds from now. Raises ValueError when it isn't greater than 0."""
        self._timeout = timeout
        self._deadline = Deadline(check_timeout(timeout))
        self._last = "no reply"
        self._pause = _FIRST_PAUSE_SECONDS

    def seconds_left(self) -> float:
        """Give what is left, from 0 on."""
        return self._deadline.left() or 0.0

    def is_ready(self, status: str) -> bool:
        """Take the answer to a health check."""
        self._last = f"it is {status}"
        return status == "SERVING"

    def failed(self, error: NearfieldError) -> None:
        """Take a failed health check. Raises `error` when waiting won't help."""
        if not isinstance(error, (Unavailable, DeadlineExceeded, Cancelled)):
            raise error
        self._last = error.message

    def pause(self) -> float:
        """Give the seconds to wait before the next check; longer from time to time."""
        pause = self._pause
        self._pause = min(2 * pause, _LONGEST_PAUSE_SECONDS)
        return min(pause, self.seconds_left())

    def error(self) -> DeadlineExceeded:
        """Give what to raise when the time is up."""
        return DeadlineExceeded(f"the server wasn't ready within {self._timeout} s: {self._last}")
