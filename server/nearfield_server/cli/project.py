"""`nearfield project`: the coordinates of texts, vectors or the points of a collection on a map, into a file."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, LocalOption, TargetOption, connected, local_models
from nearfield_server.cli.failures import CliError, Exit, fail, reporting
from nearfield_server.cli.progress import Progress, counted, duration

if TYPE_CHECKING:
    from nearfield import Projection, ProjectionProgress

__all__ = ["project"]

Method = StrEnum("Method", ["pca", "pacmap", "umap", "tsne"])
_AXES = "xyz"
_SUFFIXES = (".parquet", ".npy", ".jsonl")
_SHOWN_ERRORS = 20


def project(
    file: Annotated[
        str,
        typer.Argument(
            metavar="[FILE]",
            help="Texts or vectors: .txt, .jsonl, .csv, .tsv (also .gz), .parquet, or an .npy of vectors; - is stdin.",
        ),
    ] = "",
    out: Annotated[str, typer.Option("--out", "-o", help="Coordinates: .parquet, .npy or .jsonl.")] = ...,  # type: ignore[assignment]  # typer's word for "required"
    method: Annotated[Method, typer.Option(help="How the map is made; pca is at once.")] = Method("pacmap"),
    components: Annotated[int, typer.Option(min=2, max=3, help="Coordinates of each item.")] = 2,
    neighbors: Annotated[
        int, typer.Option(min=0, max=200, help="Neighbours that are kept near an item; 0: as the method does.")
    ] = 0,
    seed: Annotated[int, typer.Option(min=0, help="The same seed and input give the same map.")] = 0,
    text_field: Annotated[str, typer.Option(help="Field or column that holds the text.")] = "text",
    vector_field: Annotated[
        str, typer.Option(help="Field or column that holds the vector; texts aren't embedded then.")
    ] = "",
    model: Annotated[str, typer.Option(help="Model; with --local also NAME=PATH.")] = "",
    collection: Annotated[str, typer.Option("--collection", "-c", help="Project its points instead of FILE.")] = "",
    where: Annotated[
        str, typer.Option("--filter", metavar="EXPRESSION", help="Only points that match, such as 'price < 20'.")
    ] = "",
    tenant: Annotated[str, typer.Option(help="Whose points.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT.")] = False,
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
) -> None:
    """Make a map: coordinates that put near items near each other. Rows of OUT are in the order of FILE."""
    with reporting():
        place = _output(out, overwrite=overwrite)
        if bool(file) == bool(collection):
            raise CliError("give a FILE or a --collection, one of them")
        if (where or tenant) and not collection:
            raise CliError("--filter and --tenant choose points: they go with --collection")
        name, served = local_models(model, local=local)
        items = _items(file, text_field, vector_field) if file else None
        told: list[float] = [0.0]
        progress = Progress(fraction=lambda: told[0], unit="items")

        def show(one: ProjectionProgress) -> None:
            told[0] = one.fraction
            progress.update(one.items)

        with connected(target, local=local, models=served) as connection, closing(progress):
            made = connection.client.project(
                items,
                method=method.value,  # type: ignore[arg-type]  # the same words
                components=components,
                neighbors=neighbors,
                seed=seed,
                model=name,
                collection=collection or None,
                filter=where or None,
                tenant=tenant,
                on_progress=show,
            )
        _write(place, made)
        _report(made, place, progress.seconds)


def _output(out: str, *, overwrite: bool) -> Path:
    place = Path(out)
    if place.suffix not in _SUFFIXES:
        raise CliError(f"{out}: the suffix must be one of {', '.join(_SUFFIXES)}")
    if not place.parent.is_dir():
        raise CliError(f"{out}: there is no folder {place.parent}")
    if place.exists() and not overwrite:
        raise CliError(f"{out} exists; --overwrite replaces it")
    return place


def _items(file: str, text_field: str, vector_field: str) -> Iterator[Any]:
    """Give the texts or vectors of a file. Raises `CliError` for a row that has none."""
    if file.endswith(".npy"):
        yield from _array(Path(file))
        return
    from nearfield_server.cli.files.sources import open_source  # noqa: PLC0415  quick start

    fields = (vector_field,) if vector_field else ()
    source = open_source(
        None if file == "-" else Path(file), None if vector_field else text_field, vector_field=vector_field
    )
    with closing(source.rows(fields=fields)) as rows:
        for row in rows:
            if row.problem is not None:
                raise CliError(f"{source.name}: {row.problem}")
            yield _vector(row.fields.get(vector_field), f"{source.name}, row {row.number}") if fields else row.text


def _array(path: Path) -> Iterator[Any]:
    import numpy as np  # noqa: PLC0415  quick start

    try:
        rows = np.load(path, mmap_mode="r", allow_pickle=False)
    except (OSError, ValueError) as error:
        raise CliError(f"{path} can't be read: {error}") from error
    if rows.ndim != 2 or rows.dtype.kind != "f":  # noqa: PLR2004
        raise CliError(f"{path} holds {rows.dtype} {list(rows.shape)}; rows of float vectors are needed")
    yield from rows


def _vector(value: Any, place: str) -> Any:
    import numpy as np  # noqa: PLC0415  quick start

    try:
        row = np.asarray(value, np.float32)
    except (ValueError, TypeError):
        row = np.empty((0, 0), np.float32)
    if row.ndim != 1 or not row.size:
        raise CliError(f"{place} has no vector in that field")
    return row


def _write(place: Path, made: Projection) -> None:
    import numpy as np  # noqa: PLC0415  quick start

    if place.suffix == ".npy":
        np.save(place, made.coordinates)
        return
    columns: dict[str, Any] = {"row": made.positions}
    if made.ids:
        columns["id"] = list(made.ids) if len({type(one) for one in made.ids}) == 1 else list(map(str, made.ids))
    columns |= {axis: made.coordinates[:, at] for at, axis in enumerate(_AXES[: made.components])}
    if place.suffix == ".parquet":
        import pyarrow as pa  # noqa: PLC0415  quick start
        import pyarrow.parquet as pq  # noqa: PLC0415

        pq.write_table(pa.table(columns), place)
        return
    values = [column if isinstance(column, list) else column.tolist() for column in columns.values()]
    with place.open("w", encoding="utf-8") as lines:
        for row in zip(*values, strict=True):
            lines.write(json.dumps(dict(zip(columns, row, strict=True)), ensure_ascii=False) + "\n")


def _report(made: Projection, place: Path, seconds: float) -> None:
    trust = "" if made.trustworthiness is None else f", trustworthiness {made.trustworthiness:.3f}"
    typer.echo(f"wrote {counted(len(made.coordinates))} to {place} in {duration(seconds)}{trust}", err=True)
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)
    for row, error in list(made.errors.items())[:_SHOWN_ERRORS]:
        fail(f"row {row}: {error.message}")
    if made.errors:
        fail(f"{counted(len(made.errors))} left out")
        raise typer.Exit(Exit.SKIPPED)
