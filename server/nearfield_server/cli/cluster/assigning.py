"""New rows put into the clusters of a kept clustering."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from nearfield_server.cli.cluster.reading import Items
from nearfield_server.cli.cluster.showing import print_json
from nearfield_server.cli.cluster.writing import write_rows

if TYPE_CHECKING:
    from nearfield import Assignment, Client

__all__ = ["assign_items"]


def assign_items(client: Client, id_: str, items: Items, *, out: str, dry_run: bool, as_json: bool) -> None:
    """Assign rows, write them, and print how many went where, and whether clustering anew is due."""
    clusters = client.clustering(id_, assignments=False).clusters
    names = {one.id: one.name for one in clusters}
    # Texts are what vectors were made of: the server needs one of them.
    found = client.assign(id_, items.vectors or items.texts, ids=items.ids or None, dry_run=dry_run)
    if out:
        write_rows(Path(out), _columns(items, found, names))
    counts = Counter(found.labels.tolist())
    if as_json:
        print_json({"clusters": {str(one): counts[one] for one in sorted(counts)}, "drift": asdict(found.drift)})
        return
    _print_table(counts, names)
    drift = found.drift
    typer.echo(f"{drift.far_share:.1%} of the last {drift.window:,} items belong nowhere; 1% is usual")
    if drift.recluster_due:
        typer.echo("warning: they are unlike those that were clustered: clustering anew is due", err=True)


def _columns(items: Items, found: Assignment, names: dict[int, str]) -> dict[str, list[Any]]:
    labels = found.labels.tolist()
    columns: dict[str, list[Any]] = {"row": list(range(len(labels)))}
    if items.ids:
        columns["id"] = list(items.ids)
    if items.texts:
        columns["text"] = items.texts
    return columns | {
        "cluster": labels,
        "name": [names.get(label, "") for label in labels],
        "strength": [round(one, 6) for one in found.strengths.tolist()],
        "distance": [round(one, 6) for one in found.distances.tolist()],
    }


def _print_table(counts: Counter[int], names: dict[int, str]) -> None:
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CLUSTER", "ITEMS", "NAME"):
        table.add_column(name, justify="left" if name == "NAME" else "right", no_wrap=True)
    for label, count in sorted(counts.items(), key=lambda one: (-one[1], one[0])):
        shown = ("-", "(in no cluster)") if label < 0 else (str(label), names.get(label, ""))
        table.add_row(shown[0], f"{count:,}", Text(shown[1]))
    print_table(table)
