"""grpc.health.v1, answered from the registry's state.

Names: "" (real readiness: the default model takes calls with all its workers, the collections are open and the server
doesn't drain), the full name of each service, `models/NAME` for each model, and `liveness`, which is SERVING as long as
the event loop answers.
The ready-made servicer lacks List, and a watcher that doesn't read could block its setter; here nothing is set.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Any, TypeAlias

from grpc_health.v1 import health_pb2, health_pb2_grpc

from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import ServiceUnknown

__all__ = ["LIVENESS", "HealthServicer", "Part"]

LIVENESS = "liveness"
Part: TypeAlias = Callable[[], bool]
"""Tells whether a part of the server is ready; `ModelRegistry.changes` is told when that changes."""

_Response: TypeAlias = health_pb2.HealthCheckResponse


class HealthServicer(health_pb2_grpc.HealthServicer):  # type: ignore[misc]  # generated without types
    """Check, List and Watch for services and models."""

    def __init__(self, registry: ModelRegistry, services: Sequence[str], parts: Mapping[str, Part]) -> None:
        """`services` are full names; they serve when the server does and, where `parts` says more, that is ready."""
        self._registry = registry
        self._services = services
        self._parts = parts

    def states(self) -> Mapping[str, bool]:
        """Whether each name is SERVING."""
        ready = self._registry.readiness()
        models = {f"models/{name}": state for name, state in ready.items() if name}
        services = {name: ready[""] and (name not in self._parts or self._parts[name]()) for name in self._services}
        return {"": all(services.values()), LIVENESS: True, **services, **models}

    async def Check(self, request: health_pb2.HealthCheckRequest, context: Any) -> _Response:
        """Give the state of one name; NOT_FOUND for an unknown one."""
        state = self.states().get(request.service)
        if state is None:
            msg = "no service of that name; List tells the names"
            raise ServiceUnknown(msg)
        return _Response(status=_status(state))

    async def List(self, request: health_pb2.HealthListRequest, context: Any) -> health_pb2.HealthListResponse:
        """Give the state of every name."""
        statuses = {name: _Response(status=_status(state)) for name, state in self.states().items()}
        return health_pb2.HealthListResponse(statuses=statuses)

    async def Watch(self, request: health_pb2.HealthCheckRequest, context: Any) -> AsyncIterator[_Response]:
        """Give the state of one name now and at every change; SERVICE_UNKNOWN for an unknown one."""
        seen: int | None = None
        while True:
            changed = asyncio.ensure_future(self._registry.changes.wait())
            try:
                status = _status(self.states().get(request.service))
                if status != seen:
                    seen = status
                    yield _Response(status=status)
                await changed
            finally:
                changed.cancel()


def _status(state: bool | None) -> Any:
    if state is None:
        return _Response.SERVICE_UNKNOWN
    return _Response.SERVING if state else _Response.NOT_SERVING
