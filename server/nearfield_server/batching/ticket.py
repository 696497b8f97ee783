"""One call's place in the queue, as the caller's coroutine sees it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence, Sized

from nearfield_server.batching.queue import Job
from nearfield_server.errors import Cancelled, DeadlineExceeded, NearfieldError
from nearfield_server.types import Priority

__all__ = ["Ticket"]


class Ticket:
    """Made on the event loop by `Runner.open`; `enqueue` and `fail` may be called from any thread."""

    def __init__(
        self,
        admit: Callable[[Ticket, Sequence[Sized]], None],
        abandon: Callable[[Ticket, NearfieldError], None],
        priority: Priority,
        deadline: float | None,
    ) -> None:
        """`admit` queues the units or raises; `abandon` takes what still waits out of the queue."""
        self._admit = admit
        self._abandon = abandon
        self._loop = asyncio.get_running_loop()
        self._future: asyncio.Future[Job] = self._loop.create_future()
        self.priority = priority
        self.deadline = deadline
        self.job: Job | None = None
        self.closed = False
        """The caller went away or ran out of time: nothing needs to be done for it any more."""

    def enqueue(self, units: Sequence[Sized]) -> None:
        """Ask for a row for each of `units`. Errors of admission reach the one who waits in `result`."""
        try:
            self._admit(self, units)
        except NearfieldError as error:
            self.fail(error)

    def fail(self, error: BaseException) -> None:
        """Let `result` raise `error`."""
        self._loop.call_soon_threadsafe(self._set_error, error)

    def settle(self, job: Job) -> None:
        """Let `result` give `job`, or raise its error. On the loop only."""
        if not self._future.done():
            self._future.set_result(job)

    async def result(self) -> Job:
        """Wait for the job to end; give it, with all its rows.

        Raises:
            NearfieldError: whatever ended the job.
            DeadlineExceeded: the deadline passed; what still waited will not run.
        """
        left = None if self.deadline is None else self.deadline - time.monotonic()
        try:
            async with asyncio.timeout(left):
                job = await self._future
        except TimeoutError:
            error = DeadlineExceeded("the deadline passed before the vectors were there")
            self._abandon(self, error)
            raise error from None
        except asyncio.CancelledError:
            self._abandon(self, Cancelled("the caller went away"))
            raise
        if job.error is not None:
            raise job.error
        return job

    def _set_error(self, error: BaseException) -> None:
        if not self._future.done():
            self._future.set_exception(error)
