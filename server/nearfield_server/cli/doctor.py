"""`nearfield doctor`: looks at the machine, the installation and the settings, and says what to do about each fault."""

from __future__ import annotations

import errno
import http.client
import importlib.metadata
import json
import os
import platform
import resource
import socket
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import psutil
from rich.console import Console
from rich.table import Table
from rich.text import Text

from nearfield_server import __version__
from nearfield_server.cli import doctor_checks as checks
from nearfield_server.cli.doctor_checks import Check, Cores, Port
from nearfield_server.config import machine
from nearfield_server.config.address import Address, parse_address
from nearfield_server.config.hub_id import hub_id_of
from nearfield_server.config.loader import Loaded
from nearfield_server.config.settings import BUILTIN, Config
from nearfield_server.encoder.builtin import builtin_folder
from nearfield_server.encoder.hub_client import cache_folder

__all__ = ["Check", "collect", "run_doctor"]

_PROBE_SECONDS = 2.0
_SERVICE = "nearfield.v1.EmbedService"
_COLOURS = {"ok": "green", "warn": "yellow", "fail": "bold red"}


def run_doctor(loaded: Loaded, console: Console, *, as_json: bool = False) -> int:
    """Look at everything and print it; give the exit code: 0 when nothing fails, else 1.

    Args:
        loaded: the settings as `nearfield serve` would use them.
        console: where to print.
        as_json: one JSON object, `{"ok", "version", "checks": [{"name", "status", "found", "advice"}]}`.
    """
    results = list(collect(loaded))
    failed = any(one.status == "fail" for one in results)
    if as_json:
        entries = [{"name": c.name, "status": c.status, "found": c.found, "advice": c.advice} for c in results]
        text = json.dumps({"ok": not failed, "version": __version__, "checks": entries}, indent=2)
        console.print(text, markup=False, highlight=False, soft_wrap=True)
    else:
        _print(results, console)
    return int(failed)


def collect(loaded: Loaded) -> Iterator[Check]:
    """Look at one thing after the other."""
    config = loaded.config
    changed = [f"{key} ({origin})" for key, origin in loaded.origins.items() if origin != "default"]
    yield Check("nearfield", "ok", f"{__version__}; set: {', '.join(changed) or 'nothing, all defaults'}")
    yield checks.check_python((sys.version_info.major, sys.version_info.minor, sys.version_info.micro))
    versions = {name: _version(name) for name in (*checks.PACKAGES, *checks.RUNTIMES)}
    yield checks.check_packages({name: versions[name] for name in checks.PACKAGES})
    yield checks.check_runtime(versions)
    yield _providers(config.device)
    quota = machine.cpu_quota()
    cores = Cores(os.cpu_count() or 1, len(os.sched_getaffinity(0)), quota, machine.effective_cpu_count())
    yield checks.check_cpu(machine.cpu_flags(), platform.machine())
    yield checks.check_cores(cores, config.batching.workers)
    yield checks.check_memory(machine.memory_limit_bytes(), psutil.virtual_memory().total)
    yield checks.check_files(_soft_limit(), config)
    for name, folder in config.models.items():
        yield _model(name, folder, config)
    yield _data_dir(config.data_dir)
    yield from _ports(config)
    yield checks.check_container(
        config, container=machine.in_container(), kubernetes=machine.in_kubernetes(), quota=quota
    )


