"""Calls of a Qdrant client: tried again while the cluster can't answer, and its failures as ours."""

from __future__ import annotations

import asyncio
import random
from typing import Any

from nearfield_server.errors import DeadlineExceeded, FailedPrecondition, Unavailable

__all__ = ["Calls"]

_FIRST_WAIT = 0.1
_RETRY_SECONDS = 2.0
_LATER = {"UNAVAILABLE", "RESOURCE_EXHAUSTED", "ABORTED", "HTTP_429", "HTTP_502", "HTTP_503", "CONNECTION"}


class Calls:
    """Calls methods of `client`. All of them may be made twice: they set, and don't add."""

    def __init__(self, client: Any, attempts: int, timeout_seconds: int) -> None:
        """`attempts`: how often a call is tried; `timeout_seconds`: of each."""
        self._client = client
        self._attempts = attempts
        self._timeout = timeout_seconds

    async def __call__(self, method: str, **arguments: Any) -> Any:
        """Call a method by name.

        Raises:
            Unavailable: the cluster, or too many replicas of a shard, don't answer.
            DeadlineExceeded: it took too long.
            FailedPrecondition: the collection isn't there any more.
        """
        attempt = 1
        while True:
            try:
                return await getattr(self._client, method)(**arguments)
            except Exception as error:
                code = _code(error)
                if code in _LATER and attempt < self._attempts:
                    wait = _FIRST_WAIT * 2 ** (attempt - 1)
                    await asyncio.sleep(wait * random.uniform(0.5, 1.0))  # noqa: S311 - spreads load, hides nothing
                    attempt += 1
                    continue
                if (explained := self._explained(code, arguments.get("collection_name", ""))) is not None:
                    raise explained from error
                raise

    def _explained(self, code: str, collection: str) -> Exception | None:
        if code in _LATER:
            text = "the Qdrant cluster can't answer now"
            return Unavailable(text, retry_after_seconds=_RETRY_SECONDS)
        if code == "DEADLINE_EXCEEDED":
            return DeadlineExceeded(f"the Qdrant cluster took more than {self._timeout} s (qdrant.timeout_seconds)")
        if code in {"NOT_FOUND", "HTTP_404"}:
            return FailedPrecondition(
                f"collections/{collection}", "the collection isn't in the Qdrant cluster any more"
            )
        return None

    async def close(self) -> None:
        """Close the connection."""
        await self._client.close()


def _code(error: Exception) -> str:
    """Give the gRPC status by name, or what stands for it over HTTP; "" for all else."""
    code = getattr(error, "code", None)
    if callable(code):
        return str(getattr(code(), "name", ""))
    if isinstance(status := getattr(error, "status_code", None), int):
        return f"HTTP_{status}"
    name = type(error).__name__
    return {"ResponseHandlingException": "CONNECTION", "ResourceExhaustedResponse": "RESOURCE_EXHAUSTED"}.get(name, "")
