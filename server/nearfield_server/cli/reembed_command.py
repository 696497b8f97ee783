"""`nearfield reembed`: a collection made anew by another model, while the old one serves."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import CliError, Exit, reporting
from nearfield_server.cli.progress import Progress, duration

if TYPE_CHECKING:
    from nearfield import Reembedding

__all__ = ["reembed_app"]

reembed_app = typer.Typer(
    name="reembed",
    help="Embed the texts of a collection again by another model, into a new collection, and give that its aliases.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@reembed_app.command()
def start(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="Its name or alias.")],
    model: Annotated[str, typer.Option(help="Left out: its own, in the version that is served now.")] = "",
    dimensions: Annotated[int, typer.Option(min=0, help="A Matryoshka width of the model; 0: its full one.")] = 0,
    to: Annotated[str, typer.Option(metavar="NAME", help="The new collection's name.")] = "",
    alias: Annotated[list[str] | None, typer.Option(help="To move; repeat it. Left out: all of the old one.")] = None,
    keep_aliases: Annotated[bool, typer.Option("--keep-aliases", help="Move none: look at the new one first.")] = False,
    skip_without_text: Annotated[
        bool, typer.Option("--skip-without-text", help="Leave out points that have only a vector.")
    ] = False,
    background: Annotated[bool, typer.Option("--background", help="Don't wait for the end.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Begin it, or follow the same one that is under way. Ctrl-C leaves it going on."""
    told: list[Reembedding] = []

    def fraction() -> float | None:
        return told[-1].copied / told[-1].total if told and told[-1].total else None

    progress = Progress(fraction=fraction, unit="points")

    def show(one: Reembedding) -> None:
        if one.error_message and (not told or told[-1].error_message != one.error_message):
            typer.echo(f"waits: {one.error_message}", err=True)
        told.append(one)
        del told[:-1]
        progress.update(one.copied)

    with reporting(), connected(target, local=False) as connection:
        try:
            one = connection.client.reembed(
                collection,
                model=model,
                dimensions=dimensions,
                target=to,
                aliases=alias or [],
                keep_aliases=keep_aliases,
                skip_without_text=skip_without_text,
                wait=not background,
                on_progress=show,
            )
        except KeyboardInterrupt:
            going_on = "it goes on in the server: the same command follows it, `nearfield reembed cancel` ends it"
            raise CliError(going_on, Exit.INTERRUPTED) from None
        finally:
            progress.close()
        if background:
            typer.echo(f"{one.id}: {one.source} to {one.target}, {one.state}")
            return
        if one.state == "cancelled":
            raise CliError(f"re-embedding {one.id} was cancelled", Exit.FAILED)
        moved = f", {', '.join(one.aliases)} moved" if one.aliases else ""
        left = f", {one.skipped:,} without text left out" if one.skipped else ""
        typer.echo(f"made collection {one.target}: {one.copied:,} points{left}{moved}; {one.source} is as it was")


@reembed_app.command("list")
def list_reembeddings(target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print those under way, and the last that ended, newest first."""
    with reporting(), connected(target, local=False) as connection:
        found = connection.client.reembeddings()
        if as_json:
            json.dump([_facts(one) for one in found], sys.stdout, ensure_ascii=False, indent=1)
            sys.stdout.write("\n")
        elif found:
            _print_table(found)
        else:
            typer.echo("no re-embeddings")


@reembed_app.command()
def cancel(
    id_: Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")],
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """End one and delete its new collection; the old one is as it was."""
    with reporting(), connected(target, local=False) as connection:
        one = connection.client.cancel_reembedding(id_)
        typer.echo(f"cancelled re-embedding {one.id} of {one.source}")


def _facts(one: Reembedding) -> dict[str, Any]:
    return asdict(one) | {
        "remaining": None if one.remaining is None else one.remaining.total_seconds(),
        "started_at": one.started_at.isoformat(),
        "ended_at": None if one.ended_at is None else one.ended_at.isoformat(),
    }


def _print_table(found: list[Reembedding]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ID", "SOURCE", "TARGET", "MODEL", "STATE", "POINTS", "LEFT"):
        table.add_column(name, justify="right" if name in {"POINTS", "LEFT"} else "left", no_wrap=True)
    for one in found:
        left = duration(one.remaining.total_seconds()) if one.remaining is not None else "-"
        points = f"{one.copied:,}/{one.total:,}"
        table.add_row(one.id, one.source, one.target, one.model, one.state, points, left)
    print_table(table)
    for one in found:
        if one.error_message:
            typer.echo(f"{one.id} {'failed' if one.state == 'failed' else 'waits'}: {one.error_message}")
