"""`nearfield classify`: which labels fit texts."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

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
from nearfield_server.cli.texts import FileOption, TextFieldOption, read_texts, shortened

if TYPE_CHECKING:
    from nearfield import LabelScore

__all__ = ["classify"]

_MAX_TEXTS = 1_000_000
_SHOWN_CHARACTERS = 50


def classify(
    texts: Annotated[list[str] | None, typer.Argument(help="Texts.", metavar="TEXT...")] = None,
    labels: Annotated[
        list[str] | None,
        typer.Option(
            "--labels", metavar="LABEL,...", help="Labels to choose from, with any encoder; else the model's own."
        ),
    ] = None,
    label_template: Annotated[
        str, typer.Option(help="Sentence to put labels into, with {} for the label.", metavar="TEXT")
    ] = "",
    multi_label: Annotated[
        bool, typer.Option("--multi-label", help="Several labels can be right: score each for itself.")
    ] = False,
    top_k: Annotated[int | None, typer.Option("--top-k", "-k", min=1, help="Print the best TOP_K labels only.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Scores without the model's activation function.")] = False,
    file: FileOption = "",
    text_field: TextFieldOption = "text",
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the labels of each text with their scores, greatest first.

    A classifier has labels of its own; with --labels any encoder chooses among them.
    """
    with reporting():
        name, served = local_models(model, local=local)
        given = [*(texts or ()), *(read_texts(file, text_field, at_most=_MAX_TEXTS) if file else ())]
        if not given:
            raise CliError("give texts, or --file FILE (- is stdin)")
        chosen = [label.strip() for some in labels or () for label in some.split(",") if label.strip()]
        with connected(target, local=local, models=served) as connection:
            about = connection.model(name)
            if about is not None and about.outputs and "scores" not in about.outputs and not chosen:
                raise CliError(f"model {about.name} has no labels of its own; name some: --labels LABEL,LABEL")
            found = connection.client.classify(
                given,
                model=name,
                labels=chosen,
                label_template=label_template,
                multi_label=multi_label,
                raw_scores=raw,
                top_k=top_k,
            )
        if as_json:
            _json(given, found)
        else:
            _table(given, found)


def _json(texts: Sequence[str], found: Sequence[Sequence[LabelScore]]) -> None:
    content = [
        {"text": text, "labels": [{"label": one.label, "index": one.index, "score": one.score} for one in labels]}
        for text, labels in zip(texts, found, strict=True)
    ]
    json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def _table(texts: Sequence[str], found: Sequence[Sequence[LabelScore]]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for heading, justify in (("TEXT", "left"), ("LABEL", "left"), ("SCORE", "right")):
        table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
    for text, labels in zip(texts, found, strict=True):
        for place, one in enumerate(labels):
            shown = shortened(text, _SHOWN_CHARACTERS) if place == 0 else ""
            table.add_row(Text(shown), Text(one.label, style="" if place else "green"), f"{one.score:.4f}")
    print_table(table)
