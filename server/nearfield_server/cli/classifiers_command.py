"""`nearfield classifiers`: train classifiers on labelled examples, show them and move them."""

from __future__ import annotations

import dataclasses
import json
import sys
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import CliError, reporting
from nearfield_server.cli.texts import TextFieldOption

if TYPE_CHECKING:
    from nearfield import Classifier
    from nearfield._classifier_types import ClassifierMethod

__all__ = ["classifiers_app"]

NameArgument = Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A classifier; the newest version.")]

classifiers_app = typer.Typer(
    name="classifiers",
    help="Train classifiers on labelled examples, show them, and move them between servers.",
    no_args_is_help=True,
    context_settings={"help_option_names": ["-h", "--help"]},
)


@classifiers_app.command()
def train(
    file: Annotated[str, typer.Argument(metavar="[FILE]", help="Examples, in jsonl, csv, tsv or parquet.")] = "",
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="What to call it.")] = "",
    text_field: TextFieldOption = "text",
    label_field: Annotated[
        str, typer.Option(help="Field of the file, or of the payload, that holds the label.")
    ] = "label",
    collection: Annotated[
        str, typer.Option(metavar="NAME", help="Learn from the points of a collection instead.")
    ] = "",
    where: Annotated[str, typer.Option("--filter", metavar="EXPRESSION", help="Which points of the collection.")] = "",
    method: Annotated[
        str, typer.Option(metavar="METHOD", help="logistic, ridge or centroid; left out: the best one.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, max=2**32 - 1, help="Start of all random choices.")] = 0,
    description: Annotated[str, typer.Option(metavar="TEXT", help="What it is for.")] = "",
    model: Annotated[str, typer.Option("--model", metavar="NAME", help="Model of the texts.")] = "",
    target: TargetOption = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Train a classifier, and print how good it is in cross-validation."""
    with reporting():
        if not name:
            raise CliError("give the classifier a name: --name NAME")
        if bool(file) == bool(collection):
            raise CliError("give a FILE of examples, or --collection")
        options: dict[str, Any] = {"seed": seed, "description": description}
        if method:
            options["method"] = cast("ClassifierMethod", method)
        if collection:
            options |= {"collection": collection, "label_field": label_field, "filter": where or None}
        else:
            options["model"] = model
        examples = _examples(Path(file), text_field, label_field) if file else None
        with connected(target, local=False) as connection:
            try:
                made = connection.client.train_classifier(name, examples, **options)
            except ValueError as error:
                raise CliError(f"--{error}" if str(error).startswith("method") else str(error)) from error
        _print_one(made, as_json=as_json)


@classifiers_app.command("list")
def list_classifiers(target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print all classifiers, by name, newest version first."""
    with reporting(), connected(target, local=False) as connection:
        found = connection.client.classifiers()
        if as_json:
            _print_json([_facts(one) for one in found])
        elif found:
            _print_table(found)
        else:
            typer.echo("no classifiers")


@classifiers_app.command()
def show(name: NameArgument, target: TargetOption = DEFAULT_TARGET, as_json: JsonOption = False) -> None:
    """Print what a classifier is, and how it does on each label."""
    with reporting(), connected(target, local=False) as connection:
        _print_one(connection.client.classifier(name), as_json=as_json)


@classifiers_app.command()
def delete(
    name: Annotated[str, typer.Argument(metavar="NAME[@VERSION]", help="A classifier: all versions, or that one.")],
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Don't ask.")] = False,
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Delete a classifier."""
    with reporting(), connected(target, local=False) as connection:
        if not yes:
            typer.confirm(f"Delete classifier {name}?", abort=True)
        count = connection.client.delete_classifier(name)
        typer.echo(f"deleted {count} version{'' if count == 1 else 's'} of {name.partition('@')[0]}")


@classifiers_app.command()
def export(
    name: NameArgument,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")],
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Write a classifier to a file, which `import` takes on any server that has its model."""
    with reporting(), connected(target, local=False) as connection:
        data = connection.client.export_classifier(name)
        file.write_bytes(data)
        typer.echo(f"wrote {file}: {len(data):,} bytes")


@classifiers_app.command("import")
def import_(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="What export wrote.")],
    name: Annotated[str, typer.Option("--name", metavar="NAME", help="Left out: its own name.")] = "",
    target: TargetOption = DEFAULT_TARGET,
) -> None:
    """Keep a classifier from a file, as the newest version of its name."""
    with reporting():
        data = file.read_bytes()
        with connected(target, local=False) as connection:
            made = connection.client.import_classifier(data, name)
        typer.echo(f"made {made.id}: {len(made.labels)} labels")


def _examples(path: Path, text_field: str, label_field: str) -> list[tuple[str, str]]:
    """Read pairs of text and label. Raises `CliError` that names the first row that has none."""
    from nearfield_server.cli.files.sources import open_source  # noqa: PLC0415  quick start

    source = open_source(path, text_field)
    found = []
    with closing(source.rows(fields=[label_field])) as rows:
        for row in rows:
            label = row.fields.get(label_field)
            if row.text is None or label in {None, ""} or isinstance(label, (dict, list)):
                place = row.place or f"row {row.number}"
                raise CliError(f"{path}: {place}: {row.problem or f'no label in {label_field!r}'}")
            found.append((row.text, str(label)))
    return found


def _print_json(content: object) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def _facts(one: Classifier) -> dict[str, Any]:
    return {**dataclasses.asdict(one), "created_at": one.created_at.isoformat()}


def _print_one(one: Classifier, *, as_json: bool) -> None:
    if as_json:
        _print_json(_facts(one))
        return
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    typer.echo(f"{one.id}: {one.method}, {len(one.labels)} labels, {one.examples:,} examples")
    typer.echo(f"accuracy {_share(one.accuracy)}, macro F1 {_share(one.macro_f1)} ({one.folds} folds)")
    for warning in one.warnings:
        typer.echo(f"warning: {warning}")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("LABEL", "EXAMPLES", "PRECISION", "RECALL"):
        table.add_column(heading, justify="left" if heading == "LABEL" else "right", no_wrap=True)
    for label in one.labels:
        table.add_row(Text(label.label), f"{label.examples:,}", _share(label.precision), _share(label.recall))
    print_table(table)


def _print_table(found: list[Classifier]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading in ("NAME", "METHOD", "LABELS", "EXAMPLES", "ACCURACY", "MODEL", "CREATED"):
        table.add_column(heading, justify="right" if heading in {"LABELS", "EXAMPLES", "ACCURACY"} else "left")
    for one in found:
        figures = (str(len(one.labels)), f"{one.examples:,}", _share(one.accuracy))
        table.add_row(one.id, one.method, *figures, one.model or "-", f"{one.created_at:%Y-%m-%d %H:%M} UTC")
    print_table(table)


def _share(value: float | None) -> str:
    return "-" if value is None else f"{value:.3f}"
