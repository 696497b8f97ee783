"""ModelService: what is served, and changes of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

from nearfield.v1 import model_pb2, model_pb2_grpc
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import Draining
from nearfield_server.rpc import convert, replies

__all__ = ["ModelServicer"]


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Shows the registry."""

    def __init__(self, registry: ModelRegistry) -> None:
        """Show `registry`."""
        self._registry = registry

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Any) -> model_pb2.ListModelsResponse:
        """Give all models."""
        return model_pb2.ListModelsResponse(models=[replies.model(one) for one in self._registry.statuses()])

    async def GetModel(self, request: model_pb2.GetModelRequest, context: Any) -> model_pb2.GetModelResponse:
        """Give one model."""
        name = convert.check_model_name("name", request.name)
        return model_pb2.GetModelResponse(model=replies.model(self._registry.status(name)))

    async def WatchModels(
        self, request: model_pb2.WatchModelsRequest, context: Any
    ) -> AsyncIterator[model_pb2.WatchModelsResponse]:
        """Give models now and when they change."""
        async for status in self._registry.watch(convert.check_model_name("name", request.name)):
            yield model_pb2.WatchModelsResponse(model=replies.model(status))
        raise Draining("the server is stopping: watch another replica", retry_after_seconds=1.0)
