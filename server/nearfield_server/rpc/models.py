"""ModelService: what is served, changes of it, and changing it."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator
from typing import Any

from nearfield.v1 import model_pb2, model_pb2_grpc
from nearfield_server.core.lifecycle import Lifecycle
from nearfield_server.core.models import ModelRegistry
from nearfield_server.errors import Draining, InvalidInput, PermissionDenied
from nearfield_server.rpc import convert, replies

__all__ = ["ModelServicer"]

_PART = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_ALIAS = re.compile(rf"{_PART}(@{_PART})?")


class ModelServicer(model_pb2_grpc.ModelServiceServicer):
    """Shows the registry, and changes it where `admin` allows."""

    def __init__(self, registry: ModelRegistry, lifecycle: Lifecycle, *, admin: bool) -> None:
        """Show `registry`; `admin`: callers may load, unload and name models."""
        self._registry = registry
        self._lifecycle = lifecycle
        self._admin = admin

    async def ListModels(self, request: model_pb2.ListModelsRequest, context: Any) -> model_pb2.ListModelsResponse:
        """Give all models."""
        models = [replies.model(one) for one in self._registry.statuses()]
        return model_pb2.ListModelsResponse(models=models, aliases=self._aliases())

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

    async def LoadModel(self, request: model_pb2.LoadModelRequest, context: Any) -> model_pb2.LoadModelResponse:
        """Load a version from the repository and give it the calls that name the model."""
        name, version = self._named(request.name, request.version)
        if request.unload_first and request.keep_previous:
            raise InvalidInput("unload_first", "doesn't go with keep_previous")
        status = await self._lifecycle.load(
            name, version, keep_previous=request.keep_previous, unload_first=request.unload_first or None
        )
        return model_pb2.LoadModelResponse(model=replies.model(status))

    async def UnloadModel(self, request: model_pb2.UnloadModelRequest, context: Any) -> model_pb2.UnloadModelResponse:
        """Unload a model."""
        status = await self._lifecycle.unload(*self._named(request.name, request.version))
        return model_pb2.UnloadModelResponse(model=replies.model(status))

    async def SetAlias(self, request: model_pb2.SetAliasRequest, context: Any) -> model_pb2.SetAliasResponse:
        """Let a name stand for a model."""
        self._check_admin()
        if not _ALIAS.fullmatch(request.alias):
            raise InvalidInput("alias", "must be NAME or NAME@LABEL: letters, digits, dots, dashes, underscores")
        target = convert.check_model_name("target", request.target)
        await self._lifecycle.set_alias(request.alias, target)
        return model_pb2.SetAliasResponse(aliases=self._aliases())

    def _named(self, name: str, version: str) -> tuple[str, str]:
        """Check who asks and what for."""
        self._check_admin()
        if not name:
            raise InvalidInput("name", "which model? ListModels tells the names")
        name, version = convert.check_model_name("name", name), convert.check_model_name("version", version)
        if not version and "@" in name:
            name, _, version = name.partition("@")
        return name, version

    def _check_admin(self) -> None:
        if not self._admin:
            text = "callers may not manage the models of this server: its setting `admin` says so"
            raise PermissionDenied(text)

    def _aliases(self) -> list[model_pb2.Alias]:
        aliases = self._registry.aliases.all()
        return [model_pb2.Alias(alias=alias, target=target) for alias, target in aliases.items()]
