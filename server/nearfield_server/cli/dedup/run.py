"""One run: compare all rows, settle which go, then read the input again and write the rest."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import typer

from nearfield_server.cli.dedup.decisions import Decisions
from nearfield_server.cli.dedup.outputs import whole, write_rows
from nearfield_server.cli.dedup.records import Input
from nearfield_server.cli.dedup.valley import bars, valley
from nearfield_server.cli.progress import Progress

if TYPE_CHECKING:
    from nearfield import Client

__all__ = ["Job", "choose_threshold", "compare", "write"]

_AUTO_ROWS = 20_000


@dataclass(frozen=True, slots=True)
class Job:
    """What to do. `options` go to `Client.deduplicate`."""

    input: Input
    out: tuple[Path, str]
    report: tuple[Path, str]
    keep_longest: bool = False
    options: dict[str, Any] = field(default_factory=dict)


def choose_threshold(client: Client, job: Job) -> dict[str, Any]:
    """Give the option that says where duplicates begin: the valley of the data, or the level "normal"."""
    options = job.options | {"threshold": 1.0, "compare_all": True, "lexical_check": False}
    items = (item for item, _ in islice(job.input.items(), _AUTO_ROWS))
    with (
        closing(client.deduplicate(items, **options)) as verdicts,
        closing(_progress(job, "rows looked at")) as progress,
    ):
        found = []
        for count, one in enumerate(verdicts, 1):
            # The same text over and over says nothing about those that differ.
            if one.of is not None and one.kind != "exact":
                found.append(one.similarity)
            progress.update(count)
    similarities = np.array(found, np.float32)
    threshold = valley(similarities)
    typer.echo("similarity of each row to the nearest before it:", err=True)
    for line in bars(similarities, threshold):
        typer.echo(f"  {line}", err=True)
    if threshold is None:
        without = "no valley: rows with and without a near duplicate don't stand apart"
        if job.input.vector_field:
            from nearfield_server.cli.failures import CliError  # noqa: PLC0415

            raise CliError(f"{without}; vectors of your own have no levels: give --threshold a number")
        typer.echo(f"{without}; taking --threshold normal", err=True)
        return {"level": "normal"}
    typer.echo(f"threshold {threshold:.2f}, the bottom of the valley", err=True)
    return {"threshold": threshold}


def compare(client: Client, job: Job) -> Decisions:
    """Compare all rows."""
    decisions = Decisions(keep_longest=job.keep_longest)

    def items() -> Iterator[Any]:
        for item, length in job.input.items():
            if job.keep_longest:
                decisions.lengths.append(length)
            yield item

    with closing(client.deduplicate(items(), **job.options)) as verdicts, closing(_progress(job, "rows")) as progress:
        for one in verdicts:
            decisions.add(one)
            progress.update(len(decisions))
    decisions.settle()
    return decisions


def write(job: Job, decisions: Decisions) -> int:
    """Write the rows that stay, and the report on the others; give how many stay."""
    kept = sum(decisions.removed(row) is None for row in range(len(decisions)))
    with whole(job.report[0]) as report, whole(job.out[0]) as out:
        write_rows(report, job.report[1], lambda: _removed(job, decisions), _report_schema(job.report[1]))
        write_rows(out, job.out[1], lambda: _kept(job, decisions), job.input.source.schema())
    return kept


def _kept(job: Job, decisions: Decisions) -> Iterator[dict[str, Any]]:
    for row, record in enumerate(job.input.records()):
        if decisions.removed(row) is None:
            yield {"text": job.input.text_of(record)} if job.out[1] == "txt" else record


def _removed(job: Job, decisions: Decisions) -> Iterator[dict[str, Any]]:
    for row, record in enumerate(job.input.records()):
        text = job.input.text_of(record)
        if (gone := decisions.removed(row)) is not None:
            of = {"of": None, "point": str(gone.of)} if gone.in_collection else {"of": gone.of, "point": None}
            yield {"row": row, "why": gone.why, **of, "similarity": round(gone.similarity, 6), "text": text}
        elif (error := decisions.failed.get(row)) is not None:
            yield {
                "row": row,
                "why": "failed",
                "of": None,
                "point": None,
                "similarity": None,
                "text": text,
                "error": error,
            }


def _report_schema(kind: str) -> Any:
    if kind != "parquet":
        return None
    import pyarrow as pa  # noqa: PLC0415  quick start

    text = dict.fromkeys(("text", "error"), pa.string())
    return {
        "row": pa.int64(),
        "why": pa.string(),
        "of": pa.int64(),
        "point": pa.string(),
        "similarity": pa.float64(),
    } | text


def _progress(job: Job, unit: str) -> Progress:
    fraction: Callable[[], float | None] = job.input.source.fraction
    return Progress(fraction=fraction, total=job.input.source.total_rows, unit=unit)
