"""`nearfield cluster --engine`: k-means over Parquet files, by this machine's processes or a Ray cluster."""

from __future__ import annotations

import time

import typer

from nearfield_server.cli.engines import ClusterRequest, run_cluster
from nearfield_server.cli.progress import duration

__all__ = ["cluster_by_engine"]


def cluster_by_engine(request: ClusterRequest) -> None:
    """Cluster all shards, and tell what came of it. Raises `CliError`."""
    started = time.monotonic()
    found = run_cluster(request)
    left_out = f", {found.left_out:,} rows without a vector" if found.left_out else ""
    typer.echo(
        f"{sum(found.sizes):,} rows in {len(found.sizes):,} clusters of {min(found.sizes):,} to {max(found.sizes):,}"
        f"{left_out}; mean similarity to the centroid {found.objective:.4f} after {found.iterations} iterations, "
        f"{duration(time.monotonic() - started)} -> {request.out}",
        err=True,
    )
