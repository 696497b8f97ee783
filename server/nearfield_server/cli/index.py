"""`nearfield index`: files into a collection."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, TargetOption, connected
from nearfield_server.cli.failures import CliError, Exit, fail, reporting

if TYPE_CHECKING:
    from nearfield import Client, CollectionInfo
    from nearfield_server.cli.ingest.run import Plan
    from nearfield_server.cli.ingest.writer import Counts

__all__ = ["index"]

_SHOWN_ERRORS = 20


def index(
    path: Annotated[
        str,
        typer.Argument(
            metavar="FILE|DIR|-",
            help="Documents (.txt, .md, .html), rows (.jsonl, .csv, .tsv, .parquet), a folder, or - for JSONL on stdin.",
        ),
    ],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where the points go.")],
    text_field: Annotated[
        str, typer.Option(help='Field of a row that holds the text; "" for rows that are only vectors.')
    ] = "text",
    id_field: Annotated[
        str, typer.Option(help="Field of a row that holds its id; left out: file and row number.")
    ] = "",
    vector_field: Annotated[str, typer.Option(help="Field of a row that holds its vector.")] = "",
    payload: Annotated[str, typer.Option(metavar="NAME,...", help="Fields of a row to carry.")] = "",
    recursive: Annotated[bool, typer.Option("--recursive", "-r", help="Look into folders of the folder.")] = False,
    pattern: Annotated[str, typer.Option("--glob", help="Files of the folder to take.")] = "*",
    chunk_tokens: Annotated[int, typer.Option(min=8, help="Most tokens of a document's chunk.")] = 200,
    chunk_overlap: Annotated[int, typer.Option(min=0, help="Tokens that a chunk repeats of the one before.")] = 32,
    chunk_rows: Annotated[
        bool, typer.Option("--chunk-rows", help="Cut the texts of rows too, into points ID#0, ID#1 and so on.")
    ] = False,
    prune: Annotated[
        bool,
        typer.Option("--prune", help="Delete what was indexed from DIR, or a file of rows, and is no longer there."),
    ] = False,
    create: Annotated[bool, typer.Option("--create/--no-create", help="Make the collection if there is none.")] = True,
    tenant: Annotated[str, typer.Option(help="Whose points they are.")] = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Put the passages of documents, or rows, into a collection; send only what is new or has changed.

    Documents are cut at headings and sentences. What a document no longer says is deleted; with --prune, documents that
    vanished from DIR and rows that vanished from a file too. An interrupted run goes on where it stopped when it is run
    again.
    """
    from nearfield_server.cli.ingest.run import Plan  # noqa: PLC0415  quick start

    with reporting():
        if prune and (pattern != "*" or path == "-"):
            raise CliError("--prune needs a whole folder or a file: leave --glob out")
        if chunk_rows and (vector_field or not text_field):
            raise CliError("--chunk-rows cuts texts, which the server embeds: leave --vector-field out")
        if not text_field and not vector_field:
            raise CliError("rows need a text or a vector: name its field with --text-field or --vector-field")
        if chunk_overlap * 2 > chunk_tokens:
            raise CliError("--chunk-overlap is more than half of --chunk-tokens: make it smaller")
        plan = Plan(
            text_field=text_field,
            id_field=id_field,
            vector_field=vector_field,
            payload=[one.strip() for one in payload.split(",") if one.strip()],
            chunk_tokens=chunk_tokens,
            chunk_overlap=chunk_overlap,
            chunk_rows=chunk_rows,
        )
        place = None if path == "-" else Path(path)
        with connected(target, local=False) as connection:
            counts = _run(connection.client, (collection, tenant), place, plan, (pattern, recursive, create, prune))
        _report(counts, collection)


def _run(
    client: Client, where: tuple[str, str], place: Path | None, plan: Plan, how: tuple[str, bool, bool, bool]
) -> Counts:
    from dataclasses import replace  # noqa: PLC0415  quick start

    from nearfield_server.cli.ingest.pruning import Pruning  # noqa: PLC0415
    from nearfield_server.cli.ingest.reading import Reading  # noqa: PLC0415
    from nearfield_server.cli.ingest.run import Task, files_of, index_files  # noqa: PLC0415
    from nearfield_server.cli.ingest.writer import Writer  # noqa: PLC0415
    from nearfield_server.cli.progress import Progress  # noqa: PLC0415

    pattern, recursive, create, prune = how
    files = [None] if place is None else files_of(place, pattern, recursive=recursive)
    info = _collection(client, where[0], create=create)
    if not info.model and not plan.vector_field:
        raise CliError(f"collection {info.name} has no model: name the rows' vectors with --vector-field")
    handle = client.collection(*where)
    reading = Reading(files)
    with closing(Progress(fraction=reading.fraction, unit="points")) as progress:
        writer = Writer(handle, vectors=bool(plan.vector_field), on_progress=progress.update)
        pruning = Pruning(place) if prune and place is not None else None
        index_files(Task(client, handle, writer, reading, pruning), files, replace(plan, model=info.model))
    return writer.counts


def _collection(client: Client, name: str, *, create: bool) -> CollectionInfo:
    import nearfield  # noqa: PLC0415  loads grpc

    try:
        return client.collection(name).info()
    except nearfield.NotFound as error:
        if not create:
            raise CliError(f"{error.message}; leave --no-create out to make it", Exit.FAILED) from error
    made = client.create_collection(name, payload_indexes={"source": "keyword", "chunk": "integer"})
    typer.echo(f"made collection {name}", err=True)
    return made.info()


def _report(counts: Counts, collection: str) -> None:
    for problem in counts.errors[:_SHOWN_ERRORS]:
        fail(problem)
    if len(counts.errors) > _SHOWN_ERRORS:
        fail(f"and {len(counts.errors) - _SHOWN_ERRORS:,} more")
    facts = f"{counts.stored:,} stored, {counts.unchanged:,} unchanged, {counts.deleted:,} deleted"
    typer.echo(f"{collection}: {facts}, {len(counts.errors):,} failed")
    if counts.errors:
        raise typer.Exit(Exit.FAILED)
