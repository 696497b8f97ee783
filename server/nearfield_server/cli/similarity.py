"""`nearfield similarity`: how alike some texts are, as a table."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, LocalOption, TargetOption, connected, local_models
from nearfield_server.cli.failures import CliError, reporting
from nearfield_server.cli.texts import FileOption, TextFieldOption, read_texts, shortened

if TYPE_CHECKING:
    import numpy.typing as npt

__all__ = ["similarity"]

_MAX_TEXTS = 100
_SHOWN_CHARACTERS = 40
_NEAR, _FAR = 0.6, 0.3


def similarity(
    texts: Annotated[list[str] | None, typer.Argument(help="Two texts or more.", metavar="TEXT...")] = None,
    file: FileOption = "",
    text_field: TextFieldOption = "text",
    model: Annotated[str, typer.Option(help="Model; with --local also NAME=PATH.")] = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: Annotated[bool, typer.Option("--json", help='Print {"texts": […], "scores": [[…], …]}.')] = False,
) -> None:
    """Print how alike texts are, each with each, by the model's own measure (mostly cosine: 1 is the same)."""
    with reporting():
        name, served = local_models(model, local=local)
        given = [*(texts or ()), *(read_texts(file, text_field, at_most=_MAX_TEXTS) if file else ())]
        if len(given) < 2 or len(given) > _MAX_TEXTS:  # noqa: PLR2004
            raise CliError(f"give 2 to {_MAX_TEXTS} texts, not {len(given)}")
        with connected(target, local=local, models=served) as connection:
            scores = connection.client.similarity(given, model=name)
        if as_json:
            json.dump({"texts": given, "scores": scores.tolist()}, sys.stdout, ensure_ascii=False)
            sys.stdout.write("\n")
        else:
            _table(given, scores)


def _table(texts: Sequence[str], scores: npt.NDArray[Any]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False)
    table.add_column("")
    table.add_column("")
    for column in range(len(texts)):
        table.add_column(str(column + 1), justify="right", header_style="bold")
    for index, (text, row) in enumerate(zip(texts, scores, strict=True)):
        cells = [Text(f"{score:.3f}", style=_style(score, index == column)) for column, score in enumerate(row)]
        table.add_row(Text(str(index + 1), style="bold"), Text(shortened(text, _SHOWN_CHARACTERS)), *cells)
    print_table(table)


def _style(score: float, same: bool) -> str:
    if same or score < _FAR:
        return "dim"
    return "green" if score >= _NEAR else ""
