"""`nearfield rerank`: documents by how well they answer a query."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from enum import StrEnum
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
from nearfield_server.cli.texts import TextFieldOption, one_line, read_texts

if TYPE_CHECKING:
    from nearfield import RankedDocument

__all__ = ["rerank"]

_MAX_DOCUMENTS = 1_000_000
CutPair = StrEnum("CutPair", ["end", "none"])


def rerank(
    query: Annotated[str, typer.Argument(help="What the documents are to answer.")],
    file: Annotated[
        str, typer.Argument(help="Documents: .txt, .jsonl, .csv, .tsv (also .gz) or .parquet; - is stdin.")
    ] = "-",
    top_n: Annotated[int | None, typer.Option("--top-n", "-n", min=1, help="Print the best TOP_N only.")] = None,
    raw: Annotated[bool, typer.Option("--raw", help="Scores without the model's activation function.")] = False,
    truncate: Annotated[
        CutPair, typer.Option(help="Cut a query and document over the model's length, or refuse them.")
    ] = CutPair("end"),
    text_field: TextFieldOption = "text",
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the documents of FILE best first, with their scores.

    It takes a reranker (a cross-encoder), or a model that gives a vector per token. Documents go out in as many requests
    as they need. On a terminal each is cut to its line; --json prints them whole, with their row (from 0).
    """
    with reporting():
        name, served = local_models(model, local=local)
        if not query:
            raise CliError("the query is empty; give the words that the documents are to answer")
        documents = read_texts(file, text_field, at_most=_MAX_DOCUMENTS)
        if not documents:
            raise CliError(f"{'stdin' if file == '-' else file} holds no documents")
        with connected(target, local=local, models=served) as connection:
            connection.model(name)
            ranked = connection.client.rerank(
                query,
                documents,
                model=name,
                top_n=top_n,
                raw_scores=raw,
                return_documents=True,
                truncate=truncate.value,  # type: ignore[arg-type]
            )
        if as_json:
            _json(ranked)
        else:
            _table(ranked)
        cut = sum(one.truncated for one in ranked)
        if cut:
            typer.echo(f"{cut:,} of them were cut to the model's length; --truncate none refuses that", err=True)


def _json(ranked: Sequence[RankedDocument]) -> None:
    content = [
        {"rank": rank, "row": one.index, "score": one.score, "truncated": one.truncated, "document": one.document}
        for rank, one in enumerate(ranked, start=1)
    ]
    json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def _table(ranked: Sequence[RankedDocument]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_cut_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    table.add_column("RANK", justify="right", no_wrap=True)
    table.add_column("SCORE", justify="right", no_wrap=True)
    table.add_column("DOCUMENT", overflow="ellipsis")  # the one that may be cut
    for rank, one in enumerate(ranked, start=1):
        table.add_row(
            f"{rank}", f"{one.score:.4f}", Text(one_line(one.document or ""), no_wrap=True, overflow="ellipsis")
        )
    print_cut_table(table)
