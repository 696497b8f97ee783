"""The gRPC server: services, options, address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import grpc
from google.longrunning import operations_pb2, operations_pb2_grpc
from grpc_channelz.v1 import _async as channelz_aio
from grpc_channelz.v1 import channelz_pb2_grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import _async as reflection_aio
from grpc_reflection.v1alpha import reflection, reflection_pb2

from nearfield.v1 import (
    cluster_pb2,
    cluster_pb2_grpc,
    embed_pb2,
    embed_pb2_grpc,
    model_pb2,
    model_pb2_grpc,
    search_pb2,
    search_pb2_grpc,
)
from nearfield_server.errors import ConfigError
from nearfield_server.rpc.cluster_service import ClusterServicer
from nearfield_server.rpc.embed import EmbedServicer
from nearfield_server.rpc.health import HealthServicer
from nearfield_server.rpc.interceptor import CallInterceptor
from nearfield_server.rpc.models import ModelServicer
from nearfield_server.rpc.operations import OperationsServicer
from nearfield_server.rpc.search_service import SearchServicer
from nearfield_server.types import Limits

__all__ = ["RPCS", "SEARCH", "SERVICES", "GrpcServer", "GrpcSettings", "Servicers"]

_DESCRIPTORS = [
    file.services_by_name[name]
    for file, name in (
        (embed_pb2.DESCRIPTOR, "EmbedService"),
        (model_pb2.DESCRIPTOR, "ModelService"),
        (search_pb2.DESCRIPTOR, "SearchService"),
        (cluster_pb2.DESCRIPTOR, "ClusterService"),
    )
]
SERVICES: tuple[str, ...] = tuple(service.full_name for service in _DESCRIPTORS)
"""Full names of Nearfield's services."""
SEARCH = search_pb2.DESCRIPTOR.services_by_name["SearchService"].full_name
_OPERATIONS = operations_pb2.DESCRIPTOR.services_by_name["Operations"]
RPCS: tuple[str, ...] = tuple(method.name for service in (*_DESCRIPTORS, _OPERATIONS) for method in service.methods)
"""Names of their rpcs, and of those about Operations, as metrics label them."""

_HEALTH = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
_REFLECTION_V1 = "grpc.reflection.v1.ServerReflection"

# A message is wrapped in a frame, and the limits are published for what callers can count.
_FRAME_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class GrpcSettings:
    """How to listen. `certificate`, `private_key` and `client_ca` are PEM files, or all `None` for plain text."""

    listen: str
    limits: Limits
    max_streams_per_connection: int
    reflection: bool
    channelz: bool
    certificate: Path | None = None
    private_key: Path | None = None
    client_ca: Path | None = None


@dataclass(frozen=True, slots=True)
class Servicers:
    """Nearfield's own services."""

    embed: EmbedServicer
    models: ModelServicer
    search: SearchServicer
    clusters: ClusterServicer
    operations: OperationsServicer


class GrpcServer:
    """Nearfield's services with health, and reflection and channelz if wanted."""

    def __init__(
        self,
        settings: GrpcSettings,
        servicers: Servicers,
        health: HealthServicer,
        interceptor: CallInterceptor,
    ) -> None:
        """Put the services together; nothing listens before `start`."""
        self._settings = settings
        self._server = grpc.aio.server(interceptors=[interceptor], options=_options(settings))
        embed_pb2_grpc.add_EmbedServiceServicer_to_server(servicers.embed, self._server)
        model_pb2_grpc.add_ModelServiceServicer_to_server(servicers.models, self._server)
        search_pb2_grpc.add_SearchServiceServicer_to_server(servicers.search, self._server)
        cluster_pb2_grpc.add_ClusterServiceServicer_to_server(servicers.clusters, self._server)
        operations_pb2_grpc.add_OperationsServicer_to_server(servicers.operations, self._server)
        health_pb2_grpc.add_HealthServicer_to_server(health, self._server)
        if settings.reflection:
            _add_reflection(
                self._server, (*SERVICES, _OPERATIONS.full_name, _HEALTH, reflection.SERVICE_NAME, _REFLECTION_V1)
            )
        if settings.channelz:
            channelz_pb2_grpc.add_ChannelzServicer_to_server(channelz_aio.ChannelzServicer(), self._server)

    async def start(self) -> str:
        """Listen; give the address to connect to.

        Raises:
            ConfigError: the address can't be listened on, or a key file can't be read.
        """
        listen = self._settings.listen
        credentials = _credentials(self._settings)
        try:
            if credentials is None:
                port = self._server.add_insecure_port(listen)
            else:
                port = self._server.add_secure_port(listen, credentials)
        except RuntimeError as error:
            msg = f"listen: can't listen on {listen}: in use, or not an address of this machine; choose another one"
            raise ConfigError(msg) from error
        await self._server.start()
        return listen if listen.startswith("unix:") else f"{listen.rpartition(':')[0]}:{port}"

    async def stop(self, grace_seconds: float) -> None:
        """Close the listener at once, and what is still in progress after `grace_seconds`."""
        await self._server.stop(grace_seconds)


def _options(settings: GrpcSettings) -> Sequence[tuple[str, int]]:
    return (
        # A second server on the same port must fail, not silently take half of the calls.
        ("grpc.so_reuseport", 0),
        ("grpc.max_receive_message_length", settings.limits.max_request_bytes),
        ("grpc.max_send_message_length", settings.limits.max_response_bytes + _FRAME_BYTES),
        ("grpc.max_concurrent_streams", settings.max_streams_per_connection),
        ("grpc.enable_channelz", int(settings.channelz)),
        # Clients may keep idle connections alive through NATs and load balancers.
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.min_ping_interval_without_data_ms", 10_000),
        ("grpc.keepalive_time_ms", 60_000),
        ("grpc.keepalive_timeout_ms", 20_000),
    )


def _credentials(settings: GrpcSettings) -> grpc.ServerCredentials | None:
    if settings.certificate is None or settings.private_key is None:
        return None
    try:
        pair = (settings.private_key.read_bytes(), settings.certificate.read_bytes())
        client_ca = settings.client_ca.read_bytes() if settings.client_ca else None
    except OSError as error:
        msg = f"tls: can't read {error.filename}: {error.strerror}"
        raise ConfigError(msg) from error
    return grpc.ssl_server_credentials([pair], root_certificates=client_ca, require_client_auth=client_ca is not None)


def _add_reflection(server: grpc.aio.Server, services: Sequence[str]) -> None:
    """Serve v1alpha and v1, whose messages are the same on the wire."""
    reflection.enable_server_reflection(services, server)
    handler = grpc.stream_stream_rpc_method_handler(
        reflection_aio.ReflectionServicer(services).ServerReflectionInfo,
        request_deserializer=reflection_pb2.ServerReflectionRequest.FromString,
        response_serializer=reflection_pb2.ServerReflectionResponse.SerializeToString,
    )
    generic = grpc.method_handlers_generic_handler(_REFLECTION_V1, {"ServerReflectionInfo": handler})
    server.add_generic_rpc_handlers((generic,))
