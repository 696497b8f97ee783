"""`nearfield clusterings`: kept clusterings, the jobs that make them, and new items put into them."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.cluster import options as given
from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import CliError, Exit, reporting

if TYPE_CHECKING:
    from nearfield import Clustering, ClusteringInfo, ClusteringJob

__all__ = ["clusterings_app"]

clusterings_app = typer.Typer(
    name="clusterings",
    help="Kept clusterings, and the jobs that make them of collections.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)

IdArgument = Annotated[str, typer.Argument(metavar="ID", help="As `list` prints it.")]


@clusterings_app.command("list")
def list_clusterings(target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print the kept clusterings, newest first, and the jobs that haven't ended or have failed."""
    from nearfield_server.cli.cluster import showing  # noqa: PLC0415  quick start

    with reporting(), connected(target, local=False) as connection:
        kept = connection.client.clusterings()
        jobs = [one for one in connection.client.clustering_jobs() if one.state != "done"]
        if as_json:
            facts = {"clusterings": [showing.info_facts(one) for one in kept]}
            showing.print_json(facts | {"jobs": [showing.job_facts(one) for one in jobs]})
        elif kept or jobs:
            _print_table(kept, jobs)
        else:
            typer.echo("no clusterings; `nearfield clusterings start COLLECTION` makes one")


