"""`nearfield doctor`: the arguments; `doctor` has the checks."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield_server.cli.failures import reporting
from nearfield_server.cli.serve import (
    ConfigOption,
    DeviceOption,
    HttpOption,
    ListenOption,
    ModelsOption,
    load_settings,
)

__all__ = ["doctor"]


def doctor(
    listen: ListenOption = None,
    http: HttpOption = None,
    model: ModelsOption = None,
    device: DeviceOption = None,
    config: ConfigOption = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the findings as JSON.")] = False,
) -> None:
    """Check machine, packages, models and ports as `serve` with the same flags would find them, and say what to do."""
    with reporting():
        from rich.console import Console  # noqa: PLC0415  quick start

        from nearfield_server.cli.doctor import run_doctor  # noqa: PLC0415

        flags = {"listen": listen, "http": http, "models": model or None, "device": device}
        code = run_doctor(load_settings(flags, config), Console(), as_json=as_json)
    if code:
        raise typer.Exit(code)
