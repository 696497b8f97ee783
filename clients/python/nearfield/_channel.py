"""How to reach a server: options, credentials and targets, decided without opening anything."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeAlias, TypedDict

import grpc

from nearfield._deadline import Deadline
from nearfield._retry import RetryPolicy
from nearfield._types import Pem, Tls

__all__ = [
    "LOAD_SECONDS",
    "ClientOptions",
    "Compression",
    "Metadata",
    "Settings",
    "call_deadline",
    "check_timeout",
    "make_settings",
]

Compression: TypeAlias = Literal["gzip", "deflate"]
Metadata: TypeAlias = Sequence[tuple[str, str | bytes]]

LOAD_SECONDS = 600.0
"""Deadline of loading a model, where none is given: it may be read from a slow disk, and an engine built for it."""

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
)
_USER_AGENT = "nearfield-python"
# gRPC counts keepalives in 32 bits of milliseconds, and takes deadlines beyond its clock for passed.
_SHORTEST_KEEPALIVE_SECONDS = 0.001
_LONGEST_KEEPALIVE_SECONDS = 2_000_000
_LONGEST_TIMEOUT_SECONDS = 1_000_000_000


class ClientOptions(TypedDict, total=False):
    """How a client talks to its server. Every key may be left out.

    Keys:
        timeout: seconds that a call may take, retries included; default 60. None: no deadline.
        tls: True for TLS with the system's roots, a `Tls` for certificates of your own; default False.
        metadata: pairs sent with every call, such as (("authorization", "Bearer …"),).
        retry: a `RetryPolicy`.
        keepalive_seconds: send HTTP/2 pings after this long without traffic; None, the default, sends none.
        compression: "gzip" or "deflate" for requests; default None.
        user_agent: name of your program, put before the client's own in the user-agent header.
        channel_options: further gRPC channel arguments; they win over the client's own.
    """

    timeout: float | None
    tls: bool | Tls
    metadata: Metadata
    retry: RetryPolicy
    keepalive_seconds: float | None
    compression: Compression | None
    user_agent: str
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
                "grpc.primary_user_agent": _user_agent(options.get("user_agent", "")),
                **dict(_keepalive(options.get("keepalive_seconds"))),
                **dict(_server_name(tls)),
                **dict(options.get("channel_options", ())),
            }.items()
        ),
    )


def check_timeout(timeout: float | None) -> float | None:
    """Give `timeout` back when it is None or a number of seconds that gRPC can count. Raises ValueError."""
    if timeout is not None and not 0 < timeout <= _LONGEST_TIMEOUT_SECONDS:
        bounds = f"greater than 0, at most {_LONGEST_TIMEOUT_SECONDS:,}"
        raise ValueError(f"timeout is {timeout}; it must be a number of seconds {bounds}, or None for no deadline")
    return timeout


def call_deadline(settings: Settings, timeout: float | None) -> Deadline:
    """Give the deadline of a call that begins now; `timeout` None: the client's own. Raises ValueError."""
    return Deadline(settings.timeout if timeout is None else check_timeout(timeout))


def _check_target(target: str) -> str:
    if not target:
        raise ValueError("target is empty; give host:port, dns:///host:port or unix:PATH")
    for scheme in ("http://", "https://", "grpc://", "grpcs://"):
        if target.startswith(scheme):
            hint = ", and tls=True" if scheme in {"https://", "grpcs://"} else ""
            raise ValueError(f"target starts with {scheme}; give host:port without it{hint}")
    return target


def _user_agent(program: str) -> str:
    if not (program.isascii() and program.isprintable()):
        raise ValueError(f"user_agent is {program!r}; it must be printable ASCII")
    return f"{program} {_USER_AGENT}".strip()


def _credentials(tls: bool | Tls) -> grpc.ChannelCredentials | None:
    if not isinstance(tls, Tls):
        return grpc.ssl_channel_credentials() if tls else None
    if (tls.private_key is None) != (tls.certificate_chain is None):
        raise ValueError("private_key and certificate_chain belong together: give both, or neither")
    parts = (tls.root_certificates, tls.private_key, tls.certificate_chain)
    return grpc.ssl_channel_credentials(*map(_pem, parts))


def _pem(value: Pem) -> bytes | None:
    """Give PEM as bytes, from a file where it is a path. Raises OSError, or ValueError for what isn't PEM."""
    if value is None:
        return None
    # A text in PEM in place of its path is told as such: as a path it would end up in the message of an OSError.
    if isinstance(value, str) and "-----BEGIN" in value:
        raise ValueError("credentials in PEM are bytes; a str is the path of a file that holds them")
    pem = value if isinstance(value, bytes) else Path(value).read_bytes()
    if b"-----BEGIN" not in pem:
        raise ValueError("credentials are not in PEM: there is no line that starts with -----BEGIN")
    return pem


def _server_name(tls: bool | Tls) -> tuple[tuple[str, Any], ...]:
    if isinstance(tls, Tls) and tls.server_name:
        return (("grpc.ssl_target_name_override", tls.server_name),)
    return ()


def _keepalive(seconds: float | None) -> tuple[tuple[str, Any], ...]:
    if seconds is None:
        return ()
    if not _SHORTEST_KEEPALIVE_SECONDS <= seconds <= _LONGEST_KEEPALIVE_SECONDS:
        bounds = f"from {_SHORTEST_KEEPALIVE_SECONDS} to {_LONGEST_KEEPALIVE_SECONDS:,}"
        raise ValueError(f"keepalive_seconds is {seconds}; it must be {bounds}, or None for no pings")
    return (
        ("grpc.keepalive_time_ms", int(seconds * 1000)),
        ("grpc.keepalive_permit_without_calls", 1),
        ("grpc.http2.max_pings_without_data", 0),
    )