@clusterings_app.command()
def show(
    id_: IdArgument,
    layers: Annotated[bool, typer.Option("--layers", help="Density: all layers, also in --out.")] = False,
    out: Annotated[str, typer.Option("--out", "-o", help="Ids with clusters: .parquet, .jsonl or .csv.")] = "",
    target: TargetOption = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Print a kept clustering: its clusters, how good it is, and what became of earlier ones."""
    with reporting():
        _check_output(out)
        with connected(target, local=False) as connection:
            made = connection.client.clustering(id_, assignments=bool(out))
        _show(made, out, layers=layers, as_json=as_json)


@clusterings_app.command()
def start(
    collection: Annotated[str, typer.Argument(metavar="COLLECTION", help="Its name or alias.")],
    where: Annotated[str, typer.Option("--filter", metavar="EXPRESSION", help="Only points that match.")] = "",
    tenant: Annotated[str, typer.Option(help="Whose points.")] = "",
    method: given.MethodOption = given.Method("kmeans"),
    clusters: given.ClustersOption = None,
    target_clusters: given.TargetClustersOption = None,
    min_cluster_size: given.MinClusterSizeOption = None,
    assign_noise: given.AssignNoiseOption = False,
    threshold: given.ThresholdOption = None,
    linkage: given.LinkageOption = None,
    seed: given.SeedOption = 0,
    names: given.NamesOption = "",
    language: given.LanguageOption = None,
    previous: given.PreviousOption = "",
    keep: given.KeepOption = "",
    target: TargetOption = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Begin to cluster a collection in the server, and return at once; `watch` follows it."""
    from nearfield_server.cli.cluster.showing import job_facts, print_json  # noqa: PLC0415  quick start

    with reporting():
        options = given.cluster_options(
            method,
            {
                "k": clusters,
                "target_clusters": target_clusters,
                "min_cluster_size": min_cluster_size,
                "assign_noise": assign_noise,
                "distance_threshold": threshold,
                "linkage": linkage,
                "seed": seed,
                "names": names,
                "languages": tuple(language or ()),
                "previous": previous,
                "keep_seconds": keep,
            },
        )
        with connected(target, local=False) as connection:
            job = connection.client.start_clustering(collection, tenant=tenant, filter=where or None, **options)
        if as_json:
            print_json(job_facts(job))
        else:
            typer.echo(f"{job.id}: {job.state}; `nearfield clusterings watch {job.id}` follows it")


@clusterings_app.command()
def watch(id_: IdArgument, target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Follow a job to its end, and print its clustering. Ctrl-C leaves it going on."""
    from nearfield_server.cli.cluster.watching import Watching  # noqa: PLC0415  quick start

    with reporting(), connected(target, local=False) as connection:
        try:
            with closing(Watching()) as watching:
                made = connection.client.wait_clustering(id_, on_progress=watching.update)
        except KeyboardInterrupt:
            going_on = f"it goes on in the server: `nearfield clusterings cancel {id_}` ends it"
            raise CliError(going_on, Exit.INTERRUPTED) from None
        _show(made, "", layers=False, as_json=as_json)


@clusterings_app.command()
def cancel(id_: IdArgument, target: TargetOption = DEFAULT_TARGET) -> None:
    """End a job; one that has ended stays as it is."""
    with reporting(), connected(target, local=False) as connection:
        job = connection.client.cancel_clustering(id_)
        typer.echo(f"{job.id}: {job.state}")


@clusterings_app.command()
def delete(id_: IdArgument, target: TargetOption = DEFAULT_TARGET) -> None:
    """Delete a kept clustering."""
    with reporting(), connected(target, local=False) as connection:
        connection.client.delete_clustering(id_)
        typer.echo(f"deleted clustering {id_}")


@clusterings_app.command()
def assign(
    id_: IdArgument,
    file: Annotated[str, typer.Argument(metavar="FILE|-", help="Rows, as `nearfield cluster` reads them.")],
    out: Annotated[str, typer.Option("--out", "-o", help="Rows with clusters: .parquet, .jsonl or .csv.")] = "",
    text_field: Annotated[str, typer.Option(help='Field that holds the text; "": only vectors.')] = "text",
    vector_field: Annotated[str, typer.Option(help="Field that holds the vector.")] = "",
    id_field: Annotated[str, typer.Option(help="Field that holds the id.")] = "",
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Don't count them for the drift.")] = False,
    target: TargetOption = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Put new rows into the clusters of a kept clustering, and tell whether clustering anew is due."""
    from nearfield_server.cli.cluster.reading import Fields, read_items  # noqa: PLC0415  quick start

    with reporting():
        _check_output(out)
        if not text_field and not vector_field:
            raise CliError("rows need a text or a vector: name its field with --text-field or --vector-field")
        fields = Fields(text=text_field, vector=vector_field, id=id_field)
        items = read_items(None if file == "-" else Path(file), fields)
        with connected(target, local=False) as connection:
            from nearfield_server.cli.cluster.assigning import assign_items  # noqa: PLC0415

            assign_items(connection.client, id_, items, out=out, dry_run=dry_run, as_json=as_json)


def _show(made: Clustering, out: str, *, layers: bool, as_json: bool) -> None:
    from nearfield_server.cli.cluster import showing  # noqa: PLC0415  quick start
    from nearfield_server.cli.cluster.run import Clustered, output_columns  # noqa: PLC0415
    from nearfield_server.cli.cluster.writing import write_rows  # noqa: PLC0415

    if out:
        write_rows(
            Path(out), output_columns(Clustered(made, [], [one for one in made.ids if one is not None]), layers=layers)
        )
    if as_json:
        showing.print_json(showing.clustering_facts(made))
        return
    showing.print_clustering(made)
    if layers:
        showing.print_layers(made)


def _check_output(out: str) -> None:
    from nearfield_server.cli.cluster.writing import check_output  # noqa: PLC0415  quick start

    if out:
        check_output(Path(out))


def _print_table(kept: list[ClusteringInfo], jobs: list[ClusteringJob]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.cluster.watching import job_line  # noqa: PLC0415
    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("ID", "METHOD", "CLUSTERS", "ITEMS", "COLLECTION", "MADE", "EXPIRES", "STATE"):
        table.add_column(name, justify="right" if name in {"CLUSTERS", "ITEMS"} else "left", no_wrap=True)
    for job in jobs:
        made = "-" if job.created_at is None else f"{job.created_at:%Y-%m-%d %H:%M}"
        state = job.state if job.has_ended else job_line(job)
        table.add_row(job.id, "-", "-", f"{job.items:,}", "-", made, "-", state)
    for one in kept:
        expires = "-" if one.expires_at is None else f"{one.expires_at:%Y-%m-%d %H:%M}"
        sizes = (f"{one.cluster_count:,}", f"{one.items:,}")
        made = f"{one.created_at:%Y-%m-%d %H:%M}"
        table.add_row(one.id, str(one.options.get("method", "")), *sizes, one.collection or "-", made, expires, "done")
    print_table(table)
    for job in jobs:
        if job.error is not None and job.state == "failed":
            typer.echo(f"{job.id} failed: {job.error.message}")