def _print(results: list[Check], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("CHECK", no_wrap=True)
    table.add_column("STATUS", no_wrap=True)
    table.add_column("FOUND", overflow="fold")
    for one in results:
        table.add_row(Text(one.name), Text(one.status, style=_COLOURS[one.status]), Text(one.found))
    console.print(table)
    advice = [one for one in results if one.advice]
    console.print()
    # What fails first: without it nothing works.
    for number, one in enumerate(sorted(advice, key=lambda check: check.status != "fail"), 1):
        line = Text.assemble(f"{number}. ", (f"{one.name}: ", _COLOURS[one.status]), one.advice)
        console.print(line, soft_wrap=True)
    if not advice:
        console.print("All is well.")


def _version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def _providers(device: str) -> Check:
    from nearfield_server.backends.onnx import available_providers  # noqa: PLC0415 - may not be installed

    try:
        available = available_providers()
    except ImportError as error:
        return Check("providers", "fail", "onnxruntime can't be imported", f"Reinstall ONNX Runtime: {error}.")
    return checks.check_providers(available, device, nvidia=machine.has_nvidia_gpu())


def _model(name: str, folder: str, config: Config) -> Check:
    if folder == BUILTIN:
        return checks.check_model(name, builtin_folder())
    hub_id = hub_id_of(folder)
    if hub_id is None:
        return checks.check_model(name, Path(folder))
    cache = config.hub.cache_dir or config.data_dir / "hub"
    return checks.check_hub_model(name, hub_id, cache_folder(cache, hub_id), offline=config.hub.offline)


def _soft_limit() -> int:
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return -1 if soft == resource.RLIM_INFINITY else soft


def _data_dir(folder: Path) -> Check:
    """Write a file that vanishes at once, in the folder or the nearest one above it that exists."""
    place = next((one for one in (folder, *folder.absolute().parents) if one.exists()), folder)
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        advice = f"Make {place} a folder that this user may write to, or choose another one by --data-dir."
        return Check("data folder", "fail", f"{folder}: {error.strerror or error}", advice)
    return Check("data folder", "ok", f"{folder}, writable" if place == folder else f"{folder}, will be made")


def _ports(config: Config) -> Iterator[Check]:
    for key, text in (("listen", config.listen), ("http", config.http)):
        if text:
            address = parse_address(text)
            port = _look_at(address)
            if port == "taken":
                port = "nearfield" if (_is_grpc(address) if key == "listen" else _is_http(address)) else "taken"
            yield checks.check_port(key, text, port)


def _look_at(address: Address) -> Port:
    """Try to listen at `address`."""
    if address.path:
        return _look_at_socket(Path(address.path))
    try:
        family, kind, protocol, _, where = socket.getaddrinfo(address.host, address.port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind, protocol) as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            sock.bind(where)
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            return "taken"
        return "denied" if error.errno in {errno.EACCES, errno.EPERM} else "nowhere"
    return "free" if address.port else "any"


def _look_at_socket(path: Path) -> Port:
    if not path.exists():
        return "free" if os.access(path.parent, os.W_OK) else "denied"
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as sock:
        sock.setblocking(False)  # a listener whose backlog is full would hold us up
        try:
            sock.connect(str(path))
        except ConnectionRefusedError:
            return "free" if path.is_socket() else "taken"  # left by a server that was killed
        except BlockingIOError:
            return "taken"
        except OSError:
            return "denied"
    return "taken"


def _is_grpc(address: Address) -> bool:
    """Whether a Nearfield answers health checks there, in plain text."""
    import grpc  # noqa: PLC0415 - may not be installed
    from grpc_health.v1 import health_pb2, health_pb2_grpc  # noqa: PLC0415

    with grpc.insecure_channel(str(_callable(address))) as channel:
        try:
            request = health_pb2.HealthCheckRequest(service=_SERVICE)
            health_pb2_grpc.HealthStub(channel).Check(request, timeout=_PROBE_SECONDS)
        except grpc.RpcError:
            return False
    return True


def _is_http(address: Address) -> bool:
    """Whether a Nearfield's index is there."""
    target = _callable(address)
    connection = http.client.HTTPConnection(target.host or "localhost", target.port, timeout=_PROBE_SECONDS)
    try:
        if address.path:
            connection.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            connection.sock.settimeout(_PROBE_SECONDS)
            connection.sock.connect(address.path)
        connection.request("GET", "/")
        return b"<title>Nearfield</title>" in connection.getresponse().read(4096)
    except (OSError, http.client.HTTPException):
        return False
    finally:
        connection.close()


def _callable(address: Address) -> Address:
    """Where to call a server that listens on all addresses."""
    loopback = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - compared, not bound
    return Address(loopback.get(address.host, address.host), address.port, address.path)
