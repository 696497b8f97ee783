"""`nearfield serve`: flags to settings, and the server's life."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.failures import reporting

if TYPE_CHECKING:
    from nearfield_server.config.loader import Loaded

__all__ = ["ConfigOption", "DeviceOption", "HttpOption", "ListenOption", "ModelsOption", "load_settings", "serve"]

ListenOption = Annotated[
    str | None, typer.Option("--listen", metavar="HOST:PORT|unix:PATH", help="Address of gRPC [127.0.0.1:50051].")
]
HttpOption = Annotated[
    str | None,
    typer.Option("--http", metavar="HOST:PORT", help='Address of metrics and health; "" for none [127.0.0.1:8080].'),
]
ModelsOption = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        metavar="NAME=PATH|ORG/MODEL",
        help="A model's name and folder, NAME=builtin, or a hub id, NAME=ORG/MODEL[@REVISION]; may be repeated.",
    ),
]
DeviceOption = Annotated[
    str | None,
    typer.Option(
        "--device", metavar="auto|cpu|cuda[:N,M]|tensorrt[:N]|openvino|coreml|dml[:N]", help="Where models run [auto]."
    ),
]
ConfigOption = Annotated[Path | None, typer.Option("--config", metavar="FILE", help="Settings in YAML.")]


def serve(
    listen: ListenOption = None,
    http: HttpOption = None,
    data_dir: Annotated[
        Path | None, typer.Option("--data-dir", help="Folder of the server's data [nearfield-data].")
    ] = None,
    model: ModelsOption = None,
    device: DeviceOption = None,
    precision: Annotated[
        str | None,
        typer.Option("--precision", metavar="auto|fp32|fp16|int8|w8", help="Which of a model's graphs is run [auto]."),
    ] = None,
    model_repository: Annotated[
        Path | None,
        typer.Option("--model-repository", help="Folder of models by name and version [models in --data-dir]."),
    ] = None,
    admin: Annotated[
        str | None,
        typer.Option("--admin", metavar="auto|on|off", help="Whether callers may load and unload models [auto]."),
    ] = None,
    workers: Annotated[
        int | None, typer.Option("--workers", help="Worker threads of each model [one per core].")
    ] = None,
    drain_seconds: Annotated[
        float | None, typer.Option("--drain-seconds", help="Time for calls in progress at the end [30].")
    ] = None,
    reflection: Annotated[
        str | None, typer.Option("--reflection", metavar="auto|on|off", help="gRPC reflection [auto].")
    ] = None,
    channelz: Annotated[bool | None, typer.Option("--channelz/--no-channelz", help="gRPC channelz [off].")] = None,
    log_format: Annotated[
        str | None, typer.Option("--log-format", metavar="human|json", help="Log lines [human].")
    ] = None,
    log_level: Annotated[
        str | None, typer.Option("--log-level", metavar="debug|info|warning|error", help="Least level [info].")
    ] = None,
    config: ConfigOption = None,
    print_config: Annotated[
        bool, typer.Option("--print-config", help="Print the settings and their origins, and exit.")
    ] = False,
) -> None:
    """Serve models over gRPC. More settings: --config and NEARFIELD_* variables, see docs/configuration.md."""
    flags = {
        "listen": listen,
        "http": http,
        "data_dir": data_dir,
        "models": model or None,
        "device": device,
        "precision": precision,
        "repository.path": model_repository,
        "admin": admin,
        "batching.workers": workers,
        "drain_seconds": drain_seconds,
        "reflection": reflection,
        "channelz": channelz,
        "log_format": log_format,
        "log_level": log_level,
    }
    with reporting():
        loaded = load_settings(flags, config)
        if print_config:
            from nearfield_server.config.loader import render  # noqa: PLC0415  quick start

            typer.echo(render(loaded), nl=False)
            return
        from nearfield_server import app  # noqa: PLC0415  loads the server

        code = app.serve(loaded.config)
    if code:
        raise typer.Exit(code)


def load_settings(flags: Mapping[str, object], config: Path | None) -> Loaded:
    """Put flags, environment and file together. Raises `ConfigError`."""
    from nearfield_server.config.loader import load  # noqa: PLC0415  quick start

    return load(flags, os.environ, config)
