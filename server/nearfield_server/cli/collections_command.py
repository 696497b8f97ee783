"""`nearfield collections`: what there is, and making, naming and deleting it."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.collections_export import export
from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import CliError, reporting

if TYPE_CHECKING:
    from nearfield import CollectionInfo

__all__ = ["collections_app"]

NameArgument = Annotated[str, typer.Argument(metavar="NAME", help="A collection.")]

collections_app = typer.Typer(
    name="collections",
    help="List, make, name and delete collections of points.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@collections_app.command("list")
def list_collections(target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print all collections, by name."""
    with reporting(), connected(target, local=False) as connection:
        found = connection.client.collections()
        if as_json:
            _print_json([_facts(one) for one in found])
        elif found:
            _print_table(found)
        else:
            typer.echo("no collections")


@collections_app.command()
def show(name: NameArgument, target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print everything that the server tells of a collection."""
    with reporting(), connected(target, local=False) as connection:
        facts = _facts(connection.client.collection(name).info())
    if as_json:
        _print_json(facts)
        return
    width = max(map(len, facts))
    for label, value in facts.items():
        shown = json.dumps(value, ensure_ascii=False) if isinstance(value, (dict, list)) else value
        typer.echo(f"{label.replace('_', ' '):<{width}}  {'-' if shown in (None, '') else shown}")


@collections_app.command()
def tenants(name: NameArgument, target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print the tenants of a collection with the number of their points, by name."""
    with reporting(), connected(target, local=False) as connection:
        found = connection.client.collection(name).tenants()
        if as_json:
            _print_json([{"tenant": tenant, "points": points} for tenant, points in found])
            return
        for tenant, points in found:
            typer.echo(f"{points:>12,}  {json.dumps(tenant, ensure_ascii=False)}")


@collections_app.command()
def create(
    name: NameArgument,
    model: Annotated[str, typer.Option(help="Model that embeds its texts; left out: the default one.")] = "",
    dimensions: Annotated[int, typer.Option(min=0, help="Width of vectors; without a model, points bring them.")] = 0,
    index: Annotated[
        list[str] | None, typer.Option("--index", metavar="FIELD=TYPE", help="Payload field to index; repeatable.")
    ] = None,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Make a collection."""
    with reporting():
        fields = _fields(index)
        with connected(target, local=False) as connection:
            try:
                connection.client.create_collection(
                    name,
                    model=model,
                    dimensions=dimensions,
                    payload_indexes=fields,  # type: ignore[arg-type]  # the client checks them
                )
            except ValueError as error:
                raise CliError(str(error).replace("payload_indexes", "--index", 1)) from error
        typer.echo(f"made collection {name}")


@collections_app.command()
def update(
    name: NameArgument,
    index: Annotated[
        list[str] | None, typer.Option("--index", metavar="FIELD=TYPE", help="Payload field to index; repeatable.")
    ] = None,
    drop_index: Annotated[
        list[str] | None, typer.Option(metavar="FIELD", help="Payload field that loses its index; repeatable.")
    ] = None,
    ttl: Annotated[
        float | None, typer.Option(min=0, help="Seconds after which new points vanish that don't say when; 0: never.")
    ] = None,
    quantization: Annotated[str | None, typer.Option(help="int8 or none; the index is built again.")] = None,
    durability: Annotated[str | None, typer.Option(help="process or disk, for writes from now on.")] = None,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Change payload indexes, time to live, quantisation or durability."""
    given = {"ttl": ttl, "quantization": quantization, "durability": durability}
    options: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    with reporting(), connected(target, local=False) as connection:
        try:
            connection.client.collection(name).update(
                add_payload_indexes=_fields(index),  # type: ignore[arg-type]  # the client checks them
                drop_payload_indexes=drop_index or (),
                **options,
            )
        except ValueError as error:
            raise CliError(str(error).replace("add_payload_indexes", "--index", 1)) from error
        typer.echo(f"changed collection {name}")


@collections_app.command()
def alias(
    name: Annotated[str, typer.Argument(metavar="ALIAS", help="The name that is to stand for a collection.")],
    collection: Annotated[str, typer.Argument(help="The collection.")] = "",
    delete: Annotated[bool, typer.Option("--delete", help="Take the alias away.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Let ALIAS stand for a collection, at once for all new calls; or take it away."""
    with reporting():
        if delete == bool(collection):
            raise CliError("give a collection, or --delete")
        with connected(target, local=False) as connection:
            previous = connection.client.set_collection_alias(name, collection)
        typer.echo(f"{name}: {previous or 'nothing'} -> {collection or 'nothing'}")


@collections_app.command()
def delete(
    name: NameArgument,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Delete a collection with all its points."""
    with reporting(), connected(target, local=False) as connection:
        points = connection.client.collection(name).info().points
        if not yes:
            typer.confirm(f"Delete {name} with its {points:,} points?", abort=True)
        connection.client.delete_collection(name)
        typer.echo(f"deleted {name}, {points:,} points")


collections_app.command()(export)


def _fields(index: list[str] | None) -> dict[str, str]:
    """Give the types of fields by path. Raises `CliError`."""
    fields = dict(one.partition("=")[::2] for one in index or ())
    if unclear := [name for name, kind in fields.items() if not kind]:
        raise CliError(f"--index {unclear[0]}: give its type too, such as {unclear[0]}=keyword")
    return fields


def _facts(info: CollectionInfo) -> dict[str, object]:
    facts = asdict(info)
    facts["created_at"] = info.created_at.isoformat()
    facts["ttl"] = None if info.ttl is None else info.ttl.total_seconds()
    facts["aliases"] = list(info.aliases)
    return facts


def _print_json(content: object) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def _print_table(found: list[CollectionInfo]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("NAME", "MODEL", "DIMS", "POINTS", "INDEX", "DISK", "ALIASES"):
        table.add_column(name, justify="right" if name in {"DIMS", "POINTS", "DISK"} else "left", no_wrap=True)
    for one in found:
        disk = f"{one.disk_bytes / 2**20:.1f} MiB"
        aliases = ", ".join(one.aliases) or "-"
        table.add_row(
            one.name, one.model or "-", f"{one.dimensions}", f"{one.points:,}", one.index_state, disk, aliases
        )
    print_table(table)
