"""How late the event loop is: what blocks it delays every call."""

from __future__ import annotations

import asyncio

from nearfield_server.telemetry.metrics import Metrics

__all__ = ["watch_event_loop"]


async def watch_event_loop(metrics: Metrics, interval_seconds: float = 0.5) -> None:
    """Record the loop's lateness every `interval_seconds`, until cancelled."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + interval_seconds
        await asyncio.sleep(interval_seconds)
        metrics.event_loop_lag(loop.time() - due)
