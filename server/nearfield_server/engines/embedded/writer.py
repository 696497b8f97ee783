"""The one thread that writes to a collection.

Writes that wait at the same time share one transaction (group commit), so that many small writes cost one commit, and
with DISK one fsync. Each stands in a savepoint: one that fails leaves the others alone. Where SQLite takes back the
whole transaction (a full disk), each is tried again by itself. None is acknowledged before its commit.
"""

from __future__ import annotations

import asyncio
import queue
import sqlite3
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias, TypeVar

from nearfield_server.engines.embedded.database import set_durability
from nearfield_server.types import Durability

__all__ = ["Writer"]

T = TypeVar("T")
Job: TypeAlias = Callable[[sqlite3.Connection], Any]

_MOST_TOGETHER = 256


@dataclass(slots=True, eq=False)
class _Waiting:
    job: Job
    kept: Callable[[Any], None] | None
    future: asyncio.Future[Any]
    result: Any = None
    error: BaseException | None = field(default=None)


class _TakenBackError(Exception):
    """SQLite ended the transaction by itself."""


class Writer:
    """Runs jobs on a connection of its own, one after the other, in the order in which they came."""

    def __init__(
        self, connection: sqlite3.Connection, connect: Callable[[], sqlite3.Connection], loop: asyncio.AbstractEventLoop
    ) -> None:
        """`connect` opens the database again after errors that a connection may not survive. Callers run on `loop`."""
        self._connection = connection
        self._connect = connect
        self._wanted: Durability | None = None
        self._jobs: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._loop = loop
        self._closed = False
        self._thread = threading.Thread(target=self._work, name="search-write", daemon=True)
        self._thread.start()

    async def run(self, job: Callable[[sqlite3.Connection], T], kept: Callable[[T], None] | None = None) -> T:
        """Run `job` within a transaction and return what it gave, once that is kept.

        `job` may run more than once, so it changes nothing but the database. `kept` is called in the thread after the
        commit, in the order of the jobs, before anybody hears of it. A job of a caller that went away is run all the
        same.
        """
        if self._closed:  # this is a bug: the store refuses calls before it closes the writer
            raise RuntimeError("the writer is closed")
        waiting = _Waiting(job, kept, self._loop.create_future())
        self._jobs.put(waiting)
        result: T = await waiting.future
        return result

    def set_durability(self, durability: Durability) -> None:
        """Say when the writes from now on count as kept."""
        self._wanted = durability

    async def close(self) -> None:
        """End the jobs that wait, and the thread."""
        if not self._closed:
            self._closed = True
            self._jobs.put(None)
        await asyncio.to_thread(self._thread.join)

    def _work(self) -> None:
        going = True
        while going:
            batch: list[_Waiting] = []
            going = self._take(batch)
            if batch:
                self._keep(batch)
                with suppress(RuntimeError):  # the loop is gone, and with it all who waited
                    self._loop.call_soon_threadsafe(_tell, batch)
        self._connection.close()

    def _take(self, batch: list[_Waiting]) -> bool:
        """Wait for a job, and take those behind it; tell whether to go on after them."""
        first = self._jobs.get()
        while first is not None:
            batch.append(first)
            if len(batch) == _MOST_TOGETHER:
                return True
            try:
                first = self._jobs.get_nowait()
            except queue.Empty:
                return True
        return False

    def _keep(self, batch: Sequence[_Waiting]) -> None:
        """Run the jobs in one transaction or, where that can't be kept, each in one of its own."""
        try:
            self._transact(batch)
        except Exception as error:  # noqa: BLE001 - it goes to the callers
            self._recover()
            if len(batch) == 1:
                batch[0].error = error.__cause__ if isinstance(error, _TakenBackError) else error
                return
            for one in batch:
                one.error = None
                self._keep((one,))
            return
        for one in batch:
            if one.error is None and one.kept is not None:
                one.kept(one.result)

    def _transact(self, batch: Sequence[_Waiting]) -> None:
        wanted, self._wanted = self._wanted, None
        if wanted is not None:
            set_durability(self._connection, wanted)
        run = self._connection.execute
        run("BEGIN IMMEDIATE")
        for one in batch:
            run("SAVEPOINT job")
            try:
                one.result = one.job(self._connection)
            except Exception as error:
                if not self._connection.in_transaction:
                    raise _TakenBackError from error
                run("ROLLBACK TO job")
                one.error = error
            run("RELEASE job")
        run("COMMIT")

    def _recover(self) -> None:
        """Make the connection fit for the next transaction."""
        try:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
        except sqlite3.Error:
            self._connection.close()
            with suppress(sqlite3.Error, OSError):  # else the next transaction fails, and comes here again
                self._connection = self._connect()


def _tell(batch: Sequence[_Waiting]) -> None:
    for one in batch:
        if one.future.done():
            continue
        if one.error is not None:
            one.future.set_exception(one.error)
        else:
            one.future.set_result(one.result)
