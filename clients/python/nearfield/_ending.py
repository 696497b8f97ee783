"""How a streaming asyncio call really ended.

When a message is being written while the server's status arrives, gRPC replaces that status by INTERNAL with a fixed
text and no trailers. So every status that a call takes on is noted, and the first that isn't that replacement is the
server's.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

import grpc

from nearfield._errors import NearfieldError, Unavailable
from nearfield._status import error_of_call

__all__ = ["Ending"]

_REPLACEMENT = "Internal error from Core"
# Should the replacement come first, the status follows within a few turns of the loop.
_TURNS = 20
_TURN_SECONDS = 0.005
_T = TypeVar("_T")


class Ending:
    """The statuses of one call, in the order in which it took them on."""

    def __init__(self, call: Any) -> None:
        """Watch `call`."""
        self._seen: list[grpc.aio.AioRpcError] = []
        call.add_done_callback(self._note)

    async def error(self) -> NearfieldError:
        """Give the error that the call ended with; to be asked after a read failed or found the end."""
        for _ in range(_TURNS):
            for status in self._seen:
                if status.details() != _REPLACEMENT:
                    return _error_of(status)
            await asyncio.sleep(_TURN_SECONDS)
        return Unavailable("the connection was lost while a message was sent")

    def _note(self, call: Any) -> None:
        code, details, trailers = _now(call.code()), _now(call.details()), _now(call.trailing_metadata())
        self._seen.append(grpc.aio.AioRpcError(code, None, trailers, details))


def _error_of(status: grpc.aio.AioRpcError) -> NearfieldError:
    if status.code() is grpc.StatusCode.OK:
        return Unavailable("the server ended the stream before every message was answered")
    error = error_of_call(status)
    error.__cause__ = status
    return error


def _now(coroutine: Coroutine[Any, Any, _T]) -> _T:
    """Give the result of a coroutine that doesn't wait: a call that is done knows its status."""
    try:
        coroutine.send(None)
    except StopIteration as stop:
        return stop.value  # type: ignore[no-any-return]
    raise AssertionError("this is a bug: a call that is done has no status")
