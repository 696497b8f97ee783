"""`--map` and `--picture`: where the items of a clustering are on a map, drawn as a page or a PNG."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from nearfield_server.cli.cluster.reading import Items
from nearfield_server.cli.cluster.run import Clustered, Place
from nearfield_server.cli.cluster.watching import Watching
from nearfield_server.cli.failures import CliError
from nearfield_server.cli.maps import MapData, write_map, write_picture

if TYPE_CHECKING:
    from nearfield import Client, Projection

__all__ = ["Drawing", "check_drawing", "draw"]

_SUFFIXES = {"page": (".html", ".htm"), "picture": (".png",)}


@dataclass(frozen=True, slots=True, kw_only=True)
class Drawing:
    """What to draw: files, of which at least one is given; by which method; and a title."""

    page: Path | None
    picture: Path | None
    method: str
    title: str


def check_drawing(drawing: Drawing) -> None:
    """Check all that can be before the work. Raises `CliError`."""
    for option, path, suffixes in (
        ("--map", drawing.page, _SUFFIXES["page"]),
        ("--picture", drawing.picture, _SUFFIXES["picture"]),
    ):
        if path is None:
            continue
        if path.suffix not in suffixes:
            raise CliError(f"{option} {path}: the name must end in {suffixes[0]}")
        if not path.absolute().parent.is_dir():
            raise CliError(f"{option} {path}: there is no such folder")


def draw(client: Client, found: Clustered, source: Items | Place, drawing: Drawing, embedding: dict[str, Any]) -> None:
    """Have the items of a clustering projected, and write the files. Raises as `Client.project`."""
    options: dict[str, Any] = {"method": drawing.method, "seed": found.clustering.options["seed"], **embedding}
    with closing(Watching()) as watching:
        options["on_progress"] = watching.update
        if isinstance(source, Place):
            options |= {"collection": source.collection, "tenant": source.tenant, "filter": source.condition or None}
            made = client.project(**options)
        else:
            made = client.project(source.vectors or source.texts, **options)
    data = _data(found, made, drawing.title)
    for path, write in ((drawing.page, write_map), (drawing.picture, write_picture)):
        if path is not None:
            write(path, data)
            typer.echo(f"wrote {path}: {len(data.texts):,} items", err=True)


def _data(found: Clustered, made: Projection, title: str) -> MapData:
    """Bring both together: by ids for a collection, which may have changed meanwhile, else by positions."""
    labels = found.clustering.labels
    if made.collection:
        row_of = {one: row for row, one in enumerate(found.ids)}
        rows = np.array([row_of.get(one, -1) for one in made.ids], np.int64)
    else:
        rows = made.positions
    there = rows >= 0
    chosen = rows[there]
    count = f"{len(chosen):,} items, {len(found.clustering.clusters):,} clusters"
    return MapData(
        coordinates=made.coordinates[there],
        clusters=np.asarray(labels[chosen], np.int32),
        names=found.names,
        texts=[found.texts[row] for row in chosen] if found.texts else [""] * len(chosen),
        ids=[str(found.ids[row]) for row in chosen] if found.ids else [str(row) for row in chosen],
        title=title,
        subtitle=f"{count}, by {made.method.upper() if made.method != 'pacmap' else 'PaCMAP'}",
    )
