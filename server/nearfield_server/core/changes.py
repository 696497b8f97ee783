"""A signal that something changed, for any number of waiting coroutines."""

from __future__ import annotations

import asyncio

__all__ = ["Changes"]


class Changes:
    """Wakes every waiter at each `notify`. Waiters look at the state themselves, so what is missed is only history."""

    def __init__(self) -> None:
        """Start with no waiters."""
        self._event = asyncio.Event()

    def notify(self) -> None:
        """Wake those who wait now. On the loop only."""
        self._event.set()
        self._event = asyncio.Event()

    async def wait(self) -> None:
        """Return at the next `notify`."""
        await self._event.wait()
