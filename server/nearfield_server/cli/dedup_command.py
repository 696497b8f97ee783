"""`nearfield dedup`: a file without the rows that say what an earlier one said."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from nearfield_server.cli.connect import (
    DEFAULT_TARGET,
    LocalOption,
    ModelOption,
    TargetOption,
    connected,
    local_models,
)
from nearfield_server.cli.failures import CliError, Exit, fail, reporting

if TYPE_CHECKING:
    from nearfield_server.cli.dedup.decisions import Decisions
    from nearfield_server.cli.dedup.run import Job

__all__ = ["dedup"]

Keep = StrEnum("Keep", ["first", "longest"])
_LEVELS = ("strict", "normal", "loose")
_SHOWN_FAILURES = 5


def dedup(
    file: Annotated[
        Path,
        typer.Argument(metavar="IN", help="Rows: .parquet, .jsonl, .csv, .tsv or .txt (all but the first also .gz)."),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Rows that stay: .parquet, .jsonl, .csv, .tsv or .txt.")
    ] = ...,  # type: ignore[assignment]  # typer's word for "required"
    report: Annotated[
        Path | None,
        typer.Option(help="What was removed, and why: .jsonl or .parquet; left out: OUT with .removed.jsonl."),
    ] = None,
    threshold: Annotated[
        str,
        typer.Option(metavar="COSINE|strict|normal|loose|auto", help="Where duplicates begin; auto looks at the data."),
    ] = "normal",
    keep: Annotated[Keep, typer.Option(help="The row that stays of those that say the same.")] = Keep("first"),
    text_field: Annotated[
        str, typer.Option(help='Field that holds the text; "" for rows that are only vectors.')
    ] = "text",
    vector_field: Annotated[str, typer.Option(help="Field that holds a vector to compare by.")] = "",
    lexical_check: Annotated[
        bool, typer.Option("--lexical-check", help="Words must agree too: for names and titles.")
    ] = False,
    collection: Annotated[
        str, typer.Option("--collection", "-c", help="Remove what says what a point of it says, too.")
    ] = "",
    tenant: Annotated[str, typer.Option(help="Whose points.")] = "",
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT and the report.")] = False,
    model: ModelOption = "",
    target: TargetOption = DEFAULT_TARGET,
    local: LocalOption = False,
) -> None:
    """Write the rows of a file that say something new; near duplicates are found by meaning, not by spelling."""
    from nearfield_server.cli.dedup.run import choose_threshold, compare, write  # noqa: PLC0415  quick start

    with reporting():
        name, served = local_models(model, local=local)
        if local and collection:
            raise CliError("--collection is of a server that runs: leave --local out")
        options: dict[str, Any] = {"model": name, "lexical_check": lexical_check}
        if collection:
            options |= {"collection": collection, "tenant": tenant}
        job = _job(file, (text_field, vector_field), (out, report), overwrite=overwrite)
        limit = _limit(threshold, is_vector=bool(vector_field))
        with connected(target, local=local, models=served) as connection:
            job = _with(job, options, keep_longest=keep == Keep("longest"))
            job.options.update(limit or choose_threshold(connection.client, job))
            decisions = compare(connection.client, job)
        _tell(job, decisions, write(job, decisions))


def _limit(threshold: str, *, is_vector: bool) -> dict[str, Any]:
    """Give the option that says where duplicates begin; none for "auto". Raises `CliError`."""
    if threshold == "auto":
        return {}
    if threshold in _LEVELS:
        if is_vector:
            raise CliError("--threshold: vectors of your own have no levels: give a cosine, such as 0.9, or auto")
        return {"level": threshold}
    try:
        cosine = float(threshold)
    except ValueError:
        cosine = 2.0
    if not -1.0 <= cosine <= 1.0:
        raise CliError(f"--threshold {threshold}: give a cosine from -1 to 1, or {', '.join(_LEVELS)} or auto")
    return {"threshold": cosine}


def _job(file: Path, fields: tuple[str, str], places: tuple[Path, Path | None], *, overwrite: bool) -> Job:
    """Check all that can be without a server. Raises `CliError`."""
    from nearfield_server.cli.dedup.outputs import format_of  # noqa: PLC0415  quick start
    from nearfield_server.cli.dedup.records import Input  # noqa: PLC0415
    from nearfield_server.cli.dedup.run import Job  # noqa: PLC0415

    out, report = places[0], places[1] or places[0].with_suffix(".removed.jsonl")
    formats = format_of(out), format_of(report, ("jsonl", "parquet"))
    if out == report:
        raise CliError("--report: is the same file as --out")
    for path in (out, report):
        if not path.absolute().parent.is_dir():
            raise CliError(f"{path}: there is no such folder")
        if path.exists() and not overwrite:
            raise CliError(f"{path} is there already: add --overwrite to replace it")
    return Job(Input.open(file, *fields), (out, formats[0]), (report, formats[1]))


def _with(job: Job, options: dict[str, Any], *, keep_longest: bool) -> Job:
    from dataclasses import replace  # noqa: PLC0415  quick start

    return replace(job, options=options, keep_longest=keep_longest)


def _tell(job: Job, decisions: Decisions, kept: int) -> None:
    counts = decisions.counts()
    typer.echo(
        f"{len(decisions):,} rows: {kept:,} kept in {job.out[0]}, {len(decisions) - kept:,} removed "
        f"({counts['exact']:,} the same, {counts['near']:,} near), listed in {job.report[0]}",
        err=True,
    )
    for row, error in list(decisions.failed.items())[:_SHOWN_FAILURES]:
        fail(f"row {row} couldn't be compared and was kept: {error}")
    if decisions.failed:
        typer.echo(f"{len(decisions.failed):,} rows couldn't be compared and were kept", err=True)
        raise typer.Exit(Exit.SKIPPED)
