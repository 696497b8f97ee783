"""`nearfield tokenize`: the tokens that a model sees."""

from __future__ import annotations

import dataclasses
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
from nearfield_server.cli.failures import reporting

if TYPE_CHECKING:
    from nearfield import TokenizedText

__all__ = ["tokenize"]


def tokenize(
    texts: Annotated[list[str], typer.Argument(help="Texts.", metavar="TEXT...")],
    prompt_name: Annotated[str, typer.Option(help="One of the model's prompts, put before each text.")] = "",
    special: Annotated[bool, typer.Option("--special/--no-special", help="Add the model's special tokens.")] = True,
    special_tokens_as_text: Annotated[
        bool, typer.Option("--special-tokens-as-text", help="Take a typed [SEP] as plain text.")
    ] = False,
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
    as_json: JsonOption = False,
) -> None:
    """Print the tokens of each text: id, spelling, and where it starts and ends in prompt + text (code points)."""
    with reporting():
        name, served = local_models(model, local=local)
        with connected(target, local=local, models=served) as connection:
            about = connection.model(name)
            found = connection.client.tokenize(
                texts,
                model=name,
                prompt_name=prompt_name,
                add_special_tokens=special,
                special_tokens_as_text=special_tokens_as_text,
            )
        if as_json:
            content = [{"text": text, **dataclasses.asdict(one)} for text, one in zip(texts, found, strict=True)]
            json.dump(content, sys.stdout, ensure_ascii=False)
            sys.stdout.write("\n")
        else:
            _tables(found, about.max_tokens if about else 0)


def _tables(found: Sequence[TokenizedText], max_tokens: int) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    for one in found:
        table = Table(box=None, pad_edge=False, header_style="bold")
        for heading, justify in (("ID", "right"), ("TOKEN", "left"), ("START", "right"), ("END", "right")):
            table.add_column(heading, justify=justify, no_wrap=True)  # type: ignore[arg-type]
        for number, token, start, end in zip(one.ids, one.tokens, one.starts, one.ends, strict=True):
            table.add_row(f"{number}", Text(token), f"{start}", f"{end}")
        print_table(table)
        over = f": over the model's {max_tokens:,}, it would be cut" if 0 < max_tokens < len(one.ids) else ""
        typer.echo(f"{len(one.ids):,} token{'' if len(one.ids) == 1 else 's'}{over}")
