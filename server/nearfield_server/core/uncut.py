"""Work that must not be cut in two."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any

__all__ = ["uncut"]


async def uncut(work: Coroutine[Any, Any, object]) -> None:
    """Do all of `work`; whoever is cancelled meanwhile is so when it is done. Raises what it raises."""
    doing = asyncio.ensure_future(work)
    cancelled: asyncio.CancelledError | None = None
    while not doing.done():
        try:
            await asyncio.wait([doing])
        except asyncio.CancelledError as error:
            cancelled = error
    doing.result()
    if cancelled is not None:
        raise cancelled
