"""From a file or a collection to a clustering with its rows; what tables, files and maps are made of."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import typer

from nearfield_server.cli.cluster.reading import Items
from nearfield_server.cli.cluster.watching import Watching
from nearfield_server.cli.failures import CliError, Exit, fail

if TYPE_CHECKING:
    from nearfield import Client, Clustering, ClusterOptions

__all__ = ["Clustered", "Place", "cluster_collection", "cluster_items", "output_columns", "report_failures"]

_SHOWN_FAILURES = 20


@dataclass(frozen=True, slots=True)
class Place:
    """Points of a collection."""

    collection: str
    tenant: str = ""
    condition: str = ""


@dataclass(frozen=True, slots=True)
class Clustered:
    """A clustering with the rows that it is of, in the same order; `texts` and `ids` are empty where there are none."""

    clustering: Clustering
    texts: list[str]
    ids: list[str | int]

    @property
    def names(self) -> dict[int, str]:
        """Name of each cluster, by its id."""
        return {one.id: one.name for one in self.clustering.clusters}


def cluster_items(client: Client, items: Items, options: ClusterOptions, embedding: dict[str, Any]) -> Clustered:
    """Cluster rows of a file; Ctrl-C ends the work in the server too."""
    with closing(Watching()) as watching:
        made = client.cluster(
            items.vectors or items.texts,
            ids=items.ids or None,
            texts=items.texts if items.vectors and items.texts else None,
            on_progress=watching.update,
            **embedding,
            **options,
        )
    return Clustered(made, items.texts, items.ids)


def cluster_collection(client: Client, place: Place, options: ClusterOptions, *, with_texts: bool) -> Clustered:
    """Cluster points of a collection by a job; Ctrl-C cancels it. What isn't to be kept is deleted."""
    job = client.start_clustering(place.collection, tenant=place.tenant, filter=place.condition or None, **options)
    try:
        with closing(Watching()) as watching:
            made = client.wait_clustering(job.id, on_progress=watching.update)
    except KeyboardInterrupt:
        client.cancel_clustering(job.id)
        raise CliError(f"interrupted: clustering {job.id} was cancelled", Exit.INTERRUPTED) from None
    if not options.get("keep_seconds"):
        client.delete_clustering(job.id)
    ids = [one for one in made.ids if one is not None]
    return Clustered(made, _texts(client, place, ids) if with_texts else [], ids)


def output_columns(of: Clustered, *, layers: bool) -> dict[str, list[Any]]:
    """Give the columns of an output: row, id and text where there are some, cluster, name, strength, and the layers."""
    made, names = of.clustering, of.names
    labels = made.labels.tolist()
    columns: dict[str, list[Any]] = {"row": list(range(len(labels)))}
    if of.ids:
        columns["id"] = list(of.ids)
    if of.texts:
        columns["text"] = of.texts
    columns |= {
        "cluster": labels,
        "name": [names.get(label, "") for label in labels],
        "strength": [round(one, 6) for one in made.strengths.tolist()],
    }
    if layers:
        columns |= {f"layer_{at}": made.layers[at].tolist() for at in range(len(made.layers))}
    return columns


def report_failures(made: Clustering) -> None:
    """Tell which rows failed, and leave with the exit code of skipped rows."""
    if not made.failures:
        return
    for index, error in list(made.failures.items())[:_SHOWN_FAILURES]:
        fail(f"row {index}: {error.message}")
    if len(made.failures) > _SHOWN_FAILURES:
        fail(f"and {len(made.failures) - _SHOWN_FAILURES:,} more")
    raise typer.Exit(Exit.SKIPPED)


def _texts(client: Client, place: Place, ids: list[str | int]) -> list[str]:
    """Give the texts of points; of those that were deleted meanwhile none."""
    handle = client.collection(place.collection, place.tenant)
    found = {one.id: one.text for one in handle.scroll(filter=place.condition or None, with_payload=False)}
    return [found.get(one, "") for one in ids]
