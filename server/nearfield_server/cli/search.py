"""`nearfield search`: the passages of a collection that answer best, for people to read."""

from __future__ import annotations

import json
import re
import sys
from dataclasses import asdict
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from nearfield_server.cli.connect import DEFAULT_TARGET, JsonOption, TargetOption, connected
from nearfield_server.cli.failures import reporting
from nearfield_server.cli.texts import shortened

if TYPE_CHECKING:
    from rich.text import Text

    from nearfield import Hit

__all__ = ["search"]

_SHOWN_CHARACTERS = 400
_SHORTEST_WORD = 2
By = StrEnum("By", ["dense", "keyword", "hybrid"])
_MODES: dict[By, Literal["dense", "keyword", "hybrid"]] = {
    By("dense"): "dense",
    By("keyword"): "keyword",
    By("hybrid"): "hybrid",
}


def search(
    query: Annotated[str, typer.Argument(help="What to look for.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Collection or alias.")],
    top_k: Annotated[int, typer.Option("--top-k", "-n", min=1, max=10_000, help="Passages to show.")] = 5,
    where: Annotated[
        str, typer.Option("--filter", metavar="EXPRESSION", help="Only points that match, such as 'price < 20'.")
    ] = "",
    mode: Annotated[By, typer.Option(help="By vectors, by words, or by both.")] = By("dense"),
    rerank: Annotated[str, typer.Option(metavar="MODEL", help="Model that takes a second look at the best.")] = "",
    explain: Annotated[bool, typer.Option("--explain", help="Show the scores of each stage.")] = False,
    tenant: Annotated[str, typer.Option(help="Whose points.")] = "",
    target: TargetOption = DEFAULT_TARGET,
    as_json: JsonOption = False,
) -> None:
    """Print the best passages of a collection, with the query's words highlighted."""
    with reporting(), connected(target, local=False) as connection:
        handle = connection.client.collection(collection, tenant)
        hits = handle.search(
            query, top_k=top_k, filter=where or None, mode=_MODES[mode], rerank=rerank, explain=explain
        )
        if as_json:
            json.dump([_facts(one) for one in hits], sys.stdout, ensure_ascii=False, indent=1)
            sys.stdout.write("\n")
        elif hits:
            _show(hits, query)
        else:
            typer.echo(f"nothing found in {collection}" + (", with this filter" if where else ""), err=True)


def _facts(hit: Hit) -> dict[str, Any]:
    payload = json.loads(json.dumps(hit.payload, default=str))
    facts = {"id": hit.id, "score": hit.score, "text": hit.text, "payload": payload}
    if hit.scores is not None:
        facts["scores"] = {name: value for name, value in asdict(hit.scores).items() if value is not None}
    return facts


def _show(hits: list[Hit], query: str) -> None:
    from rich.console import Console  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    console = Console(highlight=False, soft_wrap=True)
    for rank, hit in enumerate(hits, start=1):
        place = ": ".join(str(one) for one in (hit.payload.get("source") or hit.id, hit.payload.get("heading")) if one)
        console.print(Text.assemble((f"{rank}. ", "bold"), (f"{hit.score:.4f}  ", "cyan"), (place, "bold")))
        if hit.scores is not None:
            stages = [f"{name} {value:.4g}" for name, value in asdict(hit.scores).items() if value is not None]
            console.print(Text("   " + ", ".join(stages), style="dim"))
        console.print(_highlighted(shortened(hit.text, _SHOWN_CHARACTERS), query))


def _highlighted(passage: str, query: str) -> Text:
    """Give a passage with the query's words marked, whatever their case."""
    from rich.text import Text  # noqa: PLC0415  quick start

    text = Text("   " + passage)
    words = {one for one in re.findall(r"\w+", query) if len(one) >= _SHORTEST_WORD}
    if words:
        text.highlight_regex(
            rf"(?i)\b({'|'.join(map(re.escape, sorted(words, key=len, reverse=True)))})\b", "bold yellow"
        )
    return text
