"""Clusterings for people, as tables, and for programs, as JSON."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import typer

from nearfield_server.cli.progress import duration
from nearfield_server.cli.texts import shortened

if TYPE_CHECKING:
    from nearfield import ClusterExample, Clustering, ClusteringInfo, ClusteringJob

__all__ = ["clustering_facts", "info_facts", "job_facts", "print_clustering", "print_json", "print_layers"]

_NAME_CHARACTERS, _EXAMPLE_CHARACTERS = 40, 80


def print_clustering(made: Clustering) -> None:
    """Print a line per cluster, how good it is, what became of earlier clusters, and warnings."""
    from rich.table import Table  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    from nearfield_server.cli.tables import print_cut_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("CLUSTER", "SIZE", "NAME", "EXAMPLE"):
        right = name in {"CLUSTER", "SIZE"}
        table.add_column(name, justify="right" if right else "left", no_wrap=True, overflow="ellipsis")
    for one in made.clusters:
        name, example = shortened(one.name, _NAME_CHARACTERS), shortened(_shown(one.medoid), _EXAMPLE_CHARACTERS)
        table.add_row(str(one.id), f"{one.size:,}", Text(name), Text(example))
    if made.noise:
        table.add_row("-", f"{made.noise:,}", Text("(in no cluster)"), Text(""))
    print_cut_table(table)
    quality = made.quality
    measures = {"silhouette": quality.silhouette, "DBCV": quality.dbcv, "cohesion": quality.cohesion}
    known = ", ".join(f"{name} {value:.3f}" for name, value in measures.items() if value is not None)
    seconds = made.stage_seconds.get("total") or sum(made.stage_seconds.values())
    typer.echo(f"{made.cluster_count:,} clusters of {made.items:,} items, computed in {duration(seconds)}; {known}")
    if made.lineage:
        _print_lineage(made)
    if made.id:
        typer.echo(f"kept as {made.id}" + (f" until {made.expires_at:%Y-%m-%d %H:%M} UTC" if made.expires_at else ""))
    for warning in made.warnings:
        typer.echo(f"warning: {warning}", err=True)


def print_layers(made: Clustering) -> None:
    """Print the layers of a density clustering, fine to coarse."""
    from rich.table import Table  # noqa: PLC0415  quick start

    from nearfield_server.cli.tables import print_table  # noqa: PLC0415

    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("LAYER", "CLUSTERS", "NOISE", "SILHOUETTE", "PERSISTENCE"):
        table.add_column(name, justify="right")
    for at, one in enumerate(made.layer_details):
        shown = "*" if at == made.layer else ""
        measures = (f"{one.noise_share:.1%}", f"{one.silhouette:.3f}", f"{one.persistence:.3f}")
        table.add_row(f"{shown}{at}", f"{one.clusters:,}", *measures)
    print_table(table)


def print_json(facts: Any) -> None:
    """Print JSON."""
    json.dump(facts, sys.stdout, ensure_ascii=False, indent=1)
    sys.stdout.write("\n")


def clustering_facts(made: Clustering) -> dict[str, Any]:
    """Give a clustering as JSON values, without its labels and centroids."""
    return info_facts(made) | {
        "clusters": [asdict(one) for one in made.clusters],
        "failures": {str(index): error.message for index, error in made.failures.items()},
    }


def info_facts(info: ClusteringInfo) -> dict[str, Any]:
    """Give what a clustering is as JSON values."""
    same = ("id", "options", "collection", "model", "model_version", "dimensions", "items", "dropped", "noise")
    return {
        **{name: getattr(info, name) for name in same},
        "cluster_count": info.cluster_count,
        "layer": info.layer,
        **{
            name: [asdict(one) for one in getattr(info, name)]
            for name in ("layer_details", "merges", "trials", "lineage")
        },
        "quality": asdict(info.quality),
        "warnings": list(info.warnings),
        "stage_seconds": dict(info.stage_seconds),
        "peak_memory_bytes": info.peak_memory_bytes,
        "created_at": info.created_at.isoformat(),
        "expires_at": None if info.expires_at is None else info.expires_at.isoformat(),
    }


def job_facts(job: ClusteringJob) -> dict[str, Any]:
    """Give a job as JSON values."""
    return {
        **{name: getattr(job, name) for name in ("id", "state", "stage", "fraction", "items", "attempts")},
        "remaining": None if job.remaining is None else job.remaining.total_seconds(),
        "error": None if job.error is None else job.error.message,
        "created_at": None if job.created_at is None else job.created_at.isoformat(),
        "ended_at": None if job.ended_at is None else job.ended_at.isoformat(),
    }


def _shown(example: ClusterExample | None) -> str:
    if example is None:
        return ""
    return example.text or ("" if example.id is None else str(example.id))


def _print_lineage(made: Clustering) -> None:
    for one in made.lineage:
        if one.change == "continued":
            continue
        came = {"new": f"{one.current} is new", "gone": f"{one.previous} is gone"}
        told = came.get(one.change, f"{one.previous} {one.change}: {one.current}")
        typer.echo(f"since the previous clustering: {told} (overlap {one.overlap:.0%})")
