"""Watching models: a stream of states that outlives its connection.

Rules:
- A model is yielded when it is first seen and when it differs from what was yielded; times alone make no difference. So
  after a reconnect, when the server tells everything again, only what has changed meanwhile is yielded.
- UNAVAILABLE (a restart, a drain) is waited out and connected again as `_retry` says; a model that arrives is progress,
  and `RetryPolicy.max_attempts` connections in a row without one end the watch with the last error. All else ends it.
"""

from __future__ import annotations

import random
from collections.abc import AsyncGenerator, Generator
from dataclasses import replace
from typing import Any

import grpc

from nearfield._async_transport import AsyncTransport, closing_told
from nearfield._convert_models import model_of
from nearfield._deadline import Deadline
from nearfield._errors import NearfieldError
from nearfield._methods import WATCH_MODELS
from nearfield._model import Model
from nearfield._retry import RetryPolicy, next_delay
from nearfield._status import error_of_call
from nearfield._transport import Transport
from nearfield.v1 import model_pb2

__all__ = ["WatchState", "watch", "watch_async"]


class WatchState:
    """What was yielded, and how many connections failed since. No I/O."""

    def __init__(self, retry: RetryPolicy) -> None:
        """Begin with nothing."""
        self._retry = retry
        self._failed = 0
        self._known: dict[tuple[str, str, str], Model] = {}

    def is_news(self, model: Model) -> bool:
        """Take a model that arrived; tell whether it is to be yielded."""
        self._failed = 0
        key = (model.name, model.version, model.repository_version)
        timeless = replace(model, load_seconds=0.0, state_changed_at_seconds=0.0)
        if self._known.get(key) == timeless:
            return False
        self._known[key] = timeless
        return True

    def lost(self, failure: grpc.RpcError, seconds_left: float | None) -> float:
        """Give the seconds to wait before connecting again. Raises NearfieldError when that is hopeless."""
        error: NearfieldError = error_of_call(failure)
        self._failed += 1
        draw = random.random()  # noqa: S311 - jitter, not a secret
        delay = next_delay(self._retry, error, attempts=self._failed, seconds_left=seconds_left, draw=draw)
        if delay is None:
            raise error from failure
        return delay


def watch(
    transport: Transport, request: model_pb2.WatchModelsRequest, deadline: Deadline
) -> Generator[Model, None, None]:
    """Yield models and their changes over a blocking channel."""
    state = WatchState(transport.settings.retry)
    while True:
        call = transport.start("unary_stream", WATCH_MODELS, request, deadline.timeout())
        try:
            for reply in call:
                if state.is_news(model := model_of(reply.model)):
                    yield model
        except grpc.RpcError as failure:
            delay = state.lost(failure, deadline.left())
        else:
            return
        finally:
            call.cancel()
        transport.pause(delay)


async def watch_async(
    transport: AsyncTransport, request: model_pb2.WatchModelsRequest, deadline: Deadline
) -> AsyncGenerator[Model, None]:
    """Yield models and their changes over an asyncio channel."""
    state = WatchState(transport.settings.retry)
    while True:
        call = transport.start("unary_stream", WATCH_MODELS, request, deadline.timeout())
        try:
            while (reply := await _read(call)) is not grpc.aio.EOF:
                if state.is_news(model := model_of(reply.model)):
                    yield model
        except grpc.RpcError as failure:
            delay = state.lost(failure, deadline.left())
        else:
            return
        finally:
            call.cancel()
        await transport.pause(delay)


async def _read(call: Any) -> Any:
    with closing_told():
        return await call.read()
