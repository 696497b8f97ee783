"""`--engine` and `--ray-address`, of the commands that take many Parquet files."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.failures import CliError

if TYPE_CHECKING:
    from nearfield_server.cli.engines import Engine

__all__ = ["EngineName", "EngineOption", "RayAddressOption", "chosen_engine", "refuse_foreign", "shards_in_and_out"]

EngineName = StrEnum("EngineName", ["local", "ray"])
_RUN = "Run"

EngineOption = Annotated[
    EngineName | None,
    typer.Option(
        "--engine", help=".parquet files to a folder of parts: on this machine, or by Ray.", rich_help_panel=_RUN
    ),
]
RayAddressOption = Annotated[
    str,
    typer.Option(
        "--ray-address",
        metavar="HOST:PORT",
        help="Ray cluster, auto for this machine's; unset, one is started.",
        rich_help_panel=_RUN,
    ),
]


def chosen_engine(name: EngineName | None, ray_address: str) -> Engine | None:
    """Give what the job runs on; `None`: a server. Raises `CliError` for an address of nothing."""
    if name is None or name.value != "ray":
        if ray_address:
            raise CliError("--ray-address goes with --engine ray")
        if name is None:
            return None
    from nearfield_server.cli.engines import Engine  # noqa: PLC0415  loads the executors

    return Engine(name=name.value, ray_address=ray_address)


def shards_in_and_out(file: Path | None, out: Path | None) -> tuple[Path, Path]:
    """Give a file or folder of shards, and the folder of their parts. Raises `CliError` for anything else."""
    if file is None or not (file.is_dir() or file.suffix == ".parquet"):
        raise CliError("--engine reads a .parquet file, or a folder of them")
    if out is None or out.suffix:
        raise CliError("--engine writes a folder of parts: give --out the name of a folder")
    return file, out


def refuse_foreign(options: dict[str, bool]) -> None:
    """Raise `CliError` for an option that was given and is of a server's work only."""
    if given := [name for name, there in options.items() if there]:
        raise CliError(f"{given[0]} doesn't go with --engine, which works on the vectors of .parquet files")
