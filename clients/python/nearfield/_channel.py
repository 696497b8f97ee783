"""How to reach a server: options, credentials and targets, decided without opening anything."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias, TypedDict

import grpc

from nearfield._retry import RetryPolicy
from nearfield._types import Tls

__all__ = ["ClientOptions", "Compression", "Metadata", "Settings", "check_timeout", "make_settings"]

Compression: TypeAlias = Literal["gzip", "deflate"]
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

_COMPRESSIONS = {None: None, "gzip": grpc.Compression.Gzip, "deflate": grpc.Compression.Deflate}
_SERVICE_CONFIG = json.dumps({"loadBalancingConfig": [{"round_robin": {}}]})
_OPTIONS: tuple[tuple[str, Any], ...] = (
    # All addresses that a name resolves to are used. No `timeout` here: gRPC Python gets that one wrong, so that every
    # call is given its own.
    ("grpc.service_config", _SERVICE_CONFIG),
    # Retries are ours alone (`_retry.py`): gRPC's would multiply with them, and don't know RetryInfo.
    ("grpc.enable_retries", 0),
    # Replies are bounded by the server (Limits.max_response_bytes); gRPC's own 4 MiB would refuse good ones.
    ("grpc.max_receive_message_length", -1),
    ("grpc.max_send_message_length", -1),
    ("grpc.initial_reconnect_backoff_ms", 100),
    ("grpc.max_reconnect_backoff_ms", 5_000),
    ("grpc.primary_user_agent", "nearfield-python"),
)


class ClientOptions(TypedDict, total=False):
    """How a client talks to its server. Every key may be left out.

    Keys:
        timeout: seconds that a call may take, retries included; default 60. None: no deadline.
        tls: True for TLS with the system's roots, a `Tls` for certificates of your own; default False.
        metadata: pairs sent with every call, such as (("authorization", "Bearer …"),).
        retry: a `RetryPolicy`.
        keepalive_seconds: send HTTP/2 pings after this long without traffic; None, the default, sends none.
        compression: "gzip" or "deflate" for requests; default None.
        channel_options: further gRPC channel arguments; they win over the client's own.
    """

    timeout: float | None
    tls: bool | Tls
    metadata: Metadata
    retry: RetryPolicy
    keepalive_seconds: float | None
    compression: Compression | None
    channel_options: Sequence[tuple[str, Any]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """A client's options, checked. `credentials` is None for plain text."""

    target: str
    timeout: float | None
    metadata: tuple[tuple[str, str | bytes], ...] = field(repr=False)  # it may hold a secret
    retry: RetryPolicy
    credentials: grpc.ChannelCredentials | None
    compression: grpc.Compression | None
    channel_options: tuple[tuple[str, Any], ...]


def make_settings(target: str, options: ClientOptions) -> Settings:
    """Check a client's arguments. Raises TypeError for unknown options and ValueError for impossible values."""
    if unknown := set(options) - set(ClientOptions.__annotations__):
        known = ", ".join(ClientOptions.__annotations__)
        raise TypeError(f"unknown option {min(unknown)!r}; known: {known}")
    compression = options.get("compression")
    if compression not in _COMPRESSIONS:
        raise ValueError(f"compression is {compression!r}; known: 'gzip', 'deflate', None")
    tls = options.get("tls", False)
    return Settings(
        target=_check_target(target),
        timeout=check_timeout(options.get("timeout", 60.0)),
        metadata=tuple((key.lower(), value) for key, value in options.get("metadata", ())),
        retry=options.get("retry", RetryPolicy()),
        credentials=_credentials(tls),
        compression=_COMPRESSIONS[compression],
        channel_options=tuple(
            {
                **dict(_OPTIONS),
                **dict(_keepalive(options.get("keepalive_seconds"))),
                **dict(_server_name(tls)),
                **dict(options.get("channel_options", ())),
            }.items()
        ),
    )


def check_timeout(timeout: float | None) -> float | None:
    """Give `timeout` back when it is None or greater than 0. Raises ValueError."""
    if timeout is not None and not (timeout > 0 and math.isfinite(timeout)):
        raise ValueError(
            f"timeout is {timeout}; it must be a number of seconds greater than 0, or None for no deadline"
        )
    return timeout


def _check_target(target: str) -> str:
    if not target:
        raise ValueError("target is empty; give host:port, dns:///host:port or unix:PATH")
    for scheme in ("http://", "https://", "grpc://", "grpcs://"):
        if target.startswith(scheme):
            hint = ", and tls=True" if scheme in {"https://", "grpcs://"} else ""
            raise ValueError(f"target starts with {scheme}; give host:port without it{hint}")
    return target


def _credentials(tls: bool | Tls) -> grpc.ChannelCredentials | None:
    if isinstance(tls, Tls):
        return grpc.ssl_channel_credentials(tls.root_certificates, tls.private_key, tls.certificate_chain)
    return grpc.ssl_channel_credentials() if tls else None


def _server_name(tls: bool | Tls) -> tuple[tuple[str, Any], ...]:
    if isinstance(tls, Tls) and tls.server_name:
        return (("grpc.ssl_target_name_override", tls.server_name),)
    return ()


def _keepalive(seconds: float | None) -> tuple[tuple[str, Any], ...]:
    if seconds is None:
        return ()
    if not seconds > 0:
        raise ValueError(f"keepalive_seconds is {seconds}; it must be greater than 0, or None for no pings")
    return (
        ("grpc.keepalive_time_ms", int(seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
