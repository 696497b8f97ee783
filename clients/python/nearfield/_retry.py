"""When to try again, without a clock or a sleep.

Rules:
- One mechanism per code. gRPC's own retries are switched off in `_channel.py`; both codes below are retried here only.
- UNAVAILABLE: after the server's RetryInfo where there is one, else exponential backoff.
- RESOURCE_EXHAUSTED: after RetryInfo, and only where there is one. Without it the same request never succeeds.
- Nothing else: it would fail again, or it may have been the caller's own deadline or cancel.
- A delay that doesn't fit in what is left of the deadline is not begun: the error is raised at once.
"""

from __future__ import annotations

import math
import random
from dataclasses import dataclass

import grpc

from nearfield._errors import NearfieldError

__all__ = ["RetryPolicy", "draw", "is_retryable", "next_delay"]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often and how patiently calls are repeated.

    Attributes:
        max_attempts: calls made in all, the first included; 1 switches retries off.
        initial_backoff_seconds: wait after the first failure without RetryInfo.
        max_backoff_seconds: greatest wait without RetryInfo.
        multiplier: growth of the wait from attempt to attempt.
        jitter: random part: waits are lengthened by up to this fraction, so that callers don't come back together.
    """

    max_attempts: int = 5
    initial_backoff_seconds: float = 0.1
    max_backoff_seconds: float = 5.0
    multiplier: float = 2.0
    jitter: float = 0.2

    def __post_init__(self) -> None:
        """Refuse numbers that make no sense with ValueError."""
        if self.max_attempts < 1:
            raise ValueError("max_attempts counts the first call too: it is at least 1")
        for name in ("initial_backoff_seconds", "max_backoff_seconds", "jitter"):
            if not (math.isfinite(value := getattr(self, name)) and value >= 0):
                raise ValueError(f"{name} is {value}; it must be a finite number from 0 on")
        if not (math.isfinite(self.multiplier) and self.multiplier >= 1):
            raise ValueError(f"multiplier is {self.multiplier}; it must be finite and at least 1")

    def backoff_seconds(self, attempts: int) -> float:
        """Give the wait after `attempts` failed attempts (from 1), before jitter."""
        try:
            grown = self.initial_backoff_seconds * self.multiplier ** (attempts - 1)
        except OverflowError:
            return self.max_backoff_seconds
        return min(grown, self.max_backoff_seconds)


def is_retryable(error: NearfieldError) -> bool:
    """Tell whether the same request may succeed later."""
    if error.code is grpc.StatusCode.UNAVAILABLE:
        return True
    return error.code is grpc.StatusCode.RESOURCE_EXHAUSTED and error.retry_delay is not None


def draw() -> float:
    """Give a number in [0, 1) for the jitter of `next_delay`."""
    return random.random()  # noqa: S311 - no secret


def next_delay(
    policy: RetryPolicy, error: NearfieldError, *, attempts: int, seconds_left: float | None, draw: float
) -> float | None:
    """Give the seconds to wait before the next attempt, or None to give up and raise `error`.

    `attempts` were made so far; `seconds_left` is None without a deadline; `draw` is a random number in [0, 1).
    """
    if attempts >= policy.max_attempts or not is_retryable(error):
        return None
    base = error.retry_delay if error.retry_delay is not None else policy.backoff_seconds(attempts)
    delay = max(0.0, base) * (1.0 + policy.jitter * draw)
    if seconds_left is not None and delay >= seconds_left:
        return None
    return delay
