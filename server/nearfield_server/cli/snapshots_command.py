"""`nearfield snapshots`: collections as files, and back."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Annotated, Self

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import reporting
from nearfield_server.cli.progress import Progress

if TYPE_CHECKING:
    from nearfield import Snapshot, SnapshotProgress

__all__ = ["snapshots_app"]

NameArgument = Annotated[str, typer.Argument(metavar="SNAPSHOT", help="A snapshot.")]

snapshots_app = typer.Typer(
    name="snapshots",
    help="Keep collections as files where the server keeps snapshots, and make collections from them.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@snapshots_app.command()
def create(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="Its name or alias.")],
    name: Annotated[str, typer.Argument(metavar="[SNAPSHOT]", help="Left out: the collection's with the time.")] = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Write all points of a collection."""
    with reporting(), connected(target, local=False) as connection:
        with _Shown() as shown:
            made = connection.client.create_snapshot(collection, name, on_progress=shown.update)
        typer.echo(f"made snapshot {made.name}: {made.points:,} points, {made.bytes / 2**20:.1f} MiB")


@snapshots_app.command()
def restore(
    name: NameArgument,
    collection: Annotated[str, typer.Argument(metavar="[COLLECTION]", help="Left out: the one it was made of.")] = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Make a new collection from a snapshot; all its files are verified first."""
    with reporting(), connected(target, local=False) as connection:
        with _Shown() as shown:
            made = connection.client.restore_snapshot(name, collection, on_progress=shown.update)
        typer.echo(f"made collection {made.name}: {made.points:,} points")


@snapshots_app.command("list")
def list_snapshots(target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print all snapshots, newest first."""
    with reporting(), connected(target, local=False) as connection:
        found = connection.client.snapshots()
        if as_json:
            json.dump([_facts(one) for one in found], sys.stdout, ensure_ascii=False, indent=1)
            sys.stdout.write("\n")
        elif found:
            _print_table(found)
        else:
            typer.echo("no snapshots")


@snapshots_app.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Delete a snapshot."""
    with reporting(), connected(target, local=False) as connection:
        if not yes:
            typer.confirm(f"Delete snapshot {name}?", abort=True)
        connection.client.delete_snapshot(name)
        typer.echo(f"deleted snapshot {name}")


class _Shown:
    """Progress on stderr, as the server tells it."""

    def __enter__(self) -> Self:
        self._last: SnapshotProgress | None = None
        self._progress = Progress(fraction=self._fraction, unit="points")
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.close()

    def _fraction(self) -> float | None:
        return self._last.points / self._last.total if self._last is not None and self._last.total else None

    def update(self, told: SnapshotProgress) -> None:
        self._last = told
        self._progress.update(told.points)


def _facts(one: Snapshot) -> dict[str, object]:
    return {
        "name": one.name,
        "collection": one.collection.name,
        "model": one.collection.model,
        "model_version": one.collection.model_version,
        "dimensions": one.collection.dimensions,
        "engine": one.collection.engine,
        "created_at": one.created_at.isoformat(),
        "points": one.points,
        "bytes": one.bytes,
    }


def _print_table(found: list[Snapshot]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("NAME", "COLLECTION", "POINTS", "SIZE", "CREATED"):
        table.add_column(name, justify="right" if name in {"POINTS", "SIZE"} else "left", no_wrap=True)
    for one in found:
        size = f"{one.bytes / 2**20:.1f} MiB"
        table.add_row(one.name, one.collection.name, f"{one.points:,}", size, f"{one.created_at:%Y-%m-%d %H:%M} UTC")
    print_table(table)
