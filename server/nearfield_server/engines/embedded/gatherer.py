"""Work of many callers done in one go in a thread: what waits while one batch runs is the next batch."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from contextlib import suppress
from typing import Generic, TypeVar

from nearfield_server.errors import Draining

__all__ = ["Gatherer"]

A = TypeVar("A")
R = TypeVar("R")


class Gatherer(Generic[A, R]):
    """Hands questions that wait at the same time to one function, one batch at a time."""

    def __init__(
        self, executor: Executor, work: Callable[[Sequence[A]], Sequence[R | BaseException]], most: int
    ) -> None:
        """`work` answers up to `most` questions, in their order, in a thread; an exception is an answer as well."""
        self._executor = executor
        self._work = work
        self._most = most
        self._waiting: list[tuple[A, asyncio.Future[R]]] = []
        self._busy = False

    async def ask(self, question: A) -> R:
        """Give the answer."""
        loop = asyncio.get_running_loop()
        future: asyncio.Future[R] = loop.create_future()
        self._waiting.append((question, future))
        if not self._busy:
            self._busy = True
            loop.call_soon(self._start, loop)  # not at once: those that ask in the same round come along
        return await future

    def _start(self, loop: asyncio.AbstractEventLoop) -> None:
        batch = [one for one in self._waiting[: self._most] if not one[1].done()]
        del self._waiting[: self._most]
        if batch:
            try:
                self._executor.submit(self._run, loop, batch)
            except RuntimeError:  # it was shut down
                stopping = Draining("the server is stopping", retry_after_seconds=1.0)
                self._tell(loop, batch, [stopping] * len(batch))
        elif self._waiting:
            loop.call_soon(self._start, loop)
        else:
            self._busy = False

    def _run(self, loop: asyncio.AbstractEventLoop, batch: list[tuple[A, asyncio.Future[R]]]) -> None:
        answers: Sequence[R | BaseException]
        try:
            answers = self._work([question for question, _ in batch])
        except BaseException as error:  # noqa: BLE001 - it goes to the callers
            answers = [error] * len(batch)
        with suppress(RuntimeError):  # the loop is gone, and with it all who waited
            loop.call_soon_threadsafe(self._tell, loop, batch, answers)

    def _tell(
        self,
        loop: asyncio.AbstractEventLoop,
        batch: list[tuple[A, asyncio.Future[R]]],
        answers: Sequence[R | BaseException],
    ) -> None:
        for (_, future), answer in zip(batch, answers, strict=True):
            if future.done():
                continue
            if isinstance(answer, BaseException):
                future.set_exception(answer)
            else:
                future.set_result(answer)
        self._start(loop)
