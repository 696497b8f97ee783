"""`nearfield dedup --engine`: duplicates in Parquet files, by this machine's processes or a Ray cluster."""

from __future__ import annotations

import time

import typer

from nearfield_server.cli.engines import DedupRequest, run_dedup
from nearfield_server.cli.progress import duration

__all__ = ["dedup_by_engine"]


def dedup_by_engine(request: DedupRequest) -> None:
    """Mark the duplicates of all shards, and tell how many there are. Raises `CliError`."""
    started = time.monotonic()
    found = run_dedup(request)
    typer.echo(
        f"{found.rows:,} rows: {found.kept:,} say something new, {found.exact:,} say the same as an earlier one, "
        f"{found.near:,} nearly, {duration(time.monotonic() - started)} -> {request.out}",
        err=True,
    )
