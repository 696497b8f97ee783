"""Runs an ASGI app with uvicorn inside the running event loop: no signal handlers, no access log, no environment."""

from __future__ import annotations

import asyncio
import errno
import socket
import stat
from pathlib import Path
from typing import Any

import uvicorn

from nearfield_server.config.address import Address, parse_address
from nearfield_server.errors import ConfigError
from nearfield_server.web.protocol import PromptProtocol

__all__ = ["HttpServer"]

_BACKLOG = 128
_STOP_SECONDS = 5
_IDLE_SECONDS = 75
# More at once than scrapers and probes ever need are refused with 503; the port must not eat what gRPC needs.
_MAX_CONNECTIONS = 256
_SOCKET_MODE = 0o660


class HttpServer:
    """One app on one address."""

    def __init__(self, app: Any, address: str) -> None:
        """`address` is HOST:PORT (port 0: any free one) or unix:PATH. Nothing listens before `start`."""
        self._address = parse_address(address)
        config = uvicorn.Config(
            app,
            http=PromptProtocol,
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            proxy_headers=False,
            server_header=False,
            forwarded_allow_ips=[],
            workers=1,
            limit_concurrency=_MAX_CONNECTIONS,
            timeout_keep_alive=_IDLE_SECONDS,
            timeout_graceful_shutdown=_STOP_SECONDS,
        )
        self._server = uvicorn.Server(config)
        self._serving: asyncio.Task[None] | None = None
        self._sockets: list[socket.socket] = []

    async def start(self) -> str:
        """Listen; give the address to connect to.

        Raises:
            ConfigError: the address can't be listened on; the message says what to do.
        """
        bound, sock = _bind(self._address)
        server, config = self._server, self._server.config
        config.load()
        server.lifespan = config.lifespan_class(config)
        # The parts of uvicorn's `serve`, which would take over the process's signals.
        self._sockets = [sock]
        await server.startup(sockets=self._sockets)
        self._serving = asyncio.get_running_loop().create_task(server.main_loop(), name="nearfield-http")
        return str(bound)

    async def stop(self) -> None:
        """Close the port at once, and what is still in progress after a few seconds. May be called twice."""
        if self._serving is None:
            return
        self._server.should_exit = True
        await self._serving
        self._serving = None
        await self._server.shutdown(sockets=self._sockets)
        _clean_up(self._address)


def _bind(address: Address) -> tuple[Address, socket.socket]:
    try:
        return _bind_unix(address) if address.path else _bind_tcp(address)
    except OSError as error:
        raise _refused(address, error) from error


def _bind_tcp(address: Address) -> tuple[Address, socket.socket]:
    family, kind, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
    sock = socket.socket(family, kind, protocol)
    try:
        # A restart may take the port over from connections that wait out; SO_REUSEPORT, which lets two servers share
        # it silently, stays off.
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        sock.bind(where)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return Address(address.host, sock.getsockname()[1]), sock


def _bind_unix(address: Address) -> tuple[Address, socket.socket]:
    path = Path(address.path)
    if path.exists() and stat.S_ISSOCK(path.stat().st_mode) and not _answers(path):
        path.unlink()  # left by a server that was killed
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        sock.bind(address.path)
        path.chmod(_SOCKET_MODE)
        sock.listen(_BACKLOG)
        sock.setblocking(False)
    except BaseException:
        sock.close()
        raise
    return address, sock


def _clean_up(address: Address) -> None:
    if address.path:
        Path(address.path).unlink(missing_ok=True)


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.setblocking(False)  # a listener whose backlog is full would hold us up
        try:
            probe.connect(str(path))
        except ConnectionRefusedError:
            return False
        except BlockingIOError:
            pass
    return True


def _refused(address: Address, error: OSError) -> ConfigError:
    if error.errno == errno.EADDRINUSE:
        problem = "another program listens there; stop it, or choose another address"
    elif error.errno in {errno.EACCES, errno.EPERM}:
        problem = "not allowed; ports below 1024 and folders of others need rights"
    elif error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        problem = "not an address of this machine"
    else:
        problem = str(error.strerror or error)
    return ConfigError(f'http: cannot listen on {address}: {problem} (--http HOST:PORT, or "" for none)')
