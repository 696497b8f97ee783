"""The commands, put together."""

from __future__ import annotations

from typing import Annotated

import typer

from nearfield_server import __version__
from nearfield_server.cli.classifiers_command import classifiers_app
from nearfield_server.cli.classify import classify
from nearfield_server.cli.cluster_command import cluster
from nearfield_server.cli.clusterings_command import clusterings_app
from nearfield_server.cli.collections_command import collections_app
from nearfield_server.cli.dedup_command import dedup
from nearfield_server.cli.doctor_command import doctor
from nearfield_server.cli.embed import embed
from nearfield_server.cli.export_command import export
from nearfield_server.cli.failures import settings
from nearfield_server.cli.index import index
from nearfield_server.cli.models_command import models_app
from nearfield_server.cli.project import project
from nearfield_server.cli.reembed_command import reembed_app
from nearfield_server.cli.rerank import rerank
from nearfield_server.cli.search import search
from nearfield_server.cli.serve import serve
from nearfield_server.cli.similarity import similarity
from nearfield_server.cli.snapshots_command import snapshots_app
from nearfield_server.cli.tokenize import tokenize

__all__ = ["app", "run"]

app = typer.Typer(
    name="nearfield",
    help="Embeddings over gRPC: serve a model, or use one.",
    epilog="Exit codes: 0 done, 1 failed, 2 wrong arguments, settings or input, 3 done with rows skipped, 130 Ctrl-C.",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(value: bool) -> None:
    if value:
        typer.echo(f"nearfield {__version__}")
        raise typer.Exit


@app.callback()
def _root(
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
    debug: Annotated[
        bool, typer.Option("--debug", help="Show tracebacks of errors. May stand anywhere in the command.")
    ] = False,
) -> None:
    del version
    settings.debug = debug


for command in (
    serve,
    embed,
    rerank,
    classify,
    similarity,
    tokenize,
    export,
    doctor,
    index,
    search,
    cluster,
    dedup,
    project,
):
    app.command()(command)
app.add_typer(models_app)
app.add_typer(classifiers_app)
app.add_typer(collections_app)
app.add_typer(snapshots_app)
app.add_typer(reembed_app)
app.add_typer(clusterings_app)


def run(arguments: list[str]) -> int:
    """Run one command; give its exit code."""
    try:
        app(_debug_first(arguments), prog_name="nearfield")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else int(leaving.code is not None)
    return 0


def _debug_first(arguments: list[str]) -> list[str]:
    """Move `--debug` to the front, where the root command takes it; what follows `--` is left alone."""
    end = arguments.index("--") if "--" in arguments else len(arguments)
    options, rest = arguments[:end], arguments[end:]
    if "--debug" not in options:
        return arguments
    return ["--debug", *(one for one in options if one != "--debug"), *rest]
