"""`nearfield export`: the arguments, the progress and the table; `nearfield_server.export` does the work."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Self

import typer

from nearfield_server.cli.failures import CliError, Exit, reporting
from nearfield_server.cli.tables import print_table
from nearfield_server.export.tasks import LEAST_COSINE, OPSET, USUAL_PRECISIONS

if TYPE_CHECKING:
    from rich.table import Table

    from nearfield_server.export.pipeline import Options
    from nearfield_server.export.report import Report

__all__ = ["export"]

_NEEDS = ("onnx", "onnxruntime", "safetensors", "tokenizers")


def export(
    model: Annotated[str, typer.Argument(help="Model folder (transformers, sentence-transformers or ONNX) or hub id.")],
    out: Annotated[Path, typer.Option("--out", help="Model folder to write; must not exist.")],
    precision: Annotated[str, typer.Option("--precision", help="Any of fp32, fp16, int8, w8, with commas.")] = ",".join(
        USUAL_PRECISIONS
    ),
    opset: Annotated[
        int, typer.Option("--opset", min=14, max=20, help="ONNX opset of graphs made from weights.")
    ] = OPSET,
    task: Annotated[
        str | None, typer.Option("--task", help="embed, sparse, multi, classify or rerank; left out: as the files say.")
    ] = None,
    pooling: Annotated[
        str | None, typer.Option("--pooling", help="For a plain transformers folder: mean, cls, max or lasttoken.")
    ] = None,
    evaluate: Annotated[
        Path | None, typer.Option("--eval", help="Judged pairs, lines {s1, s2, score}, .jsonl or .jsonl.gz.")
    ] = None,
    min_cosine: Annotated[
        float, typer.Option("--min-cosine", min=0.0, max=1.0, help="Least mean cosine with the reference.")
    ] = LEAST_COSINE,
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier export at --out.")] = False,
) -> None:
    """Make a model folder for `nearfield serve`: ONNX graphs by precision, each checked against the original."""
    with reporting():
        _require()
        from nearfield_server.export.pipeline import Options  # noqa: PLC0415  quick start

        options = Options(
            model=model,
            target=out,
            precisions=tuple(dict.fromkeys(one.strip() for one in precision.split(",") if one.strip())),
            opset=opset,
            task=task,
            pooling=pooling,
            eval_file=evaluate,
            min_cosine=min_cosine,
            force=force,
        )
        _export(options)


def _export(options: Options) -> None:
    from nearfield_server.export.errors import ExportError, ParityError  # noqa: PLC0415  quick start
    from nearfield_server.export.pipeline import export_model  # noqa: PLC0415
    from nearfield_server.export.report import Report  # noqa: PLC0415

    # Each precision is written and verified; before come graph and reference, after that timing and manifest.
    try:
        with _Bar(steps=2 * len(options.precisions) + 4) as bar:
            report = export_model(options, bar.step)
    except ParityError as error:
        if isinstance(error.report, Report):
            print_table(_table(error.report, options.min_cosine))
        raise CliError(str(error), Exit.FAILED) from error
    except ExportError as error:
        raise CliError(str(error), Exit.FAILED) from error
    print_table(_table(report, options.min_cosine))
    typer.echo(f"wrote {options.target}; serve it with: nearfield serve --model {options.target.name}={options.target}")


def _require() -> None:
    import importlib.util  # noqa: PLC0415  quick start

    if missing := [name for name in _NEEDS if importlib.util.find_spec(name) is None]:
        raise CliError(f'{", ".join(missing)} not installed: pip install "nearfield[export]"')


class _Bar:
    """The step that is being done, on stderr: a bar on a terminal, else a line each."""

    def __init__(self, steps: int) -> None:
        from rich.console import Console  # noqa: PLC0415  quick start
        from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

        self._console = Console(stderr=True, highlight=False)
        self._bar = Progress(
            BarColumn(),
            TextColumn("{task.description}", markup=False),
            TimeElapsedColumn(),
            console=self._console,
            transient=True,
            disable=not self._console.is_terminal,
        )
        self._task = self._bar.add_task("reading the model", total=steps)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.stop()

    def step(self, what: str) -> None:
        """Show that `what` begins; a note is kept on the screen."""
        note = what.startswith("note: ")
        if note or not self._console.is_terminal:
            self._console.print(what, markup=False, soft_wrap=True)
        if not note:
            self._bar.update(self._task, advance=1, description=what)


def _table(report: Report, least: float) -> Table:
    from rich.table import Table as RichTable  # noqa: PLC0415  quick start
    from rich.text import Text  # noqa: PLC0415

    scores = report.task.scores
    closeness = (
        ("correlation", "max difference", "rank correlation") if scores else ("cosine mean", "min", "top-10 kept")
    )
    table = RichTable()
    headings = ["precision", "MB", *closeness, "alone or in a batch", "per second"]
    for heading in [*headings, "Spearman"] if report.judged else headings:
        table.add_column(heading, justify="left" if heading == "precision" else "right")
    for name, row in report.everything():
        worst = f"{row.closeness.worst:.1e}" if scores else f"{row.closeness.worst:.4f}"
        mean = Text(f"{row.closeness.mean:.5f}", style="" if row.closeness.mean >= least else "bold red")
        cells: list[str | Text] = [
            name,
            f"{row.bytes / 1e6:.1f}",
            mean,
            worst,
            f"{row.closeness.order:.3f}",
            f"{row.batch_dependence:.0e}",
            f"{row.texts_per_second:,.0f}",
        ]
        table.add_row(*cells, *(["-" if row.judged is None else f"{row.judged:.2f}"] if report.judged else []))
    return table
