"""`nearfield cluster`: groups of alike texts, of a file or a collection."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.cluster import options as given
from nearfield_server.cli.connect import (
    DEFAULT_TARGET,
    JsonOption,
    LocalOption,
    ModelOption,
    TargetOption,
    connected,
    local_models,
)
from nearfield_server.cli.failures import CliError, reporting

if TYPE_CHECKING:
    from nearfield_server.cli.cluster.reading import Items
    from nearfield_server.cli.cluster.run import Clustered

__all__ = ["cluster"]

_INPUT, _OUTPUT = "Input", "Output"


def cluster(
    file: Annotated[
        str | None,
        typer.Argument(metavar="[FILE|-]", help="Rows: .txt, .jsonl, .csv, .tsv (also .gz), .parquet; - is stdin."),
    ] = None,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Points of a collection, not a file.", rich_help_panel=_INPUT)
    ] = "",
    where: Annotated[
        str,
        typer.Option("--filter", metavar="EXPRESSION", help="Only points that match.", rich_help_panel=_INPUT),
    ] = "",
    tenant: Annotated[str, typer.Option(help="Whose points.", rich_help_panel=_INPUT)] = "",
    text_field: Annotated[
        str, typer.Option(help='Field of a row that holds the text; "": only vectors.', rich_help_panel=_INPUT)
    ] = "text",
    vector_field: Annotated[
        str, typer.Option(help="Field of a row that holds its vector.", rich_help_panel=_INPUT)
    ] = "",
    id_field: Annotated[str, typer.Option(help="Field of a row that holds its id.", rich_help_panel=_INPUT)] = "",
    limit: Annotated[
        int | None, typer.Option(min=1, help="Take the first rows of the file only.", rich_help_panel=_INPUT)
    ] = None,
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
    out: Annotated[
        str,
        typer.Option("--out", "-o", help="Rows with their clusters: .parquet, .jsonl, .csv.", rich_help_panel=_OUTPUT),
    ] = "",
    layers: Annotated[
        bool, typer.Option("--layers", help="Density: all layers, also in --out.", rich_help_panel=_OUTPUT)
    ] = False,
    as_json: JsonOption = False,
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
) -> None:
    """Find groups of texts or vectors that are alike, name them, and print them, the largest first.

    Ctrl-C ends the work in the server too. Rows that fail are told, and the exit code is 3.
    """
    from nearfield_server.cli.cluster.run import Place, cluster_collection, cluster_items  # noqa: PLC0415  quick start

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
        _check(file, (collection, where, tenant), out, layers=layers and method.value != "density")
        name, models = local_models(model, local=local)
        items = None if file is None else _read(file, (text_field, vector_field, id_field), limit)
        with connected(target, local=local, models=models) as connection:
            if items is None:
                place = Place(collection, tenant, where)
                found = cluster_collection(connection.client, place, options, with_texts=bool(out))
            else:
                found = cluster_items(connection.client, items, options, {"model": name} if name else {})
        _show(found, out, layers=layers, as_json=as_json)


def _check(file: str | None, points: tuple[str, str, str], out: str, *, layers: bool) -> None:
    from nearfield_server.cli.cluster.writing import check_output  # noqa: PLC0415  quick start

    collection, where, tenant = points
    if (file is None) == (not collection):
        raise CliError("name a file, or a collection with --collection" + ("" if file is None else ": not both"))
    if file is not None and (where or tenant):
        raise CliError("--filter and --tenant choose points: they go with --collection")
    if layers:
        raise CliError("--layers goes with --method density: other methods have none")
    if out:
        check_output(Path(out))


def _read(file: str, fields: tuple[str, str, str], limit: int | None) -> Items:
    from nearfield_server.cli.cluster.reading import Fields, read_items  # noqa: PLC0415  quick start

    text, vector, id_ = fields
    if not text and not vector:
        raise CliError("rows need a text or a vector: name its field with --text-field or --vector-field")
    return read_items(None if file == "-" else Path(file), Fields(text=text, vector=vector, id=id_), limit)


def _show(found: Clustered, out: str, *, layers: bool, as_json: bool) -> None:
    from nearfield_server.cli.cluster import showing  # noqa: PLC0415  quick start
    from nearfield_server.cli.cluster.run import output_columns, report_failures  # noqa: PLC0415
    from nearfield_server.cli.cluster.writing import write_rows  # noqa: PLC0415

    made: Any = found.clustering
    if out:
        write_rows(Path(out), output_columns(found, layers=layers))
    if as_json:
        showing.print_json(showing.clustering_facts(made))
    else:
        showing.print_clustering(made)
        if layers:
            showing.print_layers(made)
        if out:
            typer.echo(f"wrote {out}: {len(made.labels):,} rows", err=True)
    report_failures(made)
