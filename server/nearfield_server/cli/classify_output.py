"""How `nearfield classify` prints labels and scores."""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from nearfield_server.cli.texts import shortened

if TYPE_CHECKING:
    from nearfield import Labels, LabelScore

__all__ = ["show", "show_trained"]

_SHOWN_CHARACTERS = 50


def show(texts: Sequence[str], found: Sequence[Sequence[LabelScore]], *, as_json: bool) -> None:
    """Print the labels of each text."""
    if as_json:
        _print([_facts(text, labels) for text, labels in zip(texts, found, strict=True)])
    else:
        _table(texts, found, ["green"] * len(texts), [""] * len(texts))


def show_trained(texts: Sequence[str], found: Sequence[Labels], *, as_json: bool) -> None:
    """Print the labels of each text, and whether the classifier abstains."""
    if as_json:
        about = [{"answer": one.answer, "abstained": one.abstained, "similarity": one.similarity} for one in found]
        pairs = zip(texts, found, about, strict=True)
        _print([{**_facts(text, labels), **more} for text, labels, more in pairs])
        return
    styles = ["dim" if one.abstained else "green" for one in found]
    _table(texts, found, styles, ["abstained" if one.abstained else "" for one in found])


def _facts(text: str, labels: Sequence[LabelScore]) -> dict[str, Any]:
    return {"text": text, "labels": [{"label": one.label, "index": one.index, "score": one.score} for one in labels]}


def _print(content: object) -> None:
    json.dump(content, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def _table(
    texts: Sequence[str], found: Sequence[Sequence[LabelScore]], styles: Sequence[str], notes: Sequence[str]
) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    noted = any(notes)
    for heading in ("TEXT", "LABEL", "SCORE", *([""] if noted else [])):
        table.add_column(heading, justify="right" if heading == "SCORE" else "left", no_wrap=True)
    for text, labels, style, note in zip(texts, found, styles, notes, strict=True):
        for place, one in enumerate(labels):
            shown = shortened(text, _SHOWN_CHARACTERS) if place == 0 else ""
            cells = [Text(shown), Text(one.label, style="" if place else style), Text(f"{one.score:.4f}")]
            table.add_row(*cells, *([Text(note if place == 0 else "")] if noted else []))
    print_table(table)
