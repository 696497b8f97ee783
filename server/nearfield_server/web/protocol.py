"""uvicorn's HTTP/1.1 protocol with a bound on the time that a client may take to send a request.

uvicorn waits for ever for the first request of a connection, and for the rest of one that has begun. Connections count
against a bound, so a few hundred silent ones would make every probe fail, and the server look dead. The rule: whenever
no request is being answered, a client that has just connected, or has sent something, must complete the head of a
request within `request_seconds`; sending byte by byte gains it no time. Between requests uvicorn's own limit holds.
"""

from __future__ import annotations

import asyncio

from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["PromptProtocol"]


class PromptProtocol(H11Protocol):
    """One connection of a client that must not dawdle."""

    request_seconds = 10.0
    """From connecting, or from a request's first byte, to the end of its head."""

    _timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override] # as uvicorn has it
        """Start to wait for the first request."""
        super().connection_made(transport)
        self._wait()

    def data_received(self, data: bytes) -> None:
        """Read on; wait for the rest if it is no whole request yet."""
        super().data_received(data)
        if self.cycle is None or self.cycle.response_complete:
            self._wait()
        else:
            self._stop_waiting()

    def connection_lost(self, exc: Exception | None) -> None:
        """Forget the timer."""
        self._stop_waiting()
        super().connection_lost(exc)

    def _wait(self) -> None:
        if self._timer is None and not self.transport.is_closing():
            self._timer = self.loop.call_later(self.request_seconds, self.transport.abort)

    def _stop_waiting(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
