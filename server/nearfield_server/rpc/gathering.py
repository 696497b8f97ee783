"""Streams that are gathered, then computed with: a first message of options, items, and, after half-close, progress."""

from __future__ import annotations

import asyncio
import time
from array import array
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine
from typing import Any, Generic, TypeVar

import numpy as np
import numpy.typing as npt

from nearfield.v1 import cluster_pb2
from nearfield_server.core.computing.gatherer import Gathered, Gatherer
from nearfield_server.core.computing.items import Caller
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import DeadlineExceeded, Draining, InvalidInput, NearfieldError
from nearfield_server.rpc import item_convert
from nearfield_server.rpc.message_stream import patiently
from nearfield_server.rpc.status import to_status
from nearfield_server.types import EmbedOptions

__all__ = ["Gathering", "Progress", "Step"]

_TELL_SECONDS = 0.5
_LEAST_FRACTION = 0.02
_R = TypeVar("_R")

Step = cluster_pb2.ClusteringProgress | cluster_pb2.ClusterItemFailure
"""What a caller hears meanwhile."""


class Gathering:
    """One stream, until its last item. Requests have `options` or `items`."""

    def __init__(
        self, requests: AsyncIterator[Any], gatherer: Gatherer, registry: ModelRegistry, idle_seconds: float
    ) -> None:
        """A client that sends nothing for `idle_seconds` is told so, and the stream ends."""
        self._requests = aiter(requests)
        self._gatherer = gatherer
        self._registry = registry
        self._idle_seconds = idle_seconds
        self._seen = 0
        self._taken = array("Q")

    @property
    def count(self) -> int:
        """Items that were taken."""
        return len(self._taken)

    @property
    def positions(self) -> npt.NDArray[np.uint64] | None:
        """Position in the stream of each item that was taken; `None` where all were."""
        return None if len(self._taken) == self._seen else np.array(self._taken, np.uint64)

    async def first(self) -> Any:
        """Give the first message. Raises `InvalidInput` where it holds no options."""
        first = await self._next()
        if first is None or first.WhichOneof("message") != "options":
            raise InvalidInput("options", "the first message must hold the options")
        return first

    async def end(self) -> None:
        """Wait for half-close. Raises `InvalidInput` where there is another message: a collection is the source."""
        if await self._next() is not None:
            raise InvalidInput("items", "give items or options.collection, not both")

    async def items(self, gathered: Gathered, embedding: EmbedOptions, caller: Caller) -> AsyncGenerator[Step, None]:
        """Take all items; give those that failed, and from time to time how many there are.

        Raises:
            InvalidInput: a message that isn't one of items, or none of the stream's items could be taken.
            NearfieldError: as `Gatherer.add_each`.
        """
        told = time.monotonic()
        while (message := await self._next()) is not None:
            for failure in await self._take(message, gathered, embedding, caller):
                yield failure
            if time.monotonic() - told >= _TELL_SECONDS:
                told = time.monotonic()
                yield cluster_pb2.ClusteringProgress(
                    state=cluster_pb2.CLUSTERING_STATE_RUNNING, stage="read", items=self.count
                )
        if not self.count:
            text = "all of the items failed" if self._seen else "at least one is needed"
            raise InvalidInput("items", text)

    async def _take(
        self, message: Any, gathered: Gathered, embedding: EmbedOptions, caller: Caller
    ) -> list[cluster_pb2.ClusterItemFailure]:
        if message.WhichOneof("message") != "items":
            raise InvalidInput("items", "all messages but the first must hold items")
        checked = await self._checked("items", message.items)
        return self._told(checked.total, await self._added(checked, gathered, embedding, caller))

    async def _checked(self, path: str, items: cluster_pb2.ClusterItems) -> item_convert.Checked:
        limits = self._registry.limits
        return await asyncio.to_thread(item_convert.checked_items, path, items, limits, limits.max_inputs)

    async def _added(
        self, checked: item_convert.Checked, gathered: Gathered, embedding: EmbedOptions, caller: Caller
    ) -> dict[int, NearfieldError]:
        """Add what is well-formed; give why the others couldn't be, by their places in the message."""
        if not checked.rows:
            return checked.failures
        found = await patiently(lambda: self._gatherer.add_each(gathered, checked.items, embedding, caller))
        return checked.failures | {checked.rows[row]: error for row, error in found.items()}

    def _told(self, total: int, failures: dict[int, NearfieldError]) -> list[cluster_pb2.ClusterItemFailure]:
        """Count a message of so many items; give what its caller hears."""
        start, self._seen = self._seen, self._seen + total
        self._taken.extend(start + row for row in range(total) if row not in failures)
        return [
            cluster_pb2.ClusterItemFailure(index=start + row, status=to_status(failures[row]))
            for row in sorted(failures)
        ]

    async def _next(self) -> Any:
        if self._registry.draining:
            raise Draining("the server is stopping: send it all to another replica", retry_after_seconds=1.0)
        try:
            async with asyncio.timeout(self._idle_seconds):
                return await anext(self._requests)
        except StopAsyncIteration:
            return None
        except TimeoutError:
            raise DeadlineExceeded(f"no message for {self._idle_seconds} s: the stream is closed") from None


class Progress(Generic[_R]):
    """How far a piece of work is, for whoever waits for it."""

    def __init__(self, items: int) -> None:
        """`items` it is about."""
        self._items = items
        self._started = time.monotonic()
        self._now = ("queued", 0.0)
        self._changed = asyncio.Event()
        self._work: asyncio.Task[_R] | None = None

    @property
    def result(self) -> _R:
        """What came of it, after `follow`."""
        assert self._work is not None  # noqa: S101 - follow has begun it
        return self._work.result()

    def told(self, stage: str, fraction: float) -> None:
        """Hear how far it is."""
        self._now = stage, fraction
        self._changed.set()

    async def follow(self, work: Coroutine[Any, Any, _R]) -> AsyncGenerator[Step, None]:
        """Do it, and give how far it is with every stage and twice a second; whoever stops listening ends it."""
        self._work = task = asyncio.ensure_future(work)
        changed: asyncio.Future[Any] | None = None
        last = ("", 0.0)
        try:
            while not task.done():
                if self._now != last:
                    last = self._now
                    yield self._message()
                self._changed.clear()
                changed = asyncio.ensure_future(self._changed.wait())
                await asyncio.wait([task, changed], return_when=asyncio.FIRST_COMPLETED)
                if self._now[0] == last[0]:
                    await asyncio.wait([task], timeout=_TELL_SECONDS)
                changed.cancel()
            task.result()
        finally:
            if changed is not None:
                changed.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait([task])

    def _message(self) -> cluster_pb2.ClusteringProgress:
        stage, fraction = self._now
        message = cluster_pb2.ClusteringProgress(
            state=cluster_pb2.CLUSTERING_STATE_QUEUED if stage == "queued" else cluster_pb2.CLUSTERING_STATE_RUNNING,
            stage=stage,
            fraction=fraction,
            items=self._items,
        )
        if fraction >= _LEAST_FRACTION:
            left = (time.monotonic() - self._started) * (1.0 - fraction) / fraction
            message.remaining.FromMilliseconds(round(left * 1000))
        return message
